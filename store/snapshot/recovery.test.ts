/** A new cluster out of a snapshot, or out of whatever one of three members still has. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { LevelStorage, type Membership, membershipCodec } from '../../raft/index.ts';
import { dataFiles } from '../../raft/storage/testing/damage.ts';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { CompactedError, type StoreClient } from '../client/client.ts';
import { bytes, open, text } from '../client/contract.ts';
import { encodeCommand } from '../codec/command.ts';
import { openStore } from '../member/open.ts';
import type { OpenStore } from '../member/options.ts';
import { TestCluster } from '../testing/cluster.ts';
import { writeSnapshotFile } from './file.ts';
import { REVISION_BUMP } from './limits.ts';
import { resetStore, restoreStore } from './recovery.ts';
import { DamagedLogError, SurvivorError } from './survivor.ts';

const authority = await TestAuthority.create();
const makeCluster = async () => TestCluster.create(await authority.issue('member'), Math.random);
const folder = await mkdtemp(join(tmpdir(), 'raftsman-recovery-'));
test.after.always(() => rm(folder, { recursive: true, force: true }));
let number = 0;
const newFolder = () => join(folder, `${++number}`);

async function valuesOf(client: StoreClient): Promise<Record<string, string>> {
  const { items } = await client.range({ key: '/', end: '0' });
  return Object.fromEntries(items.map(item => [item.key, text(item.value)]));
}

/** Opens recovered data as a member of a cluster of its own, and looks that it is whole and can grow. */
async function reopen(cluster: TestCluster, name: string, dataDir: string): Promise<OpenStore> {
  const member = await openStore(cluster.options(name, await freePort(), { dataDir }));
  await member.client.range({ key: '/' });
  return member;
}

test('a snapshot becomes a new cluster: other ids, a later revision, an older history that counts as compacted', async t => {
  await using cluster = await makeCluster();
  const old = await cluster.start('one');
  const lease = await old.client.grantLease(1000);
  for (let n = 0; n < 200; n++)
    await old.client.put(`/k/${n % 50}`, bytes(`${n}`), { lease: n % 50 === 3 ? lease.id : 0 });
  const { revision } = await old.client.delete('/k/7');
  const before = await valuesOf(old.client);
  const file = join(folder, 'one.snap');
  await writeSnapshotFile(file, old.client.saveSnapshot());

  const dataDir = newFolder();
  const restored = await restoreStore({ file, directory: dataDir, random: Math.random });
  t.like(restored, { name: 'one', revision: revision + REVISION_BUMP, keys: 49 });
  t.not(restored.clusterId, old.identity.clusterId);
  t.not(restored.memberId, old.identity.memberId);

  const port = await freePort();
  const member = await openStore(cluster.options('one', port, { dataDir }));
  t.deepEqual(await valuesOf(member.client), before);
  const status = await member.client.status();
  t.is(status.revision, restored.revision);
  t.is(status.compactedRevision, restored.revision);
  // Who knew the old history hears that it is gone, and may begin again at what was read.
  await using late = open(member.client, { key: '/', end: '0', startRevision: revision });
  await t.throwsAsync(late.next(), { instanceOf: CompactedError });
  await t.throwsAsync(member.client.range({ key: '/k/1', revision }), { instanceOf: CompactedError });
  const put = await member.client.put('/k/1', bytes('new'));
  t.is(put.revision, restored.revision + 1);
  await using watch = open(member.client, { key: '/', end: '0', startRevision: restored.revision });
  t.is((await watch.until(put.revision)).length, 1);
  await member.client.revokeLease(lease.id);
  t.is((await member.client.range({ key: '/k/3' })).count, 0);

  // The member has told its addresses, and others join and get everything.
  const second = await openStore(
    cluster.options('two', await freePort(), {
      dataDir: newFolder(),
      beginning: { type: 'join', discover: async (): Promise<Membership> => member.raft.status().membership },
      announce: newcomer => member.raft.addMember(newcomer),
    }),
  );
  t.is((await second.client.members()).members.find(({ name }) => name === 'one')?.peerAddress, `127.0.0.1:${port}`);
  t.deepEqual(await valuesOf(second.client), await valuesOf(member.client));
  await second.close();
  await member.close();
  // The same file serves again, and a bump of another size.
  const again = await restoreStore({ file, directory: newFolder(), name: 'x', bumpRevision: 5, random: Math.random });
  t.like(again, { revision: revision + 5, name: 'x' });
});

