import test from 'ava';
import fc from 'fast-check';
import { MemoryBackend, MemoryStateDisk } from './backend/memory.ts';
import { WatchLostError } from './client/client.ts';
import { systemClock } from './clock.ts';
import { encodeCommand } from './codec/command.ts';
import { ImageCorruptError } from './codec/image.ts';
import type { Command } from './mvcc/command.ts';
import { OPEN_END } from './mvcc/keys.ts';
import { Replica } from './replica.ts';

function mount(disk: MemoryStateDisk, more: { checkpointBytesMin?: number; onFatal?: (error: Error) => void } = {}) {
  const onFatal = (error: Error) => {
    throw error;
  };
  return new Replica({ backend: new MemoryBackend(disk), clock: systemClock, onFatal, ...more });
}

const put = (key: string, value: string): Command => ({
  type: 'transaction',
  transaction: { then: [{ type: 'put', key, value: Buffer.from(value) }] },
});

/** The log that the commands come from. */
const log: readonly Command[] = [
  { type: 'leaseGrant', ttlSeconds: 60 },
  ...Array.from({ length: 300 }, (_, n): Command => {
    if (n % 17 === 16) return { type: 'compact', revision: n - 12 };
    if (n % 5 === 4) return { type: 'transaction', transaction: { then: [{ type: 'delete', key: `/${n % 7}` }] } };
    return put(`/${n % 11}`, `${n}`.repeat(20));
  }),
];

function applyUpTo(replica: Replica, index: number): void {
  for (let at = replica.appliedIndex + 1; at <= index; at++) {
    replica.apply([{ index: at, term: 1, data: encodeCommand(log[at - 1] as Command) }], at);
  }
}

function seen(replica: Replica) {
  const { state } = replica;
  return {
    appliedIndex: replica.appliedIndex,
    counters: state.counters,
    leases: state.leases,
    now: state.range({ key: '', end: OPEN_END }),
    past: state.range({ key: '', end: OPEN_END, revision: Math.max(1, state.compactedRevision) }),
    hash: replica.hashAt(state.revision),
  };
}

function reference(index: number): ReturnType<typeof seen> {
  const replica = mount(new MemoryStateDisk());
  applyUpTo(replica, index);
  return seen(replica);
}

test('after a crash at any place the state is that of an earlier index, and goes on to the same end', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ apply: fc.integer({ min: 1, max: 60 }), flush: fc.boolean(), kept: fc.nat({ max: 5 }) }), {
        maxLength: 6,
      }),
      fc.constantFrom(500, 1_000_000),
      async (lives, checkpointBytesMin) => {
        const disk = new MemoryStateDisk();
        let flushed = 0;
        for (const { apply, flush, kept } of lives) {
          const replica = mount(disk, { checkpointBytesMin });
          const { appliedIndex } = await replica.open();
          t.true(appliedIndex >= flushed);
          t.deepEqual(seen(replica), reference(appliedIndex));
          applyUpTo(replica, Math.min(appliedIndex + apply, log.length));
          if (flush) flushed = await replica.flush();
          disk.crash({ batchesKept: kept });
        }
        const replica = mount(disk, { checkpointBytesMin });
        await replica.open();
        applyUpTo(replica, log.length);
        t.deepEqual(seen(replica), reference(log.length));
      },
    ),
    { numRuns: 25 },
  );
});

test('checkpoints keep what is on disk small', async t => {
  const disk = new MemoryStateDisk();
  const replica = mount(disk, { checkpointBytesMin: 2_000 });
  await replica.open();
  for (let round = 0; round < 30; round++) {
    for (let n = 0; n < 10; n++) {
      const index = replica.appliedIndex + 1;
      replica.apply([{ index, term: 1, data: encodeCommand(put('/same', 'x'.repeat(100))) }], index);
    }
    const index = replica.appliedIndex + 1;
    const compact: Command = { type: 'compact', revision: replica.state.revision };
    replica.apply([{ index, term: 1, data: encodeCommand(compact) }], index);
    await replica.flush();
  }
  await replica.close();
  const { checkpoint = [], batches } = disk.contents;
  const bytes = [...checkpoint, ...batches].reduce((sum, part) => sum + part.length, 0);
  t.true(checkpoint.length > 0);
  t.true(bytes < 8_000, `${bytes} bytes are left`);
});

