import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { TestAuthority } from '../raft/transport/testing/certificates.ts';
import type { StoreClient } from './client/client.ts';
import { bytes, open, storeContract, text } from './client/contract.ts';
import { systemClock } from './clock.ts';
import { DataDirectoryError, ListenError, openStore } from './open.ts';
import { RemoteClient } from './remote/client.ts';
import { freePort, TestCluster } from './testing/cluster.ts';

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
  await t.throwsAsync(openStore(options), { instanceOf: DataDirectoryError, message: /no log/ });
});
