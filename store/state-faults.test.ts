/** What disks and crashes do to the state of a member, and what is made of it: never wrong data, never a silent loss. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { copyTo, cutTail, dataFiles, flipBit, seeded } from '../raft/storage/testing/damage.ts';
import { StateCorruptError } from './backend/backend.ts';
import { LevelBackend } from './backend/level.ts';
import { MemoryBackend, MemoryStateDisk } from './backend/memory.ts';
import { bytes, text } from './client/contract.ts';
import { systemClock } from './clock.ts';
import { encodeCommand } from './codec/command.ts';
import { resolveLimits } from './limits.ts';
import type { Command } from './mvcc/command.ts';
import { OPEN_END } from './mvcc/keys.ts';
import { Replica } from './replica.ts';

async function withDirectory(run: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'raftsman-store-faults-'));
  try {
    await run(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function directoryBytes(directory: string): Promise<number> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    // LevelDB may remove a file meanwhile.
    found.map(entry =>
      stat(join(entry.parentPath, entry.name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    if (await holds()) return;
    await new Promise(resolve => setImmediate(resolve));
  }
  throw new Error(`it did not come about: ${what}`);
}

const put = (key: string, value: Uint8Array): Command => ({
  type: 'transaction',
  transaction: { then: [{ type: 'put', key, value }] },
});

function replicaOn(directory: string, checkpointBytesMin?: number): Replica {
  const onFatal = () => {};
  const backend = new LevelBackend({ directory });
  const limits = resolveLimits(checkpointBytesMin === undefined ? {} : { checkpointBytesMin });
  return new Replica({ backend, clock: systemClock, onFatal, limits });
}

/** Everything that a client could see of a state, as text. */
function seen({ state }: Replica): string {
  const past = Math.max(1, state.compactedRevision);
  const ranges = [undefined, past].map(revision => {
    const outcome = state.range({ key: '', end: OPEN_END, ...(revision === undefined ? {} : { revision }) });
    return outcome.ok ? outcome.value.items.map(item => [item.key, item.modRevision, text(item.value)]) : outcome;
  });
  return JSON.stringify([state.counters, state.leases, state.alarms, ranges]);
}

/** A state with checkpoints, flushed batches and some that are not. */
async function writeState(directory: string) {
  const replica = replicaOn(directory, 20_000);
  await replica.open();
  const history = [seen(replica)];
  let flushed = 0;
  for (let index = 1; index <= 300; index++) {
    const command: Command =
      index % 50 === 49
        ? { type: 'compact', revision: replica.state.revision - 10 }
        : put(`/${index % 30}`, Buffer.alloc(400, `${index} `));
    replica.apply([{ index, term: 1, data: encodeCommand(command) }], index);
    history.push(seen(replica));
    if (index % 60 === 0 && index < 300) flushed = await replica.flush();
  }
  // A close flushes; a crash would not, but loses nothing that the log does not have.
  await replica.close();
  return { history, flushed: Math.max(flushed, 300) };
}

async function damageStates(
  t: ExecutionContext,
  damage: (directory: string, random: () => number) => Promise<string>,
): Promise<number> {
  let refused = 0;
  await withDirectory(async root => {
    const directory = join(root, 'state');
    const { history, flushed } = await writeState(directory);
    const random = seeded(11);
    for (let round = 0; round < 60; round++) {
      await copyTo(directory, join(root, 'copy'));
      const where = await damage(join(root, 'copy'), random);
      const replica = replicaOn(join(root, 'copy'));
      try {
        const { appliedIndex } = await replica.open();
        t.true(appliedIndex >= flushed, where);
        t.is(seen(replica), history[appliedIndex], where);
      } catch (error) {
        t.true(error instanceof StateCorruptError, `${where}: ${error}`);
        refused++;
      } finally {
        await replica.close();
      }
    }
  });
  return refused;
}

test('a flipped bit anywhere in the files of the state is harmless or refused, and never served', async t => {
  t.true((await damageStates(t, flipBit)) > 15);
});

test('a lost tail of any file of the state is harmless or refused', async t => {
  t.true((await damageStates(t, cutTail)) > 15);
});

