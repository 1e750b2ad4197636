import test from 'ava';
import { MemoryBackend, MemoryStateDisk } from '../backend/memory.ts';
import { systemClock } from '../clock.ts';
import { followLeadership } from '../duties/duties.ts';
import type { ApplyResult } from '../mvcc/command.ts';
import { Replica } from '../replica.ts';
import { SingleRaft } from '../testing/single-raft.ts';
import { UnavailableError, UnknownOutcomeError } from './client.ts';
import { bytes, storeContract } from './contract.ts';
import { LocalClient } from './local.ts';
import { watchContract } from './watch-contract.ts';

async function makeLocal(timeoutMs?: number) {
  const replica = new Replica({
    backend: new MemoryBackend(new MemoryStateDisk()),
    clock: systemClock,
    onFatal: error => {
      throw error;
    },
  });
  const raft = new SingleRaft<ApplyResult>(replica);
  await raft.start();
  const store = new LocalClient({
    raft,
    replica,
    clock: systemClock,
    random: () => 0.5,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  const stop = followLeadership({ raft, replica, client: store, clock: systemClock });
  const done = async () => {
    stop();
    await store.close();
    await raft.close();
  };
  return { store, raft, done };
}

storeContract(test, 'local', () => makeLocal());
watchContract(test, 'local', () => makeLocal());

test('local: what was certainly not done is tried again, what may have been done is not', async t => {
  const { store, raft, done } = await makeLocal();
  raft.mishaps.push('dropped', 'dropped');
  const put = await store.put('/a', bytes('1'));
  t.is(raft.mishaps.length, 0);
  raft.mishaps.push('doneButLost');
  await t.throwsAsync(store.put('/a', bytes('2')), { instanceOf: UnknownOutcomeError });
  t.is((await store.status()).revision, put.revision + 1);
  await done();
});

test('local: when nobody answers for too long the store is unavailable', async t => {
  const { store, raft, done } = await makeLocal(50);
  raft.mishaps.push(...Array.from({ length: 100 }, () => 'dropped' as const));
  await t.throwsAsync(store.put('/a', bytes('1')), { instanceOf: UnavailableError });
  await t.throwsAsync(store.range({ key: '/a' }), { instanceOf: UnavailableError });
  t.is((await store.range({ key: '/a', serializable: true })).count, 0);
  await done();
});

test('local: reads of one turn share a barrier, and a read of the past needs none', async t => {
  const { store, raft, done } = await makeLocal();
  const { revision } = await store.put('/a', bytes('1'));
  await Promise.all(Array.from({ length: 50 }, () => store.range({ key: '/a' })));
  t.is(raft.barriers, 1);
  await store.range({ key: '/a', revision });
  await store.range({ key: '/a', serializable: true });
  t.is(raft.barriers, 1);
  await store.range({ key: '/a' });
  await store.transaction({ then: [{ type: 'range', range: { key: '/a' } }] });
  t.is(raft.barriers, 3);
  await done();
});
