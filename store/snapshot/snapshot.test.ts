/** Snapshot files: sound ones are read back, every kind of unsound one is refused with a sentence that says what it is. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { bytes } from '../client/contract.ts';
import { createMemoryStore } from '../client/memory.ts';
import { inspectSnapshotFile, readSnapshotHeader, writeSnapshotFile } from './file.ts';
import { decodeSnapshot, SnapshotError, type SnapshotFault } from './format.ts';

const folder = await mkdtemp(join(tmpdir(), 'raftsman-snapshot-'));
test.after.always(() => rm(folder, { recursive: true, force: true }));

async function snapshotBytes(keys = 20, valueBytes = 40): Promise<Buffer> {
  const store = createMemoryStore();
  for (let n = 0; n < keys; n++) await store.put(`/k/${n}`, bytes(`${n}`.padEnd(valueBytes, 'x')));
  const parts: Uint8Array[] = [];
  for await (const part of store.saveSnapshot()) parts.push(part);
  await store.close();
  return Buffer.concat(parts);
}

async function* inParts(whole: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
}

let fileNumber = 0;
async function fileOf(contents: Uint8Array): Promise<string> {
  const path = join(folder, `file-${++fileNumber}`);
  await writeFile(path, contents);
  return path;
}

async function faultOf(contents: Uint8Array): Promise<SnapshotFault | undefined> {
  try {
    await inspectSnapshotFile(await fileOf(contents));
    return undefined;
  } catch (error) {
    if (error instanceof SnapshotError) return error.fault;
    throw error;
  }
}

test('a file is written whole under its name, for its owner only, and read back', async t => {
  const whole = await snapshotBytes();
  const path = join(folder, 'good.snap');
  for (const size of [1, 7, whole.length]) {
    const { fileBytes } = await writeSnapshotFile(path, inParts(whole, size));
    t.is(fileBytes, whole.length);
  }
  t.deepEqual(await readFile(path), whole);
  t.is((await stat(path)).mode & 0o777, 0o600);
  const { header, fileBytes } = await inspectSnapshotFile(path);
  t.like(header, { revision: 21, keys: 20, clusterId: '0000000000000001', memberName: 'memory' });
  t.is(fileBytes, whole.length);
  t.deepEqual(await readSnapshotHeader(path), header);
});

test('what arrives unsound is never given the name', async t => {
  const whole = await snapshotBytes();
  const path = join(folder, 'never.snap');
  await t.throwsAsync(writeSnapshotFile(path, inParts(whole.subarray(0, -1), 100)), { code: 'STORE_SNAPSHOT' });
  const flipped = Buffer.from(whole);
  flipped[whole.length - 100]! ^= 1;
  await t.throwsAsync(writeSnapshotFile(path, inParts(flipped, 100)), { code: 'STORE_SNAPSHOT' });
  t.deepEqual(
    (await readdir(folder)).filter(name => name.startsWith('never')),
    [],
  );
});

test('a file that is cut anywhere is refused as cut, one of another kind as foreign, one of tomorrow as newer', async t => {
  const whole = await snapshotBytes(3, 10);
  for (let length = 1; length < whole.length; length++)
    t.is(await faultOf(whole.subarray(0, length)), 'cut', `${length}`);
  t.is(await faultOf(Buffer.alloc(0)), 'foreign');
  t.is(await faultOf(Buffer.from('apiVersion: v1\nkind: Pod\n')), 'foreign');
  const newer = Buffer.from(whole);
  newer.writeUInt32BE(2, 8);
  t.is(await faultOf(newer), 'newer');
  t.is(await faultOf(Buffer.concat([whole, Buffer.from('x')])), 'damaged');
  const path = await fileOf(newer);
  await t.throwsAsync(inspectSnapshotFile(path), { message: /cannot be used: it was written by a newer raftsman/ });
});

test('one flipped bit anywhere is noticed', async t => {
  const whole = await snapshotBytes(3, 10);
  for (let at = 0; at < whole.length; at++) {
    const flipped = Buffer.from(whole);
    flipped[at]! ^= 1 << (at % 8);
    t.not(await faultOf(flipped), undefined, `byte ${at}`);
  }
});

test('any damage is noticed', async t => {
  const whole = await snapshotBytes(100, 3000);
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= change;
      return (await faultOf(damaged)) !== undefined;
    }),
    { numRuns: 50 },
  );
  t.is(await faultOf(whole), undefined);
});

test('a reader that stops early lets go of its source', async t => {
  const whole = await snapshotBytes(100, 3000);
  let isClosed = false;
  async function* source() {
    try {
      yield* inParts(whole, 1000);
    } finally {
      isClosed = true;
    }
  }
  const { chunks } = await decodeSnapshot(source());
  for await (const _ of chunks) break;
  t.true(isClosed);
});
