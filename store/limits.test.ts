/** Each limit bites with the error that it promises, and what lies just below it passes. */
import test, { type ExecutionContext } from 'ava';
import { MemoryBackend, MemoryStateDisk } from './backend/memory.ts';
import type { StoreClient } from './client/client.ts';
import { LocalClient } from './client/local.ts';
import { createMemoryStore } from './client/memory.ts';
import { systemClock } from './clock.ts';
import { resolveLimits, STORE_LIMITS, type StoreLimits } from './limits.ts';
import { KEY_BYTES_MAX, REQUEST_BYTES_CEILING, TRANSACTION_OPERATIONS_CEILING } from './mvcc/limits.ts';
import { Replica } from './replica.ts';
import { SingleRaft } from './testing/single-raft.ts';

/** A store of one member without a network, whose disk and whose Raft can be held up. */
async function member(settings: Partial<StoreLimits>) {
  const limits = resolveLimits({ clientTimeoutMs: 50, ...settings });
  const disk = new MemoryStateDisk();
  const onFatal = (error: Error) => {
    throw error;
  };
  const replica = new Replica({ backend: new MemoryBackend(disk), clock: systemClock, onFatal, limits });
  const raft = new SingleRaft(replica);
  await raft.start();
  const client = new LocalClient({ raft, replica, clock: systemClock, random: Math.random, limits });
  return { client, raft, replica, disk };
}
type Member = Awaited<ReturnType<typeof member>>;

const value = (bytes: number) => Buffer.alloc(bytes, 1);
const puts = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ type: 'put', key: `k${n}`, value: value(1) }) as const);
const signal = () => new AbortController().signal;

interface Case {
  readonly settings: Partial<StoreLimits>;
  readonly code: string;
  /** At the limit. */
  readonly passes: (one: Member) => Promise<unknown>;
  /** Beyond it. */
  readonly bites: (one: Member) => Promise<unknown>;
}

const cases: Partial<Record<keyof StoreLimits | 'keyBytes', Case>> = {
  requestBytesMax: {
    settings: { requestBytesMax: 1_000 },
    code: 'STORE_INVALID_REQUEST',
    passes: ({ client }) => client.put('k', value(999)),
    bites: ({ client }) => client.put('k', value(1_000)),
  },
  transactionOperationsMax: {
    settings: { transactionOperationsMax: 5 },
    code: 'STORE_INVALID_REQUEST',
    passes: ({ client }) => client.transaction({ then: puts(5), otherwise: puts(5) }),
    bites: ({ client }) => client.transaction({ then: [], otherwise: puts(6) }),
  },
  keyBytes: {
    settings: {},
    code: 'STORE_INVALID_REQUEST',
    passes: ({ client }) => client.put('k'.repeat(KEY_BYTES_MAX), value(1)),
    bites: ({ client }) => client.put('k'.repeat(KEY_BYTES_MAX + 1), value(1)),
  },
  quotaBytes: {
    settings: { quotaBytes: 1_000 },
    code: 'STORE_QUOTA_EXCEEDED',
    passes: ({ client }) => client.put('k', value(1_000 - 64 - 1)),
    bites: ({ client }) => client.put('l', value(1)),
  },
  proposalsWaitingMax: {
    settings: { proposalsWaitingMax: 3 },
    code: 'STORE_UNAVAILABLE',
    passes: async ({ client, raft }) => {
      raft.hold();
      for (const name of ['a', 'b', 'c']) client.put(name, value(1)).catch(() => {});
    },
    bites: ({ client }) => client.put('d', value(1)),
  },
  applyLagMax: {
    settings: { applyLagMax: 10 },
    code: 'STORE_UNAVAILABLE',
    passes: ({ client, raft }) => {
      raft.lag = 10;
      return client.put('k', value(1));
    },
    bites: async ({ client, raft }) => {
      raft.lag = 11;
      // What Raft says of its commit index is looked at anew after a few milliseconds.
      for (let deadline = Date.now() + 5_000; Date.now() < deadline; ) await client.put('k', value(1));
    },
  },
  unwrittenBytesMax: {
    settings: { unwrittenBytesMax: 2_000 },
    code: 'STORE_UNAVAILABLE',
    passes: async ({ client, disk }) => {
      disk.setFault(() => new Promise(() => {}));
      await client.put('k', value(1_000));
      return client.put('l', value(1_500));
    },
    bites: ({ client }) => client.put('m', value(1)),
  },
  watchesMax: {
    settings: { watchesMax: 2 },
    code: 'STORE_UNAVAILABLE',
    passes: async ({ client }) => [
      client.watch({ key: 'a', signal: signal() }),
      client.watch({ key: 'b', signal: signal() }),
    ],
    bites: async ({ client }) => client.watch({ key: 'c', signal: signal() }),
  },
};

for (const [name, { settings, code, passes, bites }] of Object.entries(cases)) {
  test(`${name}: up to it all is well, beyond it the answer is ${code}`, async t => {
    const one = await member(settings);
    await t.notThrowsAsync(passes(one));
    await t.throwsAsync(bites(one), { code });
  });
}

test('a back-pressure limit lets go when its cause does', async t => {
  const { client, raft } = await member({ proposalsWaitingMax: 2 });
  raft.hold();
  const waiting = [client.put('a', value(1)), client.put('b', value(1))];
  await t.throwsAsync(client.put('c', value(1)), { code: 'STORE_UNAVAILABLE', message: /try again later/ });
  raft.release();
  await Promise.all(waiting);
  await client.put('c', value(1));
  t.is((await client.range({ key: 'c' })).count, 1);
});

