import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { Level } from 'level';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { StateCorruptError } from '../backend/backend.ts';
import type { StoreClient } from '../client/client.ts';
import { bytes, open, storeContract, text } from '../client/contract.ts';
import { systemClock } from '../clock.ts';
import { HANDSHAKE_TIMEOUT_MS } from '../limits.ts';
import { RemoteClient } from '../remote/client.ts';
import { TestCluster } from '../testing/cluster.ts';
import { openStore } from './open.ts';
import { DataDirectoryError, ListenError, LogMissingError } from './options.ts';

const authority = await TestAuthority.create();

const makeCluster = async () => TestCluster.create(await authority.issue('member'), Math.random);

/** Waits until a member has a key, reading only its own state. */
async function eventually(client: StoreClient, key: string): Promise<string> {
  for (let deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    const { items } = await client.range({ key, serializable: true });
    if (items[0] !== undefined) return text(items[0].value);
    await new Promise(resolve => setImmediate(resolve));
  }
  throw new Error(`${key} did not arrive`);
}

storeContract(test, 'one member', async () => {
  const cluster = await makeCluster();
  const { client } = await cluster.start('one');
  // Wait for the first election.
  await client.range({ key: '/' });
  return { store: client, done: () => cluster[Symbol.asyncDispose]() };
});

test('a member finds its data again, also after many restarts', async t => {
  const cluster = await makeCluster();
  const port = await freePort();
  let revision = 0;
  let identity: unknown;
  for (let life = 1; life <= 4; life++) {
    const member = await openStore(cluster.options('one', port));
    const { items } = await member.client.range({ key: '/', end: '0' });
    t.deepEqual(
      items.map(item => text(item.value)),
      Array.from({ length: life - 1 }, (_, n) => `${n + 1}`),
    );
    t.is((await member.client.status()).revision, revision === 0 ? 1 : revision);
    if (identity !== undefined) t.deepEqual(member.identity, identity as typeof member.identity);
    identity = member.identity;
    revision = (await member.client.put(`/${life}`, bytes(`${life}`))).revision;
    await member.close();
  }
  await cluster[Symbol.asyncDispose]();
});

test('clients that say nothing, on any port of a member, do not hold up its end', async t => {
  const cluster = await makeCluster();
  const { tls } = cluster;
  const port = await freePort();
  const member = await openStore({
    ...cluster.options('one', port),
    serveEtcd: { listen: { host: '127.0.0.1', port: 0 }, tls },
  });
  const silent = await Promise.all(
    [port, member.servedPort, member.etcdPort].map(async one => {
      const socket = connect({ host: '127.0.0.1', port: one ?? 0 });
      socket.on('error', () => undefined);
      t.teardown(() => socket.destroy());
      await once(socket, 'connect');
      return socket.resume();
    }),
  );
  const ends = silent.map(socket => once(socket, 'close'));
  const startedAt = performance.now();
  await member.close();
  await Promise.all(ends);
  t.true(performance.now() - startedAt < HANDSHAKE_TIMEOUT_MS, 'nobody waited for their handshakes');
  await cluster[Symbol.asyncDispose]();
});

test('three members: any of them writes, all of them read what was written last', async t => {
  await using cluster = await makeCluster();
  const first = await cluster.start('one');
  await first.client.put('/before', bytes('x'));
  await cluster.start('two');
  await cluster.start('three');
  t.is(first.raft.status().membership.members.filter(({ role }) => role === 'voter').length, 3);
  for (const [n, writer] of cluster.members.entries()) {
    await writer.client.put('/k', bytes(`${n}`));
    for (const reader of cluster.members) {
      t.is(text((await reader.client.range({ key: '/k' })).items[0]!.value), `${n}`);
    }
  }
  for (const { client } of cluster.members) t.is(await eventually(client, '/before'), 'x');
  const lease = await cluster.members[2]!.client.grantLease(1);
  const put = await cluster.members[1]!.client.put('/leased', bytes('x'), { lease: lease.id });
  await using watch = open(cluster.members[2]!.client, { key: '/leased', startRevision: put.revision + 1 });
  t.is((await watch.next()).events[0]!.type, 'delete');
});