test('a flipped bit in a snapshot on its way is refused; the state that was there stays', async t => {
  await withDirectory(async root => {
    const source = replicaOn(join(root, 'source'));
    await source.open();
    for (let index = 1; index <= 300; index++) {
      source.apply([{ index, term: 1, data: encodeCommand(put(`/${index}`, Buffer.alloc(500, index))) }], index);
    }
    const whole: Uint8Array[] = [];
    const snapshot = source.snapshot();
    for await (const chunk of snapshot.chunks) whole.push(Buffer.from(chunk));
    snapshot.release();
    const all = Buffer.concat(whole);
    const target = replicaOn(join(root, 'target'));
    await target.open();
    target.apply([{ index: 1, term: 1, data: encodeCommand(put('/mine', bytes('1'))) }], 1);
    const before = seen(target);
    const metadata = { index: 300, term: 1, membership: { clusterId: '', members: [] } };
    const random = seeded(5);
    for (let round = 0; round < 40; round++) {
      const spoiled = Buffer.from(all);
      const at = Math.floor(random() * spoiled.length);
      spoiled[at] = (spoiled[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      async function* stream() {
        yield spoiled;
      }
      await t.throwsAsync(target.restore(metadata, stream()), { code: 'STORE_IMAGE_CORRUPT' }, `byte ${at}`);
      t.is(seen(target), before);
    }
    await target.restore(metadata, source.snapshot().chunks);
    t.is(seen(target), seen(source));
    await source.close();
    await target.close();
  });
});

test('what is applied and how far it is are one write, however the last write is torn (etcd #13514)', async t => {
  await withDirectory(async root => {
    const replica = replicaOn(join(root, 'state'));
    await replica.open();
    const history = [seen(replica)];
    const backendFile = async () => (await dataFiles(join(root, 'state'))).find(path => path.endsWith('.log')) ?? '';
    for (let index = 1; index <= 60; index++) {
      replica.apply([{ index, term: 1, data: encodeCommand(put(`/${index % 7}`, Buffer.alloc(50, index))) }], index);
      history.push(seen(replica));
      // One batch an entry.
      await eventually('it is handed over', () => replica.unwrittenBytes === 0);
    }
    const path = await backendFile();
    const { size } = await stat(path);
    const found = new Set<number>();
    for (let left = size; left > 0; left -= 97) {
      await copyTo(join(root, 'state'), join(root, 'copy'));
      await truncate(path.replace(join(root, 'state'), join(root, 'copy')), left);
      const torn = replicaOn(join(root, 'copy'));
      const { appliedIndex } = await torn.open();
      t.is(seen(torn), history[appliedIndex], `${left} of ${size} bytes`);
      found.add(appliedIndex);
      await torn.close();
    }
    t.true(found.size > 20, 'the state was found at many an index');
    await replica.close();
  });
});

test('a crash within folding leaves the old state or the new one, at the same index (etcd #14685)', async t => {
  for (let writesDone = 0; writesDone < 30; writesDone++) {
    const disk = new MemoryStateDisk();
    const limits = resolveLimits({ checkpointBytesMin: 300 });
    const mount = () =>
      new Replica({ backend: new MemoryBackend(disk), clock: systemClock, onFatal: () => {}, limits });
    const replica = mount();
    await replica.open();
    const history = [seen(replica)];
    let writes = 0;
    disk.setFault(() => (++writes > writesDone ? new Promise(() => {}) : Promise.resolve()));
    for (let index = 1; index <= 40; index++) {
      replica.apply([{ index, term: 1, data: encodeCommand(put(`/${index % 5}`, Buffer.alloc(40, index))) }], index);
      history.push(seen(replica));
      if (index % 5 === 0) void replica.flush().catch(() => {});
      for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve));
    }
    disk.crash({ batchesKept: writesDone % 3 });
    disk.setFault(undefined);
    const again = mount();
    const { appliedIndex } = await again.open();
    t.is(seen(again), history[appliedIndex], `after ${writesDone} writes`);
    await again.close();
  }
});

