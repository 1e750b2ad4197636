/**
 * One suite of what clients of the API rely on, run against a master on raftsman's own store and against one on a real
 * etcd, with the same assertions; what the two answered is then compared, so that any difference in meaning shows.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { findEtcd, TestEtcd } from '../../store/testing/etcd.ts';
import { type Api, connectApi } from '../helpers/api.ts';
import { raftsmanCommand } from '../helpers/cluster.ts';
import { testWith } from '../helpers/requirements.ts';
import { mustRun, run, until } from '../helpers/run.ts';

const [program, main] = raftsmanCommand;
const onEtcd = testWith(['etcd']);
const children: ChildProcess[] = [];
const transcripts = new Map<string, readonly string[]>();
let folder = '';
let etcd: TestEtcd | undefined;

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raftsman-datastore-'));
  const found = findEtcd();
  if (found !== undefined) etcd = await TestEtcd.start(found);
});
test.after.always(async () => {
  for (const child of children) await stop(child, 'SIGTERM');
  await etcd?.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Master {
  readonly api: Api;
  readonly port: number;
  readonly kubeconfig: string;
  readonly child: ChildProcess;
}

async function startMaster(name: string, more: readonly string[]): Promise<Master> {
  const port = await freePort();
  const dataDir = join(folder, name);
  const child = spawn(
    program,
    [
      ...[main, 'server', '--name', name, '--data-dir', dataDir, '--no-agent', '--listen', `127.0.0.1:${port}`],
      ...['--peer-listen', `127.0.0.1:${await freePort()}`, ...more],
    ],
    { stdio: 'ignore' },
  );
  children.push(child);
  const kubeconfig = join(dataDir, 'kubeconfig');
  await until('the kubeconfig', async () => (await readFile(kubeconfig, 'utf8').catch(() => '')).length > 0);
  const api = await connectApi(kubeconfig, port);
  await until('readiness', async () => (await api.call('GET', '/readyz')).status === 200);
  await until('the first objects', async () => (await api.call('GET', '/api/v1/namespaces/default')).status === 200);
  return { api, port, kubeconfig, child };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise(resolve => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

// biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the test is about
type Body = any;
const NAMESPACE = '/api/v1/namespaces/suite';
const MAPS = `${NAMESPACE}/configmaps`;
const map = (name: string, data: object = {}) => ({ metadata: { name }, data });
const names = (list: Body): string => list.items.map((item: Body) => item.metadata.name).join();

/** What an answer says, without what differs from one run to the next. */
function normalized(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/^(kube-api-access-)\w{5}$/, '$1');
  if (Array.isArray(value)) return value.map(normalized);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(
        ([key]) =>
          !/^(uid|resourceVersion|continue|clusterIPs?|retryAfterSeconds|ca\.crt)$|(Timestamp|time)$/i.test(key),
      )
      .map(([key, one]) => [key, key === 'message' ? String(one).replace(/[0-9a-f-]{36}|\d+/g, 'N') : normalized(one)]),
  );
}

