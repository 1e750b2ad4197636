/** What an operator does to a cluster in its life, with real processes: members, snapshots, reset, moved addresses. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { issueCertificate } from '../../control/pki/authority.ts';
import { dataFiles } from '../../raft/storage/testing/damage.ts';
import { type Api, connectApi } from '../helpers/api.ts';
import { raftsmanCommand } from '../helpers/cluster.ts';
import { etcdctl, runEtcdctl } from '../helpers/etcdctl.ts';
import { mustRun, type RunResult, run, until } from '../helpers/run.ts';

const [program, main] = raftsmanCommand;
const BASE = 19_500;
const folder = await mkdtemp(join(tmpdir(), 'raftsman-operations-'));

/** One master as a process; its ports follow from its number. */
class Master {
  readonly number: number;
  readonly name: string;
  readonly dataDir: string;
  peerPort: number;
  #child: ChildProcess | undefined;
  #ended: Promise<number | null> = Promise.resolve(null);

  constructor(number: number, name = `master-${number}`) {
    this.number = number;
    this.name = name;
    this.dataDir = join(folder, `${name}-${number}`);
    this.peerPort = BASE + 30 + number;
  }

  get port(): number {
    return BASE + this.number;
  }
  get etcdPort(): number {
    return BASE + 60 + this.number;
  }
  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }
  get kubeconfig(): string {
    return join(this.dataDir, 'kubeconfig');
  }

  start(more: readonly string[] = []): void {
    const child = spawn(
      program,
      [
        main,
        ...['server', '--name', this.name, '--data-dir', this.dataDir, '--no-agent'],
        ...['--listen', `127.0.0.1:${this.port}`, '--peer-listen', `127.0.0.1:${this.peerPort}`, ...more],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child.stderr.pipe(createWriteStream(join(folder, `${this.name}-${this.number}.log`), { flags: 'a' }));
    this.#child = child;
    this.#ended = new Promise(resolve => child.once('exit', code => resolve(code)));
  }

  /** Waits until it serves with a quorum. */
  async ready(): Promise<Api> {
    return this.#answering('/readyz');
  }

  /** Waits until it runs, be it only a learner. */
  async alive(): Promise<Api> {
    return this.#answering('/livez');
  }

  async #answering(path: string): Promise<Api> {
    await until(`${this.name}'s kubeconfig`, async () => (await readFile(this.kubeconfig)).length > 0, 40_000);
    const api = await connectApi(this.kubeconfig, this.port);
    await until(`${this.name}'s ${path}`, async () => (await api.call('GET', path)).status === 200, 40_000);
    return api;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal);
    await this.#ended;
  }

  /** The exit code, once it has ended by itself. */
  exitCode(): Promise<number | null> {
    return this.#ended;
  }

  log(): Promise<string> {
    return readFile(join(folder, `${this.name}-${this.number}.log`), 'utf8');
  }
}

