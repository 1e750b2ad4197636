/** Machines join by token, as on several machines: masters and a node, each started by hand. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { connectApi } from '../helpers/api.ts';
import { raftsmanCommand } from '../helpers/cluster.ts';
import { mustRun, run, until } from '../helpers/run.ts';

const BASE = 19_400;
const [program, main] = raftsmanCommand;
const children: ChildProcess[] = [];
let folder = '';

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raftsman-join-'));
});
test.after.always(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
  await rm(folder, { recursive: true, force: true });
});

function start(args: readonly string[]): ChildProcess {
  const child = spawn(program, [main, ...args], { stdio: 'ignore' });
  children.push(child);
  return child;
}
const master = (i: number, more: readonly string[]) =>
  start([
    ...['server', '--name', `master-${i}`, '--data-dir', join(folder, `master-${i}`), '--no-agent'],
    ...['--listen', `127.0.0.1:${BASE + i}`, '--peer-listen', `127.0.0.1:${BASE + 10 + i}`, ...more],
  ]);
const kubeconfig = (i: number) => join(folder, `master-${i}`, 'kubeconfig');
const raftsman = (args: readonly string[]) => mustRun(program, [main, ...args, '--kubeconfig', kubeconfig(1)]);

test.serial('masters and a node join with tokens of their own, and a master is replaced by its peers', async t => {
  const first = master(1, []);
  await until('the first master', async () => (await run('sh', ['-c', `test -s ${kubeconfig(1)}`])).code === 0);
  const token = (
    await raftsman(['token', 'create', '--role', 'master', '--ttl', '1h', '--description', 'for the test'])
  ).trim();
  t.regex(token, /^raftsman:[0-9a-f]{64}:[a-z0-9]{6}\.[a-z0-9]{16}$/);
  t.regex(await raftsman(['token', 'list']), /ROLE[\s\S]*master +\d{4}-\S+ +for the test/);

  const joining = ['--join', `https://127.0.0.1:${BASE + 1}`, '--token', token];
  master(2, joining);
  master(3, joining);
  const api = await connectApi(kubeconfig(1), BASE + 1);
  const members = async () =>
    ((await api.call('GET', '/raftsman/v1/status')).body as { members: { name: string; role: string }[] }).members;
  await until(
    'three voters',
    async () => (await members()).filter(({ role }) => role === 'voter').length === 3,
    60_000,
  );

  // A token opens one door only.
  const wrongDoor = await run(program, [
    main,
    'agent',
    '--name',
    'n',
    '--data-dir',
    join(folder, 'n'),
    '--server',
    `https://127.0.0.1:${BASE + 1}`,
    '--token',
    token,
    '--runtime',
    'fake',
  ]);
  t.not(wrongDoor.code, 0);
  t.regex(wrongDoor.stderr, /cannot join as a node/);

  const nodeToken = (await raftsman(['token', 'create'])).trim();
  start([
    'agent',
    '--name',
    'node-1',
    '--data-dir',
    join(folder, 'node-1'),
    '--server',
    `https://127.0.0.1:${BASE + 1}`,
    '--token',
    nodeToken,
    '--runtime',
    'fake',
    '--listen',
    `127.0.0.1:${BASE + 20}`,
    '--node-label',
    'disk=ssd',
    '--node-taint',
    'dedicated=lab:NoSchedule',
  ]);
  const second = await connectApi(kubeconfig(2), BASE + 2);
  const node = async () =>
    (await second.call('GET', '/api/v1/nodes/node-1')).body as {
      metadata?: { labels: Record<string, string> };
      spec?: { taints?: { key: string }[] };
      status?: { conditions?: { type: string; status: string }[] };
    };
  await until(
    'a Ready node, seen at another master',
    async () => (await node()).status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
    60_000,
  );
  t.is((await node()).metadata?.labels.disk, 'ssd');
  t.true((await node()).spec?.taints?.some(({ key }) => key === 'dedicated'));

  // The master through which all joined goes: the others, and the node, go on without it.
  const ended = new Promise(resolve => first.once('exit', resolve));
  first.kill('SIGKILL');
  await ended;
  await until(
    'a write through another master',
    async () =>
      (await second.call('POST', '/api/v1/namespaces', { metadata: { name: `after-${Date.now()}` } })).status === 201,
    30_000,
  );
  const lease = async () =>
    (
      (await second.call('GET', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1')).body as {
        spec?: { renewTime: string };
      }
    ).spec?.renewTime;
  const before = await until('the node’s lease', lease, 40_000);
  await until('the node’s next heartbeat', async () => ![undefined, before].includes(await lease()), 40_000);
  api.close();
  second.close();
});
