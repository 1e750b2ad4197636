/**
 * Three nodes on two networks, each in a network namespace with a Docker engine of its own: every pod reaches every pod,
 * policies hold on whichever way, while a node comes and goes.
 */
import { once } from 'node:events';
import test from 'ava';
import { namespacesUnavailable } from '../../node/network/test-namespaces.ts';
import { hasVxlan } from '../../node/network/vxlan.ts';
import { runCommand } from '../../node/runtime/command.ts';
import { image, Site } from '../helpers/network-site.ts';
import { until } from '../helpers/run.ts';

const cannot =
  namespacesUnavailable(['dockerd', 'nft', 'busybox', 'nsenter']) ??
  ((await hasVxlan(runCommand)) ? undefined : 'needs VXLAN in the kernel');
if (cannot !== undefined) test.skip(`three nodes on two networks: ${cannot}`, t => t.pass());
const real = cannot === undefined ? test.serial : test.serial.skip;

const HOST_PORT = 18_080;

const podOf = (name: string, node: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    nodeName: node,
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'c',
        image,
        imagePullPolicy: 'Never',
        command: ['sleep', '3600'],
        ports: [{ name: 'web', containerPort: 80 }],
      },
    ],
  },
});
const policyOf = (name: string, from: string) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name },
  spec: {
    podSelector: { matchLabels: { app: name } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: from } } }], ports: [{ port: 'web' }] }],
  },
});