/** The suite. Everything that the API answers goes into the transcript. */
async function runSuite(t: ExecutionContext, { api }: Master): Promise<readonly string[]> {
  const transcript: string[] = [];
  const call = async (method: string, path: string, body?: object, type?: string) => {
    const answer = await api.call(method, path, body, type === undefined ? {} : { type });
    transcript.push(`${method} ${path.replace(/(continue|resourceVersion)=[^&]*/g, '$1=')} ${answer.status}`);
    transcript.push(JSON.stringify(normalized(answer.body)));
    return { status: answer.status, body: answer.body as Body };
  };
  const write = async (status: number, ...request: Parameters<typeof call>): Promise<Body> => {
    const answer = await call(...request);
    t.is(answer.status, status, `${request[0]} ${request[1]}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  await write(201, 'POST', '/api/v1/namespaces', { metadata: { name: 'suite' } });
  await until(
    'the account',
    async () => (await api.call('GET', `${NAMESPACE}/serviceaccounts/default`)).status === 200,
  );

  // Objects, and what a stale one may not do.
  const created = await write(201, 'POST', MAPS, map('a', { n: '1' }));
  t.like(await write(409, 'POST', MAPS, map('a')), { reason: 'AlreadyExists' });
  const updated = await write(200, 'PUT', `${MAPS}/a`, { ...created, data: { n: '2' } });
  t.true(Number(updated.metadata.resourceVersion) > Number(created.metadata.resourceVersion));
  t.is(updated.metadata.uid, created.metadata.uid);
  t.like(await write(409, 'PUT', `${MAPS}/a`, { ...created, data: { n: '3' } }), { reason: 'Conflict' });
  const same = await write(200, 'PUT', `${MAPS}/a`, updated);
  t.is(same.metadata.resourceVersion, updated.metadata.resourceVersion);
  const merge = 'application/merge-patch+json';
  t.is((await write(200, 'PATCH', `${MAPS}/a`, { data: { m: 'x' } }, merge)).data.n, '2');
  const precondition = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid: 'another' } };
  t.like(await write(409, 'DELETE', `${MAPS}/a`, precondition), { reason: 'Conflict' });
  await write(200, 'DELETE', `${MAPS}/a`);
  await write(404, 'GET', `${MAPS}/a`);
  await write(404, 'DELETE', `${MAPS}/a`);

  // Lists: consistent, in pages of one moment, and as of a revision.
  for (let n = 1; n <= 7; n++) await write(201, 'POST', MAPS, map(`l${n}`, { group: `${n % 2}` }));
  const all = await write(200, 'GET', MAPS);
  t.is(names(all), 'kube-root-ca.crt,l1,l2,l3,l4,l5,l6,l7');
  const first = await write(200, 'GET', `${MAPS}?limit=3`);
  t.is(names(first), 'kube-root-ca.crt,l1,l2');
  t.is(first.metadata.remainingItemCount, 5);
  await write(201, 'POST', MAPS, map('l33'));
  await write(200, 'DELETE', `${MAPS}/l5`);
  const second = await write(200, 'GET', `${MAPS}?limit=3&continue=${encodeURIComponent(first.metadata.continue)}`);
  const third = await write(200, 'GET', `${MAPS}?limit=3&continue=${encodeURIComponent(second.metadata.continue)}`);
  t.is(`${names(second)},${names(third)}`, 'l3,l4,l5,l6,l7');
  t.is(third.metadata.resourceVersion, first.metadata.resourceVersion);
  const before = all.metadata.resourceVersion;
  const exact = await write(200, 'GET', `${MAPS}?resourceVersion=${before}&resourceVersionMatch=Exact`);
  t.is(names(exact), names(all));
  t.is(exact.metadata.resourceVersion, before);
  const notOlder = await write(200, 'GET', `${MAPS}?resourceVersion=${before}`);
  t.true(Number(notOlder.metadata.resourceVersion) >= Number(before));
  await write(200, 'GET', `${MAPS}?resourceVersion=0`);
  const future = await write(504, 'GET', `${MAPS}?resourceVersion=${Number(before) + 1_000_000}`);
  t.regex(future.message, /Too large resource version/);
  await write(400, 'GET', `${MAPS}?resourceVersion=x`);
  for (let n = 0; n < 20; n++) {
    await api.call('POST', MAPS, map(`seen-${n}`));
    t.true(names((await api.call('GET', MAPS)).body).includes(`seen-${n}`));
  }

  // A watch from a revision: everything since, once, in order.
  const events = String((await call('GET', `${MAPS}?watch=1&resourceVersion=${before}&timeoutSeconds=1`)).body);
  const seen = events
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Body)
    .map(({ type, object }) => ({
      what: `${type} ${object.metadata.name}`,
      at: Number(object.metadata.resourceVersion),
    }));
  t.deepEqual(
    seen.map(({ what }) => what),
    ['ADDED l33', 'DELETED l5', ...Array.from({ length: 20 }, (_, n) => `ADDED seen-${n}`)],
  );
  t.deepEqual(
    seen.map(({ at }) => at),
    seen.map(({ at }) => at).sort((a, b) => a - b),
  );
  transcript[transcript.length - 1] = seen.map(({ what }) => what).join();

  // Many writers of one object: none is lost.
  await write(201, 'POST', MAPS, map('counter', { n: '0' }));
  const increment = async () => {
    for (;;) {
      const { body } = await api.call('GET', `${MAPS}/counter`);
      const next = { ...(body as Body), data: { n: String(Number((body as Body).data.n) + 1) } };
      const { status } = await api.call('PUT', `${MAPS}/counter`, next);
      if (status === 200) return;
      t.is(status, 409);
    }
  };
  await Promise.all(Array.from({ length: 12 }, increment));
  t.is((await write(200, 'GET', `${MAPS}/counter`)).data.n, '12');

  // What is given out only once.
  const service = (name: string, clusterIP?: string) => ({
    metadata: { name },
    spec: { ports: [{ port: 80 }], ...(clusterIP !== undefined && { clusterIP }) },
  });
  const given = await write(201, 'POST', `${NAMESPACE}/services`, service('s'));
  await write(422, 'POST', `${NAMESPACE}/services`, service('t', given.spec.clusterIP));
  await write(200, 'DELETE', `${NAMESPACE}/services/s`);
  await write(201, 'POST', `${NAMESPACE}/services`, service('t', given.spec.clusterIP));

  // Controllers: a Deployment makes its pods, is scaled, and takes them with it.
  const deployments = '/apis/apps/v1/namespaces/suite/deployments';
  const labels = { app: 'web' };
  await write(201, 'POST', deployments, {
    metadata: { name: 'web' },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'web:1' }] } },
    },
  });
  const pods = async () => ((await api.call('GET', `${NAMESPACE}/pods?labelSelector=app%3Dweb`)).body as Body).items;
  await until('three pods', async () => (await pods()).length === 3);
  const [pod] = await pods();
  t.is(pod.metadata.ownerReferences[0].kind, 'ReplicaSet');
  await api.call('PATCH', `${deployments}/web/scale`, { spec: { replicas: 1 } }, { type: merge });
  await until('one pod', async () => (await pods()).length === 1);
  await api.call('DELETE', `${deployments}/web?propagationPolicy=Background`);
  await until('no pod', async () => (await pods()).length === 0);
  transcript.push(JSON.stringify(normalized(pod.spec)));

  // A namespace goes with all that is in it.
  await write(200, 'DELETE', NAMESPACE);
  await until('the end of the namespace', async () => (await api.call('GET', NAMESPACE)).status === 404);
  await write(404, 'POST', MAPS, map('late'));
  t.is(names(await write(200, 'GET', `${MAPS}`)), '');
  return transcript;
}

test.serial('the API on raftsman’s own store', async t => {
  const master = await startMaster('own-1', []);
  transcripts.set('own', await runSuite(t, master));
  master.api.close();
  await stop(master.child, 'SIGTERM');
});

const datastore = () => ['--datastore-endpoint', etcd?.endpoints.join() ?? '', '--datastore-prefix', '/e2e'];
onEtcd('the API on a real etcd: it answers the same', async t => {
  const first = await startMaster('etcd-1', datastore());
  transcripts.set('etcd', await runSuite(t, first));
  t.deepEqual(transcripts.get('etcd'), transcripts.get('own'));

  // A second master joins, sees the same objects, takes over, and the first comes back as it was.
  const raftsman = (args: readonly string[]) => mustRun(program, [main, ...args, '--kubeconfig', first.kubeconfig]);
  const token = (await raftsman(['token', 'create', '--role', 'master'])).trim();
  const joining = ['--join', `https://127.0.0.1:${first.port}`, '--token', token];
  const second = await startMaster('etcd-2', [...datastore(), ...joining]);
  const status = async () => (await second.api.call('GET', '/raftsman/v1/status')).body as Body;
  await until('two masters', async () => (await status()).members.length === 2);
  const { term, members, leader } = await status();
  t.is(members.find((member: Body) => member.id === leader).name, 'etcd-1');
  await stop(first.child, 'SIGKILL');
  await until('another leader', async () => (await status()).term > term, 20_000);
  t.is((await second.api.call('POST', '/api/v1/namespaces', { metadata: { name: 'after' } })).status, 201);
  await until(
    'its controllers',
    async () => (await second.api.call('GET', '/api/v1/namespaces/after/serviceaccounts/default')).status === 200,
  );

  // What an operator asks about the store is answered, or refused with a sentence on what to do instead.
  const operate = (args: readonly string[]) => run(program, [main, ...args]);
  const asSecond = ['--kubeconfig', second.kubeconfig];
  const list = await operate(['member', 'list', ...asSecond]);
  t.regex(list.stdout, /etcd-2/);
  t.regex((await operate(['member', 'transfer', ...asSecond])).stderr, /external etcd/);
  t.regex((await operate(['member', 'remove', 'etcd-2', '--timeout', '2s', ...asSecond])).stderr, /external etcd/);
  const firstDir = join(folder, 'etcd-1');
  t.regex((await operate(['reset', '--yes', '--data-dir', firstDir])).stderr, /external etcd/);
  const serve = (name: string, more: readonly string[]) =>
    operate(['server', '--name', name, '--data-dir', join(folder, name), '--no-agent', ...more]);
  const forgetful = await serve('etcd-1', []);
  t.is(forgetful.code, 3);
  t.regex(forgetful.stderr, /start this master with --datastore-endpoint http/);
  const mistaken = await serve('own-1', datastore());
  t.is(mistaken.code, 3);
  t.regex(mistaken.stderr, /holds a store of its own/);
  const stranger = await serve('stranger', datastore());
  t.is(stranger.code, 3);
  t.regex(stranger.stderr, /holds another cluster.*--join and --token/);

  // A snapshot of it becomes a cluster with a store of its own.
  const file = join(folder, 'moved.snap');
  await mustRun(program, [main, 'snapshot', 'save', file, ...asSecond]);
  await mustRun(program, [
    main,
    'snapshot',
    'restore',
    file,
    '--data-dir',
    join(folder, 'moved-1'),
    '--name',
    'moved-1',
  ]);
  const moved = await startMaster('moved-1', []);
  t.is((await moved.api.call('GET', '/api/v1/namespaces/after')).status, 200);
  await stop(moved.child, 'SIGTERM');
  moved.api.close();
  for (const master of [first, second]) master.api.close();
});