const started: Master[] = [];
function master(number: number, name?: string): Master {
  const made = new Master(number, name);
  started.push(made);
  return made;
}
test.after.always(async () => {
  for (const each of started) await each.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

const raftsman = (args: readonly string[], by?: Master): Promise<string> =>
  mustRun(program, [main, ...args, ...(by === undefined ? [] : ['--kubeconfig', by.kubeconfig])]);
const tryRaftsman = (args: readonly string[], by?: Master): Promise<RunResult> =>
  run(program, [main, ...args, ...(by === undefined ? [] : ['--kubeconfig', by.kubeconfig])]);
const masterToken = async (by: Master) => (await raftsman(['token', 'create', '--role', 'master'], by)).trim();

interface Members {
  readonly clusterId: string;
  readonly leader: string;
  readonly members: readonly { id: string; name: string; role: string; state: string; peerAddress: string }[];
}
const membersOf = async (by: Master): Promise<Members> =>
  JSON.parse(await raftsman(['member', 'list', '-o', 'json'], by)) as Members;
const rolesOf = async (by: Master) =>
  Object.fromEntries((await membersOf(by)).members.map(({ name, role }) => [name, role]));

async function threeMasters(numbers: readonly [number, number, number]) {
  const [first, second, third] = numbers.map(number => master(number)) as [Master, Master, Master];
  first.start();
  const api = await first.ready();
  const joining = ['--join', first.url, '--token', await masterToken(first)];
  second.start(joining);
  third.start(joining);
  for (const each of [second, third]) (await each.ready()).close();
  return { first, second, third, api, joining };
}

const configMap = (name: string, text: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { text },
});
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
interface Stored {
  readonly metadata?: { readonly resourceVersion: string };
  readonly data?: { readonly text: string };
}
async function write(api: Api, name: string): Promise<number> {
  const { status, body } = await api.call('POST', CONFIG_MAPS, configMap(name, `${name}!`));
  if (status !== 201) throw new Error(`${name} was not written: ${JSON.stringify(body)}`);
  return Number((body as Stored).metadata?.resourceVersion);
}
const read = async (api: Api, name: string) => (await api.call('GET', `${CONFIG_MAPS}/${name}`)).body as Stored;

test.serial('members: list, add a learner, promote, replace a dead one, remove one, move one', async t => {
  const { first, second, third, api, joining } = await threeMasters([1, 2, 3]);
  await write(api, 'kept');
  const table = await raftsman(['member', 'list'], first);
  t.regex(table, /^NAME +ID +ROLE +STATE +PEERS +API\n/);
  t.regex(table, /master-1 +[0-9a-f]{16} +leader +ready +127\.0\.0\.1:\d+ +https:/);
  t.is(table.match(/ready/g)?.length, 3);

  // A learner receives everything and has no say, until it is promoted.
  const invitation = await raftsman(['member', 'add', 'master-4', '--learner'], first);
  t.regex(invitation, /^raftsman server --name master-4 .* --join https:\S+ --token raftsman:\S+ --learner\n$/);
  const fourth = master(4);
  fourth.start([...joining, '--learner']);
  const learner = await fourth.alive();
  t.is((await rolesOf(first))['master-4'], 'learner');
  const { status, body } = await learner.call('GET', '/readyz?verbose');
  t.is(status, 500);
  t.regex(String(body), /learner/);
  learner.close();
  t.regex(await raftsman(['member', 'promote', 'master-4'], first), /master-4 promoted/);
  t.is((await rolesOf(first))['master-4'], 'voter');
  (await fourth.ready()).close();

  // One that dies for good is replaced by a new machine in one step.
  const dead = (await membersOf(first)).members.find(({ name }) => name === 'master-3');
  await third.kill('SIGKILL');
  const fifth = master(5);
  fifth.start([...joining, '--replace', 'master-3']);
  (await fifth.ready()).close();
  t.deepEqual(await rolesOf(second), {
    'master-1': 'voter',
    'master-2': 'voter',
    'master-4': 'voter',
    'master-5': 'voter',
  });

  // The dead one comes back: it is told that it is out, sets its data aside, and does not start again.
  third.start();
  t.is(await third.exitCode(), 3);
  t.regex(await third.log(), /error: the master master-3 was removed from its cluster.*its data is now in/);
  const left = await readdir(third.dataDir);
  t.deepEqual(
    left.filter(name => name === 'store' || name === 'pki'),
    [],
  );
  const aside = left.find(name => name.startsWith('removed-'));
  t.true((await readdir(join(third.dataDir, aside ?? ''))).includes('store'));
  third.start();
  t.is(await third.exitCode(), 3);
  t.false((await membersOf(first)).members.some(({ id }) => id === dead?.id));

  // One that runs is removed while it runs.
  t.regex(await raftsman(['member', 'remove', 'master-4'], first), /master-4 removed/);
  t.is(await fourth.exitCode(), 3);
  const gone = await tryRaftsman(['member', 'remove', 'master-4'], first);
  t.is(gone.code, 1);
  t.regex(gone.stderr, /there is no member master-4: the members are/);

  // Leadership goes where it is sent.
  t.regex(await raftsman(['member', 'transfer', 'master-2'], first), /leader is now master-2/);

  // A master that moves tells the others.
  await fifth.kill('SIGTERM');
  fifth.peerPort += 10;
  fifth.start();
  await until('the new address', async () =>
    (await membersOf(first)).members.some(
      ({ name, peerAddress }) => name === 'master-5' && peerAddress.endsWith(`:${fifth.peerPort}`),
    ),
  );

  // What would cost the quorum is refused with the reason.
  await fifth.kill('SIGKILL');
  const refused = await tryRaftsman(['member', 'remove', 'master-1'], first);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /Conflict.*no answer from master-5/);
  t.is((await read(api, 'kept')).data?.text, 'kept!');
  api.close();
  for (const each of [first, second]) await each.kill('SIGKILL');
});