test('a watch goes on at another member, from the revision after the last one seen', async t => {
  await using cluster = await makeCluster();
  for (const name of ['one', 'two', 'three']) await cluster.start(name);
  const [one, two, three] = cluster.members;
  if (!one || !two || !three) throw new Error('three were started');
  const seen: number[] = [];
  let reached = (await two.client.put('/base', bytes('x'))).revision;
  const watching = open(one.client, { key: '/w/', end: '/w0', startRevision: reached + 1 });
  const write = async (from: number) => {
    for (let number = from; number < from + 20; number++) await two.client.put(`/w/${number}`, bytes('x'));
  };
  await write(0);
  while (seen.length < 10) {
    const { revision, events } = await watching.next();
    seen.push(...events.map(({ item }) => item.modRevision));
    reached = revision;
  }
  await one.close();
  await t.throwsAsync(
    (async () => {
      for (;;) reached = (await watching.next()).revision;
    })(),
  );
  seen.splice(0, seen.length, ...seen.filter(revision => revision <= reached));
  await write(20);
  const last = (await three.client.put('/w/last', bytes('x'))).revision;
  const remote = new RemoteClient({
    urls: cluster.urls().slice(1),
    tls: cluster.tls,
    clock: systemClock,
    random: Math.random,
  });
  await using resumed = open(remote, { key: '/w/', end: '/w0', startRevision: (seen.at(-1) ?? 0) + 1 });
  seen.push(...(await resumed.until(last)).map(({ item }) => item.modRevision));
  t.is(seen.length, 41);
  t.is(new Set(seen).size, 41);
  await remote.close();
});

test('a remote client survives the loss of the leader; nothing acknowledged is lost', async t => {
  await using cluster = await makeCluster();
  for (const name of ['one', 'two', 'three']) await cluster.start(name);
  const remote = new RemoteClient({
    urls: cluster.urls(),
    tls: cluster.tls,
    clock: systemClock,
    random: Math.random,
    timeoutMs: 10_000,
  });
  const acknowledged: string[] = [];
  const write = async (key: string) => {
    try {
      await remote.put(key, bytes(key));
      acknowledged.push(key);
    } catch (error) {
      // A write whose answer was lost with the leader is not acknowledged.
      t.is((error as { code?: string }).code, 'STORE_UNKNOWN_OUTCOME');
    }
  };
  for (let n = 0; n < 20; n++) await write(`/r/${n}`);
  const leaderId = (await remote.status()).leaderId;
  const at = cluster.members.findIndex(member => member.identity.memberId === leaderId);
  const [leader] = cluster.members.splice(at, 1);
  const during = Array.from({ length: 20 }, (_, n) => write(`/during/${n}`));
  await leader!.close();
  await Promise.all(during);
  for (let n = 0; n < 20; n++) await write(`/after/${n}`);
  t.true(acknowledged.length >= 40);
  for (const key of acknowledged) t.is((await remote.range({ key })).count, 1, key);
  await remote.close();
});

test('a new member gets a snapshot when the log has forgotten the beginning', async t => {
  await using cluster = await makeCluster();
  const raft = {
    heartbeatMs: 20,
    electionTimeoutMs: 150,
    compactEntries: 50,
    tailEntries: 10,
  };
  const first = await cluster.start('one', { raft });
  const lease = await first.client.grantLease(1000);
  for (let n = 0; n < 300; n++) {
    await first.client.put(`/s/${n % 100}`, bytes(`${n}-${'x'.repeat(2000)}`), { lease: n % 2 === 0 ? lease.id : 0 });
  }
  await first.client.delete('/s/7');
  await first.client.compact(100);
  const second = await cluster.start('two', { raft });
  await first.client.put('/last', bytes('1'));
  await eventually(second.client, '/last');
  const ranges = await Promise.all(
    cluster.members.map(({ client }) => client.range({ key: '/', end: '0', serializable: true })),
  );
  t.is(ranges[0]!.count, 100);
  t.deepEqual(ranges[1], ranges[0]);
  const past = await Promise.all(
    cluster.members.map(({ client }) => client.range({ key: '/', end: '0', revision: 150 })),
  );
  t.deepEqual(past[1], past[0]);
  t.is((await second.client.status()).compactedRevision, 100);
  await second.client.revokeLease(lease.id);
  t.is((await first.client.range({ key: '/s/', end: '/s0' })).count, 49);
});

test('a directory that is not this member’s is refused with a sentence on what to do', async t => {
  await using cluster = await makeCluster();
  const port = await freePort();
  const options = cluster.options('one', port);
  const member = await openStore(options);
  await member.client.put('/a', bytes('1'));
  await t.throwsAsync(openStore(options), { code: 'RAFT_DATA_LOCKED', message: /in use by another process/ });
  const busy = cluster.options('busy', port);
  await t.throwsAsync(openStore(busy), { instanceOf: ListenError, message: /is in use/ });
  await member.close();
  await t.throwsAsync(openStore({ ...options, name: 'other' }), { instanceOf: DataDirectoryError, message: /--name/ });
  await t.throwsAsync(openStore({ ...options, clusterId: 'ffffffffffffffff' }), {
    instanceOf: DataDirectoryError,
    message: /belongs to cluster/,
  });
  await rm(join(options.dataDir, 'raft'), { recursive: true });
  await t.throwsAsync(openStore(options), { instanceOf: LogMissingError, message: /no log/ });
});

