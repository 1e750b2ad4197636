import test from 'ava';
import { MemoryBackend, MemoryStateDisk } from '../backend/memory.ts';
import { UnavailableError, UnknownOutcomeError, WatchLostError } from '../client/client.ts';
import { bytes, open, storeContract } from '../client/contract.ts';
import { LocalClient } from '../client/local.ts';
import { systemClock } from '../clock.ts';
import { followLeadership } from '../duties.ts';
import type { ApplyResult } from '../mvcc/command.ts';
import { Replica } from '../replica.ts';
import { SingleRaft } from '../testing/single-raft.ts';
import { RemoteClient } from './client.ts';
import { StoreServer } from './server.ts';

async function makeServer() {
  const onFatal = (error: Error) => {
    throw error;
  };
  const replica = new Replica({ backend: new MemoryBackend(new MemoryStateDisk()), clock: systemClock, onFatal });
  const raft = new SingleRaft<ApplyResult>(replica);
  await raft.start();
  const local = new LocalClient({ raft, replica, clock: systemClock, random: Math.random, timeoutMs: 200 });
  const stop = followLeadership({ raft, replica, client: local, clock: systemClock });
  const server = new StoreServer({ client: local, clock: systemClock, listen: { host: '127.0.0.1', port: 0 } });
  const port = await server.start();
  const done = async () => {
    await server.close();
    stop();
    await local.close();
    await raft.close();
  };
  return { url: `ws://127.0.0.1:${port}`, raft, server, local, done };
}

function makeClient(urls: readonly string[], timeoutMs = 5_000): RemoteClient {
  return new RemoteClient({ urls, clock: systemClock, random: () => 0.5, timeoutMs });
}

storeContract(test, 'remote', async () => {
  const { url, done } = await makeServer();
  const store = makeClient(['ws://127.0.0.1:1', url]);
  return {
    store,
    done: async () => {
      await store.close();
      await done();
    },
  };
});

test('remote: an unknown outcome is passed on, not repeated', async t => {
  const { url, raft, local, done } = await makeServer();
  const store = makeClient([url]);
  await store.put('/a', bytes('1'));
  raft.mishaps.push('doneButLost');
  const before = (await local.status()).revision;
  await t.throwsAsync(store.put('/a', bytes('2')), { instanceOf: UnknownOutcomeError });
  t.is((await local.status()).revision, before + 1);
  await store.close();
  await done();
});

test('remote: goes to another member when its own is gone; watches are told', async t => {
  const first = await makeServer();
  const second = await makeServer();
  const store = makeClient([first.url]);
  await store.put('/a', bytes('1'));
  await using watch = open(store, { key: '/a', startRevision: 2 });
  await watch.next();
  const next = watch.next();
  await first.done();
  await t.throwsAsync(next, { instanceOf: WatchLostError });
  await store.close();
  const other = makeClient([first.url, second.url]);
  t.is((await other.range({ key: '/a' })).count, 0);
  await other.close();
  await second.done();
});

test('remote: with nobody there it says so in time', async t => {
  const store = makeClient(['ws://127.0.0.1:1'], 100);
  const error = await t.throwsAsync(store.put('/a', bytes('1')), { instanceOf: UnavailableError });
  t.regex(error?.message ?? '', /no member can be reached/);
  await store.close();
  await t.throwsAsync(store.range({ key: '/a' }), { instanceOf: UnavailableError });
});

test('remote: a slow reader gets everything, and the server does not run ahead of it', async t => {
  const { url, local, done } = await makeServer();
  const store = makeClient([url]);
  const { revision } = await local.put('/s', bytes('0'));
  await using watch = open(store, { key: '/s', startRevision: revision });
  await watch.next();
  let last = revision;
  for (let n = 1; n <= 100; n++) last = (await local.put('/s', bytes(`${n}`))).revision;
  const events = await watch.until(last);
  t.deepEqual(
    events.map(event => event.item.modRevision),
    Array.from({ length: 100 }, (_, n) => revision + 1 + n),
  );
  await store.close();
  await done();
});