/** etcdctl at a master's port for etcd's API, with the certificates that the master wrote for it, or with others. */
function etcdctlAt(by: Master, args: readonly string[], credentials = join(by.dataDir, 'etcd')): Promise<RunResult> {
  const file = (name: string) => join(credentials, name);
  const access = ['--cacert', file('ca.crt'), '--cert', file('client.crt'), '--key', file('client.key')];
  return runEtcdctl(['--endpoints', `https://127.0.0.1:${by.etcdPort}`, '--command-timeout=3s', ...access, ...args]);
}

/** The port serves etcd's own client, and nobody whose certificate is not an administrator's. Leaves authentication on. */
async function checkEtcdPort(t: ExecutionContext, by: Master): Promise<void> {
  if (etcdctl === undefined) {
    t.log('etcd’s API is left out: needs etcdctl');
    return;
  }
  const listed = await etcdctlAt(by, ['get', '/', '--prefix', '--keys-only', '--limit=3']);
  t.regex(listed.stdout, /^\/\S+\n/, listed.stderr);
  t.regex((await etcdctlAt(by, ['endpoint', 'status'])).stdout, /3\.5\.\d+, .*, true, false/);

  // The same authority, but another organization.
  const pki = (name: string) => readFile(join(by.dataDir, 'pki', name), 'utf8');
  const authority = { certificate: await pki('ca.crt'), key: await pki('ca.key') };
  const subject = { commonName: 'somebody', organizations: ['system:authenticated'], usages: ['client'] } as const;
  const stranger = await issueCertificate(authority, subject, { nowMs: Date.now(), validDays: 1 });
  const credentials = join(folder, 'stranger');
  await mkdir(credentials);
  await writeFile(join(credentials, 'ca.crt'), authority.certificate);
  await writeFile(join(credentials, 'client.crt'), stranger.certificate);
  await writeFile(join(credentials, 'client.key'), stranger.key);
  const refused = await etcdctlAt(by, ['get', '/', '--prefix', '--keys-only'], credentials);
  t.not(refused.code, 0);
  t.is(refused.stdout, '');

  for (const command of ['user add root:pw', 'user grant-role root root', 'auth enable']) {
    t.is((await etcdctlAt(by, command.split(' '))).code, 0, command);
  }
  await checkAuthentication(t, by);
}

/** The administrator's certificate alone is nobody's in etcd's eyes; root's password opens. */
async function checkAuthentication(t: ExecutionContext, by: Master): Promise<void> {
  if (etcdctl === undefined) return;
  t.regex((await etcdctlAt(by, ['get', '/', '--prefix'])).stderr, /permission denied/);
  t.regex((await etcdctlAt(by, ['--user=root:pw', 'get', '/', '--prefix', '--keys-only'])).stdout, /^\/\S+\n/);
}