test('what a member lets in while it is behind waits, counts as waiting, and is done once it has caught up', async t => {
  const { client, raft } = await member({ applyLagMax: 10, proposalsWaitingMax: 1, clientTimeoutMs: 5_000 });
  raft.lag = 11;
  const first = client.put('a', value(1));
  await t.throwsAsync(client.put('b', value(1)), { code: 'STORE_UNAVAILABLE', message: /wait on this member/ });
  raft.lag = 0;
  await first;
  t.is((await client.range({ key: 'a' })).count, 1);
  await client.put('b', value(1));
});

test('one watch hands over no more events at once than it may, and never a part of a revision', async t => {
  const { client } = await member({ watchBatchEventsMax: 4, watchScanRevisionsMax: 3 });
  const { revision } = await client.transaction({ then: puts(10) });
  for (let n = 0; n < 9; n++) await client.put('k0', value(1));
  const sizes: number[] = [];
  for await (const batch of client.watch({ key: 'k', end: 'l', startRevision: revision, signal: signal() })) {
    sizes.push(batch.events.length);
    if (sizes.reduce((sum, size) => sum + size, 0) === 19) break;
  }
  t.is(sizes[0], 10);
  t.true(sizes.slice(1).every(size => size <= 4));
});

/** Fills a store with a quota of 10,000 bytes up to the brim. */
async function fill(store: StoreClient): Promise<void> {
  for (let n = 0; n < 9; n++) await store.put(`/${n}`, value(1_000));
}

for (const [name, make] of Object.entries({
  local: async () => (await member({ quotaBytes: 10_000 })).client,
  memory: async () => createMemoryStore({ limits: { quotaBytes: 10_000 } }),
})) {
  test(`${name}: at the quota the store raises an alarm, takes only what shrinks it, and recovers by itself`, async t => {
    const store = await make();
    const lease = await store.grantLease(1_000);
    await store.put('/leased', value(100), { lease: lease.id });
    await fill(store);
    await store.put('/0', value(1_000));
    t.deepEqual(await store.alarms(), [], 'replacing a value by one as long takes no room');
    await t.throwsAsync(store.put('/more', value(1_000)), { code: 'STORE_QUOTA_EXCEEDED' });
    await eventually(t, async () => (await store.alarms()).length === 1);
    t.like((await store.alarms())[0], { type: 'NOSPACE', cause: 'quota' });
    await t.throwsAsync(store.put('/0', value(1)), { code: 'STORE_QUOTA_EXCEEDED' });
    await t.throwsAsync(store.grantLease(5), { code: 'STORE_QUOTA_EXCEEDED' });
    await store.keepLeaseAlive(lease.id);
    await store.compact((await store.status()).revision);
    await store.revokeLease(lease.id);
    t.is((await store.range({ key: '/', end: '0' })).count, 9);
    await store.delete('/', { end: '0' });
    if (name === 'memory') t.deepEqual(await store.alarms(), []);
    else t.like(await store.disarmAlarm({ type: 'NOSPACE' }), [{ cause: 'quota' }]);
    await store.put('/more', value(1_000));
  });
}

test('a setting that is no size, or more than the state accepts, is refused by name', t => {
  const wrong: Partial<StoreLimits>[] = [
    { quotaBytes: 0 },
    { quotaBytes: Number.NaN },
    { watchesMax: -1 },
    { requestBytesMax: REQUEST_BYTES_CEILING + 1 },
    { transactionOperationsMax: TRANSACTION_OPERATIONS_CEILING + 1 },
    { diskReserveBytes: 0 },
  ];
  for (const settings of wrong) {
    t.throws(() => resolveLimits(settings), {
      instanceOf: RangeError,
      message: new RegExp(Object.keys(settings)[0] ?? ''),
    });
  }
  t.deepEqual(resolveLimits(), STORE_LIMITS);
  t.is(resolveLimits({ requestBytesMax: REQUEST_BYTES_CEILING }).requestBytesMax, REQUEST_BYTES_CEILING);
});

test('what one member lets in, another with narrower limits applies just the same', async t => {
  const wide = await member({
    requestBytesMax: 10_000_000,
    transactionOperationsMax: 1_000,
    quotaBytes: 1_000_000_000,
  });
  const narrow = await member({ requestBytesMax: 100, transactionOperationsMax: 1, quotaBytes: 100 });
  const seen: Uint8Array[] = [];
  wide.raft.observe = data => seen.push(data);
  await wide.client.put('large', value(5_000_000));
  await wide.client.transaction({ then: puts(900) });
  let index = 0;
  for (const data of seen) narrow.replica.apply([{ index: ++index, term: 1, data }], index);
  t.is(narrow.replica.state.revision, wide.replica.state.revision);
  t.is(narrow.replica.hashAt(3), wide.replica.hashAt(3));
});

async function eventually(t: ExecutionContext, holds: () => Promise<boolean>): Promise<void> {
  for (let deadline = Date.now() + 5_000; Date.now() < deadline; ) {
    if (await holds()) return;
    await new Promise(resolve => setImmediate(resolve));
  }
  t.fail('it did not come about');
}
