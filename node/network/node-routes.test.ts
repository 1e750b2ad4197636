import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { compilePolicies } from '../policy/compile.ts';
import { createNftablesEnforcer } from '../policy/enforcer.ts';
import { runCommand } from '../runtime/command.ts';
import { createBridgeNetwork } from './bridge.ts';
import { networkNames } from './names.ts';
import { NetworkUnavailableError, type NodeRoute, RouteError } from './network.ts';
import { clusterCIDR, Internet, type Machine } from './test-internet.ts';
import { makeNamespace, namespacesUnavailable } from './test-namespaces.ts';
import { hasVxlan } from './vxlan.ts';

const unavailable = namespacesUnavailable(['nft', 'nsenter', 'bridge']);
const noVxlan = unavailable ?? ((await hasVxlan(runCommand)) ? undefined : 'needs VXLAN in the kernel');
if (unavailable !== undefined) test.skip(`ways between nodes: ${unavailable}`, t => t.pass());
else if (noVxlan !== undefined) test.skip(`ways between nodes over VXLAN: ${noVxlan}`, t => t.pass());
const onVxlan = noVxlan === undefined ? test : test.skip;
const onRoutes = unavailable === undefined ? test : test.skip;

const { vxlan: vxlanName } = networkNames('test', '');

onRoutes('three nodes on one network: host routes, and no link besides', async t => {
  const internet = await Internet.make(t, 'auto', [
    ['a', 1],
    ['b', 1],
    ['c', 1],
  ]);
  await internet.checkAll();
  t.regex(await internet.wayOf('a', 'b'), /via 10\.1\.1\.2 dev eth0/);
  t.not((await internet.machine('a').namespace.run('ip', ['link', 'show', 'dev', vxlanName])).code, 0);
  t.regex((await internet.machine('a').podNamespace.run('ip', ['link', 'show', 'eth0'])).stdout, /mtu 1500/);
});

onVxlan('two nodes on one network and one far off: routes here, VXLAN there; nodes come and go', async t => {
  const internet = await Internet.make(t, 'auto', [
    ['a', 1],
    ['b', 1],
    ['c', 2],
  ]);
  await internet.checkAll();
  t.regex(await internet.wayOf('a', 'b'), /via 10\.1\.1\.2 dev eth0/);
  t.regex(await internet.wayOf('a', 'c'), new RegExp(`via 10\\.42\\.3\\.0 dev ${vxlanName} .*src 10\\.42\\.1\\.1`));
  t.regex((await internet.machine('a').namespace.run('ip', ['link', 'show', vxlanName])).stdout, /mtu 1450/);
  // It came when c was known to be far off.
  t.regex((await internet.machine('c').podNamespace.run('ip', ['link', 'show', 'eth0'])).stdout, /mtu 1450/);

  const [a, b, c] = ['a', 'b', 'c'].map(name => internet.machine(name)) as [Machine, Machine, Machine];
  await internet.sync([a, b]);
  const entries = async () =>
    (
      await a.namespace.run('sh', [
        '-c',
        `bridge fdb show dev ${vxlanName}; ip neigh show dev ${vxlanName} nud permanent`,
      ])
    ).stdout;
  t.notRegex(await entries(), /10\.1\.2\.3|10\.42\.3\.0/, 'nothing of it is left');
  t.is(await internet.wayOf('a', 'c'), '');
  await internet.sync();
  t.regex(await entries(), /dst 10\.1\.2\.3/);
  const before = await entries();
  await internet.sync();
  t.is(await entries(), before, 'a second time changes nothing');
  await internet.checkAll();

  for (const { network, namespace } of [a, b, c]) {
    await network.close({ remove: true });
    const left = await namespace.run('sh', ['-c', 'ip -o link; ip route; nft list ruleset']);
    t.notRegex(left.stdout, /rs[mvxgt][0-9a-f]{10}|raftsman/);
  }
});

onVxlan('set to vxlan: also on one network, with room for the headers from the first pod on', async t => {
  const internet = await Internet.make(t, 'vxlan', [
    ['a', 1],
    ['b', 1],
  ]);
  await internet.checkAll();
  t.regex(await internet.wayOf('a', 'b'), new RegExp(`dev ${vxlanName}`));
  t.regex((await internet.machine('a').podNamespace.run('ip', ['link', 'show', 'eth0'])).stdout, /mtu 1450/);
});