test.serial('snapshots: saved, listed, inspected, refused when damaged, restored into a new cluster', async t => {
  const first = master(11);
  first.start(['--etcd-listen', `127.0.0.1:${first.etcdPort}`]);
  const api = await first.ready();
  await checkEtcdPort(t, first);
  // What Kubernetes' API does is not subject to etcd's users.
  const revision = await write(api, 'before');
  const file = join(folder, 'cluster.snap');
  t.regex(await raftsman(['snapshot', 'save', file], first), /^saved .*cluster\.snap: .*, revision \d+, \d+ keys\n$/);
  await write(api, 'after');
  const saved = await raftsman(['snapshot', 'save'], first);
  const kept = /^saved (saved-master-11-\d{8}T\d{6}Z\.snap) on master-11/.exec(saved)?.[1] ?? '';
  t.regex(
    await raftsman(['snapshot', 'list'], first),
    new RegExp(`${kept} +master-11 +\\d+s +\\d+ +\\d+ +[\\d.]+ kB +ok`),
  );
  t.regex(await raftsman(['snapshot', 'delete', kept], first), /deleted/);
  t.is((await tryRaftsman(['snapshot', 'list'], first)).stderr.trim(), 'No snapshots found.');

  t.regex(await raftsman(['snapshot', 'inspect', file]), /whole and undamaged[\s\S]*With it: .*pki\/ca\.crt/);
  const bytes = await readFile(file);
  const damaged = join(folder, 'damaged.snap');
  for (const [at, expected] of [
    [bytes.length >> 1, /cannot be used: it is damaged/],
    [0, /is not a raftsman snapshot/],
  ] as const) {
    const copy = Buffer.from(bytes);
    copy[at]! ^= 0x10;
    await writeFile(damaged, copy);
    const result = await tryRaftsman(['snapshot', 'inspect', damaged]);
    t.is(result.code, 1);
    t.regex(result.stderr, expected);
  }
  await writeFile(damaged, bytes.subarray(0, -10));
  const other = master(12, 'master-11');
  const cut = await tryRaftsman(['snapshot', 'restore', damaged, '--data-dir', other.dataDir]);
  t.regex(cut.stderr, /it is cut short/);

  const occupied = await tryRaftsman(['snapshot', 'restore', file, '--data-dir', first.dataDir]);
  t.regex(occupied.stderr, /holds the data of a master already .*--force/);
  const inUse = await tryRaftsman(['snapshot', 'restore', file, '--data-dir', first.dataDir, '--force']);
  t.regex(inUse.stderr, /in use by another process/);

  await raftsman(['snapshot', 'restore', file, '--data-dir', other.dataDir]);
  const { clusterId } = await membersOf(first);
  await first.kill('SIGTERM');
  other.start(['--etcd-listen', `127.0.0.1:${other.etcdPort}`]);
  // The old kubeconfig is as good as the new one: the authority came with the snapshot.
  await copyFile(first.kubeconfig, join(folder, 'old-kubeconfig'));
  (await other.ready()).close();
  const restored = await connectApi(join(folder, 'old-kubeconfig'), other.port);
  t.is((await read(restored, 'before')).data?.text, 'before!');
  t.is((await restored.call('GET', `${CONFIG_MAPS}/after`)).status, 404);
  t.true((await write(restored, 'new')) > revision + 1_000_000_000);
  // Whoever knows the old history is told to read anew.
  const late = await restored.call('GET', `${CONFIG_MAPS}?watch=1&resourceVersion=${revision}&timeoutSeconds=1`);
  t.true(late.status === 410 || JSON.stringify(late.body).includes('410'), JSON.stringify(late));
  t.not((await membersOf(other)).clusterId, clusterId);
  // Users, roles and passwords came with the snapshot too.
  await checkAuthentication(t, other);
  restored.close();
  api.close();
  await other.kill('SIGKILL');
});