/** Three members that agree on something, then are stopped. Answers with their directories, the leader's first. */
async function threeStopped(cluster: TestCluster) {
  for (const name of ['one', 'two', 'three']) await cluster.start(name);
  const [first] = cluster.members;
  for (let n = 0; n < 30; n++) await first!.client.put(`/${n % 10}`, bytes(`${n}`));
  const { revision } = await first!.client.status();
  const { leaderId } = await first!.client.status();
  for (const member of cluster.members) await until(async () => (await member.client.status()).revision === revision);
  const expected = await valuesOf(first!.client);
  const sorted = [...cluster.members].sort(
    (a, b) => Number(b.identity.memberId === leaderId) - Number(a.identity.memberId === leaderId),
  );
  for (const member of cluster.members.splice(0)) await member.close();
  return {
    revision,
    expected,
    members: sorted.map(({ identity }) => ({ identity, dataDir: cluster.options(identity.name, 0).dataDir })),
  };
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    if (await condition()) return;
    await new Promise(resolve => setImmediate(resolve));
  }
  throw new Error('not in time');
}

test('whoever survives of three keeps all it has and becomes a cluster of its own', async t => {
  await using cluster = await makeCluster();
  const { revision, expected, members } = await threeStopped(cluster);
  for (const { identity, dataDir } of members) {
    const directory = newFolder();
    const result = await resetStore({ from: dataDir, directory, random: Math.random });
    t.like(result, { name: identity.name, revision: revision + REVISION_BUMP, oldClusterId: identity.clusterId });
    t.not(result.clusterId, identity.clusterId);
    const member = await reopen(cluster, identity.name, directory);
    t.deepEqual(await valuesOf(member.client), expected);
    t.is((await member.client.members()).members.length, 1);
    await member.client.put('/after', bytes('x'));
    await member.close();
    // The old data did not change: the same can be done again.
    t.is((await resetStore({ from: dataDir, directory: newFolder(), random: Math.random })).revision, result.revision);
  }
});

test('a log with entries that nobody confirmed, and with memberships in the middle of a change, is kept whole', async t => {
  await using cluster = await makeCluster();
  const { revision, expected, members } = await threeStopped(cluster);
  const [{ identity, dataDir } = { identity: undefined, dataDir: '' }] = members;
  const storage = new LevelStorage({ directory: join(dataDir, 'raft') });
  const recovered = await storage.open();
  const lastIndex = recovered.entries.at(-1)?.index ?? recovered.snapshot.index;
  const term = recovered.hardState.term + 1;
  const membership = recovered.entries
    .filter(({ kind }) => kind === 'membership')
    .map(({ data }) => membershipCodec.decode(data))
    .at(-1)!;
  const learner = {
    id: 'abcdefabcdefabcd',
    name: 'four',
    peerAddress: '127.0.0.1:4',
    clientUrl: 'https://127.0.0.1:4',
    role: 'learner',
    replaces: membership.members[1]!.id,
  } as const;
  const put = encodeCommand({
    type: 'transaction',
    transaction: { then: [{ type: 'put', key: '/unconfirmed', value: bytes('kept'), lease: 0 }] },
  });
  await storage.save({
    hardState: { term, votedFor: identity!.memberId, commit: recovered.hardState.commit },
    entries: [
      { index: lastIndex + 1, term, kind: 'noop', data: new Uint8Array() },
      {
        index: lastIndex + 2,
        term,
        kind: 'membership',
        data: membershipCodec.encode({ ...membership, members: [...membership.members, learner] }),
      },
      { index: lastIndex + 3, term, kind: 'command', data: put },
    ],
  });
  await storage.close();
  const directory = newFolder();
  const result = await resetStore({ from: dataDir, directory, random: Math.random });
  t.is(result.revision, revision + 1 + REVISION_BUMP);
  t.true(result.uncommittedEntries >= 3);
  const member = await reopen(cluster, identity!.name, directory);
  t.deepEqual(await valuesOf(member.client), { ...expected, '/unconfirmed': 'kept' });
  t.is((await member.client.members()).members.length, 1);
  await member.close();
});