/** A mark that no member wrote. */
async function damageState(dataDir: string): Promise<void> {
  const database = new Level(join(dataDir, 'state'));
  await database.put('g00000000000001', 'nonsense');
  await database.close();
}

test('a damaged state is set aside and fetched again from the others, or built again from a log that has it all', async t => {
  await using cluster = await makeCluster();
  const raft = { heartbeatMs: 20, electionTimeoutMs: 150, compactEntries: 50, tailEntries: 10 };
  const first = await cluster.start('one', { raft });
  const port = await freePort();
  const beginning = { type: 'join', discover: async () => first.raft.status().membership } as const;
  const options = cluster.options('two', port, { raft, beginning, announce: member => first.raft.addMember(member) });
  const second = await openStore(options);
  for (let n = 0; n < 200; n++) await first.client.put(`/${n}`, bytes(`${n}`));
  await eventually(second.client, '/199');
  await second.close();
  await damageState(options.dataDir);
  const again = await openStore(options);
  t.is(await eventually(again.client, '/199'), '199');
  t.is(again.identity.memberId, second.identity.memberId);
  const aside = (await readdir(options.dataDir)).filter(name => name.startsWith('damaged-'));
  t.is(aside.length, 1);
  t.true((await readdir(join(options.dataDir, aside[0]!, 'state'))).includes('CURRENT'));
  await again.close();

  const alone = cluster.options('alone', await freePort());
  const member = await openStore(alone);
  await member.client.put('/a', bytes('1'));
  await member.close();
  await damageState(alone.dataDir);
  const rebuilt = await openStore(alone);
  t.is(text((await rebuilt.client.range({ key: '/a' })).items[0]!.value), '1');
  await rebuilt.close();
});

test('a member that is alone and whose log has forgotten the beginning cannot make up for a damaged state', async t => {
  await using cluster = await makeCluster();
  const raft = { heartbeatMs: 20, electionTimeoutMs: 150, compactEntries: 50, tailEntries: 10 };
  const options = cluster.options('alone', await freePort(), { raft });
  const member = await openStore(options);
  for (let n = 0; n < 200; n++) await member.client.put(`/${n}`, bytes(`${n}`));
  await member.close();
  await damageState(options.dataDir);
  await t.throwsAsync(openStore(options), { instanceOf: StateCorruptError });
  t.deepEqual((await readdir(options.dataDir)).sort(), ['raft', 'state']);
});

test('a member that comes back under another address tells the others; where all have moved, one is told by hand', async t => {
  await using cluster = await makeCluster();
  const first = await cluster.start('one');
  const beginning = { type: 'join', discover: async () => first.raft.status().membership } as const;
  const options = cluster.options('two', await freePort(), {
    beginning,
    announce: member => first.raft.addMember(member),
  });
  const second = await openStore(options);
  await second.close();
  const moved = { ...cluster.options('two', await freePort()), dataDir: options.dataDir };
  const again = await openStore(moved);
  const addressOfTwo = async () =>
    (await first.client.members()).members.find(({ name }) => name === 'two')?.peerAddress;
  for (const deadline = Date.now() + 10_000; (await addressOfTwo()) !== moved.peer.address && Date.now() < deadline; ) {
    await new Promise(resolve => setImmediate(resolve));
  }
  t.is(await addressOfTwo(), moved.peer.address);
  await again.close();
  await first.close();
  cluster.members.pop();

  const ports = { one: await freePort(), two: await freePort() };
  const peerAddresses = new Map([['one', `127.0.0.1:${ports.one}`]]);
  const both = await Promise.all([
    openStore(cluster.options('one', ports.one)),
    openStore({ ...cluster.options('two', ports.two), dataDir: options.dataDir, peerAddresses }),
  ]);
  await both[0].client.put('/moved', bytes('1'));
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    const { members } = await both[0].client.members();
    if (members.every(({ name, peerAddress }) => peerAddress === `127.0.0.1:${ports[name as 'one' | 'two']}`)) break;
    await new Promise(resolve => setImmediate(resolve));
  }
  t.deepEqual(
    Object.fromEntries((await both[0].client.members()).members.map(({ name, peerAddress }) => [name, peerAddress])),
    { one: `127.0.0.1:${ports.one}`, two: `127.0.0.1:${ports.two}` },
  );
  for (const member of both) await member.close();
});