test('the revision stands when compaction has taken the last thing that bore it, also after a crash (etcd #17780)', async t => {
  await withDirectory(async root => {
    let replica = replicaOn(join(root, 'state'));
    await replica.open();
    const remove: Command = { type: 'transaction', transaction: { then: [{ type: 'delete', key: '/a' }] } };
    let index = 0;
    const apply = (command: Command) =>
      replica.apply([{ index: ++index, term: 1, data: encodeCommand(command) }], index);
    apply(put('/a', bytes('1')));
    apply(remove);
    apply({ type: 'compact', revision: replica.state.revision });
    while (replica.state.sweep());
    const { revision } = replica.state;
    for (let life = 0; life < 3; life++) {
      await replica.flush();
      await replica.close();
      replica = replicaOn(join(root, 'state'), 1);
      await replica.open();
      t.is(replica.state.revision, revision);
      t.is(replica.state.liveCount, 0);
    }
    apply(put('/b', bytes('1')));
    t.is(replica.state.revision, revision + 1);
    await replica.close();
  });
});

test('200,000 writes of 1,000 keys leave a disk, and a restart, that fit what lives', async t => {
  await withDirectory(async root => {
    const directory = join(root, 'state');
    const checkpointBytesMin = 4 * 1024 * 1024;
    let replica = replicaOn(directory, checkpointBytesMin);
    await replica.open();
    const noise = randomBytes(1_000_000);
    let index = 0;
    let largest = 0;
    while (index < 200_000) {
      const commands = Array.from({ length: 500 }, (_, n) => {
        const at = (index + n) * 37;
        const value = noise.subarray(at % 900_000, (at % 900_000) + 256);
        return { index: index + n + 1, term: 1, data: encodeCommand(put(`/keys/${(index + n) % 1_000}`, value)) };
      });
      index += 500;
      replica.apply(commands, index);
      if (index % 5_000 !== 0) continue;
      const compact: Command = { type: 'compact', revision: replica.state.revision - 2_000 };
      replica.apply([{ index: ++index, term: 1, data: encodeCommand(compact) }], index);
      index += 499;
      replica.apply([], index);
      await replica.flush();
      largest = Math.max(largest, await directoryBytes(directory));
    }
    const { liveBytes } = replica.state;
    const before = seen(replica);
    await replica.close();
    t.true(liveBytes < 500_000);
    // Some 65 MB were written. LevelDB needs room for what it sorts out, and two checkpoints are there for a moment.
    t.true(largest < 40_000_000, `${largest} bytes at its largest`);
    const left = await directoryBytes(directory);
    t.true(left < 20_000_000, `${left} bytes at the end`);
    const backend = new LevelBackend({ directory });
    const stored = await backend.open();
    let read = 0;
    for await (const chunk of stored.checkpoint ?? []) read += chunk.length;
    for await (const batch of stored.batches) read += batch.length;
    await backend.close();
    t.true(read < 2 * checkpointBytesMin, `${read} bytes are read at a restart`);
    replica = replicaOn(directory);
    await replica.open();
    t.is(seen(replica), before);
    await replica.close();
  });
});

test('a state disk that hangs ends the member before it eats all memory; what it lacks is in the log', async t => {
  const disk = new MemoryStateDisk();
  const fatal: Error[] = [];
  const limits = resolveLimits({ unwrittenBytesMax: 10_000 });
  const onFatal = (error: Error) => fatal.push(error);
  const replica = new Replica({ backend: new MemoryBackend(disk), clock: systemClock, onFatal, limits });
  await replica.open();
  disk.setFault(() => new Promise(() => {}));
  const apply = (index: number) =>
    replica.apply([{ index, term: 1, data: encodeCommand(put(`/${index}`, Buffer.alloc(1_000))) }], index);
  for (let index = 1; index <= 30; index++) apply(index);
  t.deepEqual(fatal, [], 'up to there it goes on in memory');
  for (let index = 31; fatal.length === 0 && index < 100; index++) apply(index);
  t.like(fatal, [{ code: 'STORE_STATE_FAILED' }]);
  t.true(replica.unwrittenBytes < 50_000);
  t.throws(() => apply(200), { code: 'STORE_STATE_FAILED' });
});

test('a state that was given up is not opened again', async t => {
  await withDirectory(async root => {
    const replica = replicaOn(join(root, 'state'));
    await replica.open();
    replica.apply([{ index: 1, term: 1, data: encodeCommand(put('/a', bytes('1'))) }], 1);
    await replica.condemn(new Error('it differs'));
    t.throws(() => replica.apply([], 2), { message: 'it differs' });
    t.is(replica.servingProblem, 'it differs');
    await replica.close();
    const again = replicaOn(join(root, 'state'));
    await t.throwsAsync(again.open(), { instanceOf: StateCorruptError, message: /it differs/ });
    await again.close();
  });
});
