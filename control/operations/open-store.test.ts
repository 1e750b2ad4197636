/** Opening a master's store when something is wrong with it and nobody can help. The cases with others are in test/e2e. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { systemClock } from '../../store/index.ts';
import { OperationError } from './errors.ts';
import { judge } from './foreign.ts';
import { otherVoters, readMemberFile, writeMemberFile } from './member-file.ts';
import { keepMemberFile, type MasterStoreOptions, openMasterStore } from './open-store.ts';
import { Peers } from './peers.ts';

const authority = await TestAuthority.create();
const folder = await mkdtemp(join(tmpdir(), 'raftsman-open-'));
test.after.always(() => rm(folder, { recursive: true, force: true }));
const silent = { debug() {}, info() {}, warn() {}, error() {} };

async function optionsFor(name: string): Promise<MasterStoreOptions> {
  const port = await freePort();
  return {
    dataDir: join(folder, name),
    isJoining: false,
    isLearner: false,
    replaces: undefined,
    discover: () => Promise.reject(new Error('nobody to ask')),
    peers: new Peers({
      credentials: { authority: '', certificate: '', key: '' },
      servers: async () => [],
      delay: async () => {},
      signal: AbortSignal.abort(),
    }),
    store: {
      name,
      peer: {
        address: `127.0.0.1:${port}`,
        listen: { host: '127.0.0.1', port },
        tls: await authority.issue('member'),
        serverName: 'localhost',
      },
      clientUrl: `https://127.0.0.1:${port}`,
      clock: systemClock,
      random: Math.random,
      onFatal: error => {
        throw error;
      },
    },
    clock: { now: () => 0, setTimeout: (callback, ms) => systemClock.setTimeout(callback, ms) },
    logger: silent,
  };
}

test('a master that is alone and has lost its log or its store is told to restore, and must not begin anew', async t => {
  const options = await optionsFor('one');
  await mkdir(options.dataDir, { recursive: true });
  const store = await openMasterStore(options);
  await store.client.put('/a', new TextEncoder().encode('1'));
  const stop = keepMemberFile({
    dataDir: options.dataDir,
    store,
    clock: options.clock,
    onFailure: error => t.fail(String(error)),
  });
  for (
    const deadline = Date.now() + 10_000;
    (await readMemberFile(options.dataDir)) === undefined && Date.now() < deadline;
  ) {
    await new Promise(resolve => setImmediate(resolve));
  }
  stop();
  t.like(await readMemberFile(options.dataDir), { name: 'one', memberId: store.identity.memberId });
  await store.close();

  await rm(join(options.dataDir, 'store', 'raft'), { recursive: true });
  const noLog = await t.throwsAsync(openMasterStore(options), { instanceOf: OperationError });
  t.is(noLog?.exitCode, 3);
  t.regex(noLog?.message ?? '', /raftsman snapshot restore FILE --data-dir .*one --force/);
  await rm(join(options.dataDir, 'store'), { recursive: true });
  const wiped = await t.throwsAsync(openMasterStore(options), { instanceOf: OperationError });
  t.is(wiped?.exitCode, 3);
  t.regex(wiped?.message ?? '', /store is gone.*No other master has the data/);
});

test('the member file only helps: what is no member file counts as none', async t => {
  const dataDir = join(folder, 'file');
  await mkdir(dataDir);
  t.is(await readMemberFile(dataDir), undefined);
  await writeFile(join(dataDir, 'member.json'), '{"version":2}');
  t.is(await readMemberFile(dataDir), undefined);
  const member = (id: string, role: 'voter' | 'learner') => ({
    id,
    name: id,
    peerAddress: 'x:1',
    clientUrl: 'https://x',
    role,
  });
  const file = {
    version: 1,
    clusterId: 'c',
    memberId: 'a',
    name: 'a',
    members: [member('a', 'voter'), member('b', 'voter'), member('c', 'learner')],
  } as const;
  await writeMemberFile(dataDir, { ...file, members: [...file.members] });
  t.deepEqual(
    otherVoters(await readMemberFile(dataDir)).map(({ id }) => id),
    ['b'],
  );
  t.deepEqual(otherVoters(undefined), []);
});

const verdicts: readonly (readonly [answers: readonly (string | undefined)[], verdict: string | undefined])[] = [
  [[], undefined],
  [[undefined, undefined], undefined],
  [['ours', undefined], undefined],
  [['ours', 'other'], undefined],
  [['other', undefined], 'other'],
  [[undefined, 'other'], 'other'],
];
for (const [answers, verdict] of verdicts) {
  test(`of ${JSON.stringify(answers)} the other cluster is ${verdict}`, t => t.is(judge('ours', answers), verdict));
}