onVxlan('policies hold across nodes, over a route and over VXLAN', async t => {
  const internet = await Internet.make(t, 'auto', [
    ['a', 1],
    ['b', 1],
    ['c', 2],
  ]);
  const policies = [
    {
      metadata: { namespace: 'x', name: 'p' },
      spec: {
        podSelector: { matchLabels: { pod: 'c' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { pod: 'a' } } }] }],
      },
    },
    {
      metadata: { namespace: 'x', name: 'q' },
      spec: {
        podSelector: { matchLabels: { pod: 'b' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { pod: 'c' } } }] }],
      },
    },
  ];
  for (const { name, namespace } of internet.machines) {
    const pods = internet.machines.map(one => ({
      namespace: 'x',
      labels: { pod: one.name },
      addresses: [one.podAddress],
      ports: [],
      isLocal: one.name === name,
    }));
    const enforcer = createNftablesEnforcer({ clusterId: 'test', nodeName: name, run: namespace.run });
    await enforcer.apply(compilePolicies({ policies, pods, namespaces: new Map([['x', {}]]) }));
  }
  const dial = (from: string, to: string, timeoutMs: number) =>
    internet.machine(from).pod.dial({ host: internet.machine(to).podAddress, timeoutMs });
  t.regex(await dial('a', 'c', 5_000), /hello$/);
  t.regex(await dial('c', 'b', 5_000), /hello$/);
  t.is(await dial('b', 'c', 700), 'TIMEOUT');
  t.is(await dial('a', 'b', 700), 'TIMEOUT');
});

onVxlan('nodes of one machine look for VXLAN at once and all find it, whatever is there already', async t => {
  const machine = await makeNamespace();
  t.teardown(() => machine.remove());
  await machine.run('ip', 'link add other type vxlan id 1 dstport 0'.split(' '));
  const found = await Promise.all(Array.from({ length: 8 }, () => hasVxlan(machine.run)));
  t.true(found.every(Boolean));
  t.notRegex((await machine.run('ip', ['-o', 'link'])).stdout, /trial/);
});

onVxlan('two nodes of a cluster on one machine share the link; the last one takes it away', async t => {
  const machine = await makeNamespace();
  const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-ways-'));
  t.teardown(async () => {
    await machine.remove();
    await rm(dataDir, { recursive: true, force: true });
  });
  for (const line of [
    'link add eth0 type veth peer name far0',
    'addr add 10.1.1.1/24 dev eth0',
    'link set eth0 up',
    'link set far0 up',
    'route add default via 10.1.1.254',
  ])
    await machine.run('ip', line.split(' '));
  const node = (nodeName: string) =>
    createBridgeNetwork({ clusterId: 'test', nodeName, dataDir: path.join(dataDir, nodeName), run: machine.run });
  const far: NodeRoute = {
    nodeName: 'far',
    podCIDR: '10.42.9.0/24',
    nodeAddress: '10.1.2.9',
    announcement: { mode: 'auto', vxlan: { mac: '02:00:00:00:00:09', endpoint: '10.1.2.9' } },
  };
  const [left, right] = [node('left'), node('right')];
  for (const [index, one] of [left, right].entries()) {
    await one.start({ podCIDR: `10.42.${index}.0/24`, clusterCIDR, nodeAddress: '10.1.1.1' });
    await one.setRoutes([far]);
  }
  const ways = async () => (await machine.run('ip', ['route', 'show', '10.42.9.0/24'])).stdout.trim().split('\n');
  t.is((await ways()).length, 2);
  await left.close({ remove: true });
  t.is((await ways()).length, 1, 'the other node goes on');
  // An agent that was killed: the next one of its name finds all and takes all away.
  const again = node('right');
  await again.start({ podCIDR: '10.42.1.0/24', clusterCIDR, nodeAddress: '10.1.1.1' });
  await again.setRoutes([far]);
  await again.close({ remove: true });
  t.notRegex((await machine.run('ip', ['-o', 'link'])).stdout, /rs[mvx]/);
});

onRoutes('nodes that are set against each other have no way, and say which', async t => {
  const internet = await Internet.make(t, 'routes', [['a', 1]]);
  const { network } = internet.machine('a');
  const other: NodeRoute = {
    nodeName: 'b',
    podCIDR: '10.42.9.0/24',
    nodeAddress: '10.1.1.9',
    announcement: {
      mode: 'wireguard',
      wireguard: { publicKey: `${'A'.repeat(43)}=`, endpoint: '10.1.1.9', port: 51_820 },
    },
  };
  await network.setRoutes([{ nodeName: 'b', podCIDR: '10.42.9.0/24', nodeAddress: '10.1.1.9' }]);
  await t.throwsAsync(network.setRoutes([other]), { instanceOf: RouteError, message: /node b .*WireGuard.*routes/ });
  const { stdout } = await internet.machine('a').namespace.run('ip', ['route', 'show', '10.42.9.0/24']);
  t.is(stdout.trim(), '', 'the way in the clear is gone');
});

onRoutes('a way that the machine does not have is refused with what to do', async t => {
  const machine = await makeNamespace();
  t.teardown(() => machine.remove());
  const network = createBridgeNetwork({
    clusterId: 'test',
    nodeName: 'a',
    dataDir: '/nonexistent',
    nodeNetwork: 'wireguard',
    run: (program, args, options) =>
      machine.run(program === 'wg' || args.includes('wireguard') ? '/nonexistent/wg' : program, args, options),
  });
  await t.throwsAsync(network.start({ podCIDR: '10.42.1.0/24', clusterCIDR, nodeAddress: '10.1.1.1' }), {
    instanceOf: NetworkUnavailableError,
    message: /install wireguard-tools/,
  });
});