test('a restored member is the image of the other; its watches start again', async t => {
  const source = mount(new MemoryStateDisk());
  applyUpTo(source, 200);
  const disk = new MemoryStateDisk();
  const target = mount(disk);
  await target.open();
  applyUpTo(target, 50);
  const watch = target.watches.watch({ key: '/1', signal: new AbortController().signal });
  const next = watch.next();
  const snapshot = source.snapshot();
  applyUpTo(source, 260);
  const metadata = { index: snapshot.index, term: 1, membership: { clusterId: '', members: [] } };
  await target.restore(metadata, snapshot.chunks);
  snapshot.release();
  await t.throwsAsync(next, { instanceOf: WatchLostError });
  t.deepEqual(seen(target), reference(200));
  applyUpTo(target, 260);
  t.deepEqual(seen(target), seen(source));
  await target.flush();
  disk.crash();
  const again = mount(disk);
  t.deepEqual(await again.open(), { appliedIndex: 260 });
  t.deepEqual(seen(again), seen(source));
});

test('a snapshot that breaks off, or is spoiled, changes nothing', async t => {
  const source = mount(new MemoryStateDisk());
  applyUpTo(source, 200);
  const whole = Buffer.concat(await collect(source.snapshot().chunks));
  const flipped = Buffer.from(whole);
  flipped[whole.length >> 1] = (flipped[whole.length >> 1] ?? 0) ^ 4;
  const metadata = { index: 200, term: 1, membership: { clusterId: '', members: [] } };
  const streams: (() => AsyncGenerator<Uint8Array>)[] = [
    async function* () {
      yield whole.subarray(0, 1_000);
    },
    async function* () {
      yield flipped;
    },
    async function* () {
      yield whole.subarray(0, whole.length - 13);
    },
    async function* () {
      yield whole;
      throw new ImageCorruptError('the log would not follow');
    },
  ];
  const disk = new MemoryStateDisk();
  const target = mount(disk);
  await target.open();
  applyUpTo(target, 50);
  for (const stream of streams) {
    await t.throwsAsync(target.restore(metadata, stream()), { instanceOf: ImageCorruptError });
    t.deepEqual(seen(target), reference(50));
  }
  await t.throwsAsync(target.restore({ ...metadata, index: 199 }, source.snapshot().chunks), {
    message: /another index/,
  });
  applyUpTo(target, 60);
  await target.close();
  const again = mount(disk);
  await again.open();
  t.deepEqual(seen(again), reference(60));
});

test('a failing disk is fatal once, and nothing is applied any more', async t => {
  const disk = new MemoryStateDisk();
  const fatal: Error[] = [];
  const replica = mount(disk, { onFatal: error => fatal.push(error) });
  await replica.open();
  disk.setFault(() => Promise.reject(new Error('bad sector')));
  applyUpTo(replica, 3);
  await t.throwsAsync(replica.flush(), { code: 'STORE_STATE_FAILED' });
  t.is(fatal.length, 1);
  t.throws(() => applyUpTo(replica, 4), { code: 'STORE_STATE_FAILED' });
  await replica.close();
});

test('an entry of a later version stops the member instead of being skipped', async t => {
  const fatal: Error[] = [];
  const replica = mount(new MemoryStateDisk(), { onFatal: error => fatal.push(error) });
  await replica.open();
  t.throws(() => replica.apply([{ index: 1, term: 1, data: Buffer.from([99]) }], 1), {
    message: /cannot be understood/,
  });
  t.is(fatal.length, 1);
});

test('members that applied the same have the same running hash, others have not', t => {
  const [one, other, different] = [1, 2, 3].map(() => mount(new MemoryStateDisk()));
  applyUpTo(one!, 100);
  for (let at = 1; at <= 100; at++) applyUpTo(other!, at);
  applyUpTo(different!, 99);
  different!.apply([{ index: 100, term: 1, data: encodeCommand(put('/0', 'other')) }], 100);
  const { revision } = one!.state;
  t.is(one!.hashAt(revision), other!.hashAt(revision));
  t.is(different!.state.revision, revision);
  t.not(one!.hashAt(revision), different!.hashAt(revision));
});

async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return all;
}
