/** Restore and reset in a master's data directory: what is kept, what is set aside, what is refused. */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import {
  LocalClient,
  MemoryBackend,
  MemoryStateDisk,
  Replica,
  systemClock,
  writeSnapshotFile,
} from '../../store/index.ts';
import { SingleRaft } from '../../store/testing/single-raft.ts';
import { OperationError } from './errors.ts';
import { paths } from './layout.ts';
import { refuseIfInterrupted, resetMaster, restoreMaster } from './recover.ts';
import { leaveForGood, refuseIfRemoved } from './removed.ts';

const folder = await mkdtemp(join(tmpdir(), 'raftsman-recover-'));
test.after.always(() => rm(folder, { recursive: true, force: true }));

const KEYS = { 'pki/ca.crt': 'the authority', 'pki/ca.key': 'its key', 'settings.json': '{}', '../escape': 'no' };
const AT = new Date('2026-11-21T03:04:05.678Z');
const tools = { bumpRevision: undefined, now: () => AT, random: Math.random };

let number = 0;
async function newDirectory(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const directory = join(folder, `${++number}`);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(directory, path, '..'), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  return directory;
}

/** A snapshot of two keys, with or without a cluster's keys in it. */
async function snapshotFile(attachments?: Readonly<Record<string, string>>): Promise<string> {
  const onFatal = (error: Error) => {
    throw error;
  };
  const replica = new Replica({ backend: new MemoryBackend(new MemoryStateDisk()), clock: systemClock, onFatal });
  const raft = new SingleRaft(replica);
  await raft.start();
  const more = attachments && { snapshotAttachments: () => attachments };
  const client = new LocalClient({ raft, replica, clock: systemClock, random: Math.random, ...more });
  await client.put('/a', new TextEncoder().encode('1'));
  await client.put('/b', new TextEncoder().encode('2'));
  const file = join(folder, `snapshot-${++number}.snap`);
  await writeSnapshotFile(file, client.saveSnapshot());
  await client.close();
  await raft.close();
  return file;
}

test('a snapshot with keys makes a whole master, readable by its owner only', async t => {
  const dataDir = await newDirectory();
  const outcome = await restoreMaster({ ...tools, dataDir, file: await snapshotFile(KEYS), name: 'one', force: false });
  t.like(outcome, { name: 'one', keys: 2, revision: 1_000_000_003, hasKeys: true, setAside: undefined });
  t.deepEqual((await readdir(dataDir)).sort(), ['pki', 'settings.json', 'store']);
  t.is(await readFile(join(dataDir, 'pki/ca.key'), 'utf8'), 'its key');
  t.is((await stat(join(dataDir, 'pki/ca.key'))).mode & 0o777, 0o600);
  t.false((await readdir(folder)).includes('escape'));
});

test('what is there is only moved with --force, and never deleted', async t => {
  const dataDir = await newDirectory({ 'pki/ca.crt': 'old', 'settings.json': 'old', 'agent/x': 'node', log: 'text' });
  const file = await snapshotFile(KEYS);
  const refused = await t.throwsAsync(restoreMaster({ ...tools, dataDir, file, name: 'one', force: false }), {
    instanceOf: OperationError,
  });
  t.regex(refused?.message ?? '', /holds the data of a master already \(pki, settings\.json\).*--force/);
  const outcome = await restoreMaster({ ...tools, dataDir, file, name: 'one', force: true });
  t.is(outcome.setAside, join(dataDir, 'restore-20261121T030405Z'));
  t.is(await readFile(join(outcome.setAside ?? '', 'pki/ca.crt'), 'utf8'), 'old');
  t.is(await readFile(join(dataDir, 'pki/ca.crt'), 'utf8'), 'the authority');
  t.is(await readFile(join(dataDir, 'agent/x'), 'utf8'), 'node');
});

test('a snapshot without keys takes those that are there', async t => {
  const dataDir = await newDirectory({ 'pki/ca.crt': 'mine', 'settings.json': '{}', 'store/raft/junk': 'x' });
  const outcome = await restoreMaster({ ...tools, dataDir, file: await snapshotFile(), name: 'one', force: true });
  t.false(outcome.hasKeys);
  t.is(await readFile(join(dataDir, 'pki/ca.crt'), 'utf8'), 'mine');
  t.deepEqual(await readdir(join(dataDir, 'restore-20261121T030405Z')), ['store']);
});

test('a damaged snapshot changes nothing', async t => {
  const dataDir = await newDirectory({ 'pki/ca.crt': 'mine', 'store/raft/junk': 'x' });
  const file = await snapshotFile(KEYS);
  const bytes = await readFile(file);
  await writeFile(file, bytes.subarray(0, bytes.length - 1));
  await t.throwsAsync(restoreMaster({ ...tools, dataDir, file, name: 'one', force: true }), { code: 'STORE_SNAPSHOT' });
  t.deepEqual((await readdir(dataDir)).sort(), ['pki', 'store']);
});

test('a reset keeps the keys, sets the old store aside, and can be repeated', async t => {
  const dataDir = await newDirectory();
  const file = await snapshotFile(KEYS);
  const restored = await restoreMaster({ ...tools, dataDir, file, name: 'one', force: false });
  await writeFile(paths.member(dataDir), '{"version":1}');
  const first = await resetMaster({ ...tools, dataDir });
  t.like(first, { name: 'one', keys: 2, oldClusterId: restored.clusterId, revision: 2_000_000_003 });
  const second = await resetMaster({ ...tools, dataDir, bumpRevision: 7 });
  t.like(second, { oldClusterId: first.clusterId, revision: first.revision + 7 });
  t.deepEqual((await readdir(dataDir)).sort(), [
    'pki',
    'reset-20261121T030405Z',
    'reset-20261121T030405Z-2',
    'settings.json',
    'store',
  ]);
  await t.throwsAsync(resetMaster({ ...tools, dataDir: await newDirectory() }), { message: /holds no master’s data/ });
});

test('a swap that was interrupted is noticed at start, and finished by the next reset', async t => {
  const dataDir = await newDirectory();
  await restoreMaster({ ...tools, dataDir, file: await snapshotFile(KEYS), name: 'one', force: false });
  refuseIfInterrupted(dataDir);
  await rename(paths.store(dataDir), paths.incomingStore(dataDir));
  t.throws(() => refuseIfInterrupted(dataDir), { instanceOf: OperationError, message: /was interrupted/ });
  t.is((await resetMaster({ ...tools, dataDir })).keys, 2);
  t.notThrows(() => refuseIfInterrupted(dataDir));
});

test('a removed member leaves everything but its log and its node aside, and a note that keeps it from starting', async t => {
  const files = {
    'store/raft/x': '1',
    'pki/ca.crt': '2',
    'settings.json': '3',
    'member.json': '4',
    prepared: '',
    kubeconfig: '5',
    log: '6',
    'agent/x': '7',
  };
  const dataDir = await newDirectory(files);
  await refuseIfRemoved(dataDir);
  const end = await leaveForGood(dataDir, { name: 'one', at: AT });
  t.is(end.exitCode, 3);
  t.regex(end.message, /its data is now in .*removed-20261121T030405Z.*--join/);
  t.deepEqual((await readdir(dataDir)).sort(), ['agent', 'log', 'removed-20261121T030405Z', 'removed.json']);
  t.deepEqual((await readdir(join(dataDir, 'removed-20261121T030405Z'))).length, 6);
  const again = await t.throwsAsync(refuseIfRemoved(dataDir), { instanceOf: OperationError });
  t.is(again?.exitCode, 3);
  t.regex(again?.message ?? '', /one of .* was removed from its cluster at 2026-11-21/);
});