test('a log that is damaged at its end is given up only where an operator says so, and then all that is whole is kept', async t => {
  await using cluster = await makeCluster();
  const { expected, members } = await threeStopped(cluster);
  const [{ identity, dataDir } = { identity: undefined, dataDir: '' }] = members;
  // Two more entries, of which the state knows nothing; then a bit flips in the second.
  const storage = new LevelStorage({ directory: join(dataDir, 'raft') });
  const { entries, hardState } = await storage.open();
  const lastIndex = entries.at(-1)?.index ?? 0;
  const put = (key: string, index: number) => {
    const data = encodeCommand({
      type: 'transaction',
      transaction: { then: [{ type: 'put', key, value: bytes(key), lease: 0 }] },
    });
    const { term, votedFor } = hardState;
    return storage.save({
      hardState: { term, votedFor, commit: lastIndex },
      entries: [{ index, term, kind: 'command', data }],
    });
  };
  await put('/whole', lastIndex + 1);
  await put('/damaged', lastIndex + 2);
  await storage.close();
  t.true(await flipBitOf(join(dataDir, 'raft'), '/damaged'));

  const directory = newFolder();
  const refused = await t.throwsAsync(resetStore({ from: dataDir, directory, random: Math.random }), {
    instanceOf: DamagedLogError,
  });
  t.regex(refused?.message ?? '', new RegExp(`up to entry ${lastIndex + 1} is whole.*--accept-loss`));
  t.like(refused?.lost, { afterIndex: lastIndex + 1, records: 1 });
  const result = await resetStore({ from: dataDir, directory, random: Math.random, acceptLoss: true });
  t.like(result.lost, { afterIndex: lastIndex + 1, records: 1 });
  const member = await reopen(cluster, identity!.name, directory);
  t.deepEqual(await valuesOf(member.client), { ...expected, '/whole': '/whole' });
  t.true(member.raft.status().term > hardState.term + 1_000, 'above every term of what is lost');
  await member.close();
});

/** Flips a bit where `text` stands in one of the files. */
async function flipBitOf(directory: string, text: string): Promise<boolean> {
  for (const path of await dataFiles(directory)) {
    const content = await readFile(path);
    const at = content.indexOf(text);
    if (at === -1) continue;
    content[at] = (content[at] ?? 0) ^ 1;
    await writeFile(path, content);
    return true;
  }
  return false;
}

test('a member that lags, and one that only learns, can be what is left', async t => {
  await using cluster = await makeCluster();
  const first = await cluster.start('one');
  for (let n = 0; n < 5; n++) await first.client.put(`/${n}`, bytes('early'));
  const second = await cluster.start('two', { announce: member => first.raft.addLearner(member) });
  await until(async () => (await second.client.status()).revision === 6);
  await second.close();
  cluster.members.pop();
  for (let n = 0; n < 5; n++) await first.client.put(`/${n}`, bytes('late'));
  const directory = newFolder();
  await resetStore({ from: cluster.options('two', 0).dataDir, directory, random: Math.random });
  const member = await reopen(cluster, 'two', directory);
  t.is((await valuesOf(member.client))['/4'], 'early');
  t.is((await member.client.members()).members[0]?.role, 'voter');
  await member.close();
});

test('what is in use, empty, or half rebuilt is refused', async t => {
  await using cluster = await makeCluster();
  const member = await cluster.start('one');
  await member.client.put('/a', bytes('1'));
  const from = cluster.options('one', 0).dataDir;
  await t.throwsAsync(resetStore({ from, directory: newFolder(), random: Math.random }), { code: 'RAFT_DATA_LOCKED' });
  await t.throwsAsync(resetStore({ from: newFolder(), directory: newFolder(), random: Math.random }), {
    instanceOf: SurvivorError,
    message: /holds no member/,
  });
  await member.close();
  cluster.members.pop();
  const restored = newFolder();
  await resetStore({ from, directory: restored, random: Math.random });
  await rm(join(restored, 'state'), { recursive: true });
  await t.throwsAsync(resetStore({ from: restored, directory: newFolder(), random: Math.random }), {
    instanceOf: SurvivorError,
    message: /Reset another master, or restore a snapshot/,
  });
});