test.serial('reset: one of three goes on alone, the old ones cannot come back by accident, new ones join', async t => {
  const { first, second, third, api } = await threeMasters([21, 22, 23]);
  const revision = await write(api, 'precious');
  await first.kill('SIGKILL');
  await second.kill('SIGKILL');
  api.close();

  const running = await tryRaftsman(['reset', '--data-dir', third.dataDir, '--yes']);
  t.regex(running.stderr, /in use by another process/);
  await third.kill('SIGKILL');
  const unasked = await tryRaftsman(['reset', '--data-dir', third.dataDir]);
  t.regex(unasked.stderr, /say --yes/);
  t.regex(await raftsman(['reset', '--data-dir', third.dataDir, '--yes']), /Reset: +master-23 is a cluster of its own/);
  third.start();
  const alone = await third.ready();
  t.is((await read(alone, 'precious')).data?.text, 'precious!');
  t.true((await write(alone, 'later')) > revision + 1_000_000_000);
  t.deepEqual(await rolesOf(third), { 'master-23': 'voter' });

  // One of the old ones starts as if nothing had happened: it is told, and stays out.
  second.start();
  t.is(await second.exitCode(), 3);
  t.regex(await second.log(), /that one was reset or restored without this master/);
  t.deepEqual(await rolesOf(third), { 'master-23': 'voter' });

  // With emptied directories, under their old names, they join the new cluster.
  const joining = ['--join', third.url, '--token', await masterToken(third)];
  for (const each of [first, second]) {
    await rm(each.dataDir, { recursive: true });
    each.start(joining);
  }
  const joined = await first.ready();
  (await second.ready()).close();
  t.is((await read(joined, 'precious')).data?.text, 'precious!');
  t.deepEqual(await rolesOf(first), { 'master-21': 'voter', 'master-22': 'voter', 'master-23': 'voter' });

  // A member whose log is gone takes its own place as a new one, by itself.
  const before = (await membersOf(third)).members.find(({ name }) => name === 'master-22')?.id;
  await second.kill('SIGKILL');
  await rm(join(second.dataDir, 'store', 'raft'), { recursive: true });
  second.start(joining);
  const rebuilt = await second.ready();
  t.is((await read(rebuilt, 'precious')).data?.text, 'precious!');
  const after = (await membersOf(third)).members.filter(({ name }) => name === 'master-22');
  t.is(after.length, 1);
  t.not(after[0]?.id, before);
  rebuilt.close();

  // So does one on whose disk bits have flipped; meanwhile the others go on.
  await second.kill('SIGKILL');
  t.true((await flipBits(second)) > 0);
  await write(alone, 'meanwhile');
  second.start(joining);
  const healed = await second.ready();
  t.is((await read(healed, 'meanwhile')).data?.text, 'meanwhile!');
  t.regex(await second.log(), /log cannot be trusted; it was set aside, and this master joins as a new member/);
  t.true((await readdir(second.dataDir)).some(name => name.startsWith('damaged-')));
  const [last] = (await membersOf(third)).members.filter(({ name }) => name === 'master-22');
  t.not(last?.id, after[0]?.id);
  for (const each of [alone, joined, healed]) each.close();

  // If it is all that is left, it neither votes nor guesses: it says what to do, and that is what helps.
  for (const each of [first, second, third]) await each.kill('SIGKILL');
  t.is(await flipBits(third, 'meanwhile!'), 1);
  third.start();
  await until('a word on what is wrong', async () =>
    /takes no part until another master answers.*raftsman reset --data-dir \S+ --accept-loss/.test(await third.log()),
  );
  const status = await connectApi(third.kubeconfig, third.port);
  await t.throwsAsync(status.call('GET', '/livez'), undefined, 'it serves nothing');
  status.close();
  await third.kill('SIGKILL');
  const damaged = await tryRaftsman(['reset', '--data-dir', third.dataDir, '--yes']);
  t.is(damaged.code, 1);
  t.regex(damaged.stderr, /^error: the log in .* is damaged: all up to entry \d+ is whole.*--accept-loss/);
  t.regex(
    await raftsman(['reset', '--data-dir', third.dataDir, '--yes', '--accept-loss']),
    /Reset: +master-23 is a cluster of its own[\s\S]*\nLost: +/,
  );
  third.start();
  const recovered = await third.ready();
  t.is((await read(recovered, 'precious')).data?.text, 'precious!');
  await write(recovered, 'goes-on');
  recovered.close();
});

/** Flips bits in a stopped master's log: where a text stands in it, or one in every kilobyte. @returns how many */
async function flipBits({ dataDir }: Master, text?: string): Promise<number> {
  let count = 0;
  for (const path of await dataFiles(join(dataDir, 'store', 'raft', 'log'))) {
    if (!/\.(log|ldb)$/.test(path)) continue;
    const content = await readFile(path);
    const places =
      text === undefined
        ? Array.from({ length: Math.ceil(content.length / 1024) }, (_, at) => at * 1024)
        : [content.indexOf(text)].filter(at => at !== -1);
    for (const at of places) content[at] = (content[at] ?? 0) ^ 4;
    count += places.length;
    await writeFile(path, content);
  }
  return count;
}