real('three nodes on two networks: pods reach each other as policies let them, and a node comes and goes', async t => {
  t.timeout(300_000);
  const site = await Site.make();
  t.teardown(() => site.remove());
  await site.startMaster();
  for (const [name, net] of [
    ['a', 1],
    ['b', 1],
    ['c', 2],
  ] as const)
    await site.startEngine(name, net);
  for (const machine of site.machines) site.startAgent(machine);
  const names = ['a', 'b', 'c'];
  const ready = async (what: string, of: readonly string[]) => {
    await until(`${what} ${of.join(', ')}`, async () => (await site.cli('get', what, ...of)).code === 0, 60_000);
    await site.must('wait', '--for=condition=Ready', what, ...of, '--timeout=80s');
  };
  await ready('node', names);
  await until('the default service account', async () => (await site.cli('get', 'sa', 'default')).code === 0);
  await site.apply(...names.map(name => podOf(name, name)));
  await ready('pod', names);
  const [a, b, c] = [await site.inside('a', 'a'), await site.inside('b', 'b'), await site.inside('c', 'c')];
  const all = [a, b, c];

  for (const from of all) {
    for (const to of all) {
      const [tcp, udp, much] = await Promise.all([
        from.process.dial({ host: to.address }),
        from.process.dial({ host: to.address, protocol: 'UDP' }),
        from.process.dial({ host: to.address, bytes: 300_000, timeoutMs: 10_000 }),
      ]);
      const what = `${from.process.name} to ${to.process.name}`;
      t.is(tcp, `${to.process.name} ${from.address} hello`, what);
      t.is(udp, `${to.process.name} ${from.address} hello`, `${what}, UDP`);
      t.is(much, 'all', `${what}, much`);
    }
  }
  const routes = await site.machine('a').namespace.run('ip', ['route', 'show', 'proto', '114']);
  t.regex(routes.stdout, new RegExp(`via ${site.machine('b').address} dev eth0`));
  t.regex(routes.stdout, /dev rsx[0-9a-f]{10}/);

  // A port of a's machine leads to a pod of it, and to nothing once that is gone.
  const ports = ['TCP', 'UDP'].map(protocol => ({ containerPort: 80, hostPort: HOST_PORT, protocol }));
  const door = podOf('door', 'a');
  for (const container of door.spec.containers) Object.assign(container, { ports });
  await site.apply(door);
  await ready('pod', ['door']);
  await site.inside('door', 'a');
  const host = site.machine('a').address;
  for (const from of [b, c]) {
    const knock = (protocol: 'TCP' | 'UDP') => from.process.dial({ host, port: HOST_PORT, protocol, timeoutMs: 2_000 });
    await until(`${from.process.name} comes in`, async () => /^door .* hello$/.test(await knock('TCP')));
    t.regex(await knock('UDP'), /^door .* hello$/, from.process.name);
  }
  await site.must('delete', 'pod', 'door', '--now');
  await until('the port is closed', async () => !/hello/.test(await b.process.dial({ host, port: HOST_PORT })));

  // A Service whose traffic is to stay near leads to the pod of the client's zone; from outside of all zones to any.
  await site.must('label', 'node', 'a', 'topology.kubernetes.io/zone=x');
  await site.must('label', 'node', 'b', 'topology.kubernetes.io/zone=y');
  await site.must('label', 'pod', 'a', 'b', 'role=near');
  await site.apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'near' },
    spec: { selector: { role: 'near' }, trafficDistribution: 'PreferClose', ports: [{ port: 80 }] },
  });
  const near = await site.must('get', 'service', 'near', '-o', 'jsonpath={.spec.clusterIP}');
  const answers = async (from: typeof a) => {
    const heard = new Set<string>();
    for (let call = 0; call < 12; call += 1) {
      heard.add((await from.process.dial({ host: near, timeoutMs: 2_000 })).split(' ')[0] ?? '');
    }
    return [...heard].sort().join(' ');
  };
  await until('each zone is served by its own pod', async () => {
    return (await answers(a)) === 'a' && (await answers(b)) === 'b';
  });
  await until('who is in no zone reaches both', async () => (await answers(c)) === 'a b');

  // c lets a in, over VXLAN; b lets c in.
  await site.apply(policyOf('c', 'a'), policyOf('b', 'c'));
  const dial = (from: typeof a, to: typeof a, port = 80) =>
    from.process.dial({ host: to.address, port, timeoutMs: 700 });
  const began = performance.now();
  await until('the policies hold', async () =>
    (await Promise.all([dial(b, c), dial(a, b)])).every(one => one === 'TIMEOUT'),
  );
  t.log(`policies held ${(performance.now() - began).toFixed(0)} ms after they were applied, 700 ms of them to notice`);
  t.regex(await a.process.dial({ host: c.address }), /hello$/);
  t.regex(await c.process.dial({ host: b.address }), /hello$/);
  t.is(await dial(a, c, 81), 'TIMEOUT', 'the port that is not named');
  await site.must('label', 'pod', 'b', 'app=a', '--overwrite');
  await until('b may by its new label', async () => /hello$/.test(await dial(b, c)));

  // A new pod on a far node is let in by its label, and one without it never is.
  await site.must('delete', 'pod', 'a', '--now');
  await site.apply(podOf('stranger', 'a'));
  await ready('pod', ['stranger']);
  const stranger = await site.inside('stranger', 'a');
  t.is(await dial(stranger, c), 'TIMEOUT');

  // An agent that is killed leaves the rules; its successor goes on with them.
  const agent = site.machine('c').agent;
  if (!agent) return t.fail('no agent');
  agent.kill('SIGKILL');
  await once(agent, 'exit');
  t.is(await dial(stranger, c), 'TIMEOUT');
  t.regex(await b.process.dial({ host: c.address }), /hello$/);
  site.startAgent(site.machine('c'));
  await site.must('delete', 'networkpolicy', 'c');
  await until('the successor lets all in', async () => /hello$/.test(await dial(b, c, 81)), 60_000);

  // A node goes with all it has.
  const last = site.machine('c').agent;
  if (!last) return t.fail('no agent');
  last.kill('SIGUSR2');
  await once(last, 'exit');
  const left = await site.machine('c').namespace.run('sh', ['-c', 'ip -o link; ip route; nft list tables']);
  t.notRegex(left.stdout, /rs[mvxg][0-9a-f]{10}|raftsman-(net|svc|pol)/);
  await site.must('delete', 'node', 'c');
  await until('no route leads to it', async () => {
    const { stdout } = await site.machine('a').namespace.run('ip', ['route', 'show', 'proto', '114']);
    return !/dev rsx/.test(stdout) && stdout.includes('dev eth0');
  });
});
