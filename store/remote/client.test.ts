import test from 'ava';
import { WebSocket } from 'ws';
import { MemoryBackend, MemoryStateDisk } from '../backend/memory.ts';
import { UnavailableError, UnknownOutcomeError, WatchLostError } from '../client/client.ts';
import { bytes, type MakeStore, open, storeContract } from '../client/contract.ts';
import { LocalClient } from '../client/local.ts';
import { watchContract } from '../client/watch-contract.ts';
import { systemClock } from '../clock.ts';
import { encodeCommand } from '../codec/command.ts';
import { followLeadership } from '../duties/duties.ts';
import { resolveLimits, type StoreLimits } from '../limits.ts';
import type { ApplyResult } from '../mvcc/command.ts';
import { Replica } from '../replica.ts';
import { SingleRaft } from '../testing/single-raft.ts';
import { RemoteClient } from './client.ts';
import { Connection } from './connection.ts';
import { StoreServer } from './server.ts';

async function makeServer(settings: Partial<StoreLimits> = {}) {
  const onFatal = (error: Error) => {
    throw error;
  };
  const replica = new Replica({ backend: new MemoryBackend(new MemoryStateDisk()), clock: systemClock, onFatal });
  const raft = new SingleRaft<ApplyResult>(replica);
  await raft.start();
  const local = new LocalClient({ raft, replica, clock: systemClock, random: Math.random, timeoutMs: 200 });
  const stop = followLeadership({ raft, replica, client: local, clock: systemClock });
  const server = new StoreServer({
    client: local,
    clock: systemClock,
    listen: { host: '127.0.0.1', port: 0 },
    limits: resolveLimits(settings),
  });
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

const make: MakeStore = async () => {
  const { url, done } = await makeServer();
  const store = makeClient(['ws://127.0.0.1:1', url]);
  return {
    store,
    done: async () => {
      await store.close();
      await done();
    },
  };
};

storeContract(test, 'remote', make);
watchContract(test, 'remote', make);

test('remote: one connection gets no more watches than it may, and another one is not concerned', async t => {
  const { url, done } = await makeServer({ connectionWatchesMax: 2 });
  const [one, other] = [makeClient([url], 200), makeClient([url], 200)];
  const signal = () => new AbortController().signal;
  const begun = ['/a', '/b'].map(key => open(one, { key, progressMs: 10 }));
  for (const watch of begun) t.deepEqual((await watch.next()).events, []);
  const third = one.watch({ key: '/c', signal: signal() })[Symbol.asyncIterator]().next();
  await t.throwsAsync(third, { message: /too many watches/ });
  const elsewhere = open(other, { key: '/c', progressMs: 10 });
  t.deepEqual((await elsewhere.next()).events, []);
  for (const watch of [...begun, elsewhere]) await watch[Symbol.asyncDispose]();
  await one.close();
  await other.close();
  await done();
});

test('remote: one connection gets no more requests at once than it may, and hears so', async t => {
  const { url, raft, done } = await makeServer({ connectionRequestsMax: 2 });
  const connection = await Connection.open(url, { clock: systemClock });
  const put = (key: string) => {
    const then = [{ type: 'put', key, value: bytes('1') }] as const;
    return connection.request('execute', encodeCommand({ type: 'transaction', transaction: { then } }), 10_000);
  };
  raft.hold();
  const waiting = [put('/a'), put('/b')];
  await t.throwsAsync(put('/c'), { code: 'STORE_UNAVAILABLE', message: /too many requests/ });
  raft.release();
  await Promise.all(waiting);
  await put('/c');
  connection.close();
  await done();
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

/** Counts what is sent over WebSockets, by both sides, while `action` runs. */
async function sentDuring(action: () => Promise<void>): Promise<{ frames: number; bytes: number }> {
  const sent = { frames: 0, bytes: 0 };
  const original = WebSocket.prototype.send;
  WebSocket.prototype.send = function (this: WebSocket, ...[data, ...more]: Parameters<typeof original>) {
    sent.frames++;
    sent.bytes += (data as Uint8Array).length;
    return Reflect.apply(original, this, [data, ...more]);
  } as typeof original;
  try {
    await action();
  } finally {
    WebSocket.prototype.send = original;
  }
  return sent;
}

test.serial('remote: a thousand puts of one turn travel in a few frames', async t => {
  const { url, done } = await makeServer();
  const store = makeClient([url]);
  await store.status();
  const { frames } = await sentDuring(async () => {
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => store.put(`/k${n}`, bytes('v'))));
  });
  t.true(frames <= 10, `${frames} frames`);
  await store.close();
  await done();
});

test.serial('remote: an event goes once over a connection, however many watches want it', async t => {
  const { url, local, done } = await makeServer();
  const store = makeClient([url]);
  const { revision } = await local.put('/w', bytes('0'));
  const abort = new AbortController();
  const watches = Array.from({ length: 200 }, () =>
    store.watch({ key: '/w', startRevision: revision + 1, signal: abort.signal })[Symbol.asyncIterator](),
  );
  const take = () => Promise.all(watches.map(watch => watch.next()));
  const first = take();
  await local.put('/w', Buffer.alloc(1_000));
  await first;
  const { bytes: sent } = await sentDuring(async () => {
    const next = take();
    await local.put('/w', Buffer.alloc(1_000));
    for (const { value } of await next) t.is(value?.events[0]?.item.value.length, 1_000);
  });
  // Value and previous value are 2,000 bytes; two hundred times that would be 400,000.
  t.true(sent < 20_000, `${sent} bytes`);
  abort.abort();
  await store.close();
  await done();
});
