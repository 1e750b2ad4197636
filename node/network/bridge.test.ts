import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type CommandResult, runCommand } from '../runtime/command.ts';
import { createBridgeNetwork } from './bridge.ts';
import { networkNames } from './names.ts';
import { NetworkAttachError, NetworkUnavailableError, RouteError } from './network.ts';
import { makeNamespace, type Namespace, namespacesUnavailable } from './test-namespaces.ts';

const unavailable = namespacesUnavailable(['nft', 'nsenter', 'busybox', 'iptables']);
if (unavailable !== undefined) test.skip(`the bridge network: ${unavailable}`, t => t.pass());
const serial = unavailable === undefined ? test.serial : test.serial.skip;

const clusterCIDR = '10.42.0.0/16';
const podOf = (uid: string) => ({ uid, namespace: 'default', name: uid });

interface World {
  readonly machine: Namespace;
  readonly dataDir: string;
  readonly namespace: () => Promise<Namespace>;
}

async function world(t: ExecutionContext): Promise<World> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-network-'));
  const made: Namespace[] = [];
  const namespace = async () => {
    const one = await makeNamespace();
    made.push(one);
    return one;
  };
  t.teardown(async () => {
    for (const one of made) await one.remove();
    await rm(dataDir, { recursive: true });
  });
  return { machine: await namespace(), dataDir, namespace };
}

const nodeOn = (where: World, nodeName: string) =>
  createBridgeNetwork({
    clusterId: 'test',
    nodeName,
    dataDir: path.join(where.dataDir, nodeName),
    run: where.machine.run,
  });

const ping = (from: Namespace, address: string): Promise<CommandResult> =>
  from.run('busybox', ['ping', '-c', '1', '-W', '2', address]);

/** All that the network could leave on a machine. */
async function traces(machine: Namespace): Promise<string> {
  const parts = await Promise.all([
    machine.run('ip', ['-o', 'link']),
    machine.run('ip', ['-4', 'route']),
    machine.run('nft', ['list', 'ruleset']),
  ]);
  return parts.map(part => part.stdout).join('\n');
}

serial('CVE-2020-10749: a pod that says it is a router is not listened to', async t => {
  const where = await world(t);
  const network = nodeOn(where, 'left');
  await network.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  const { bridge } = networkNames('test', 'left');
  const accepts = await where.machine.run('cat', [`/proc/sys/net/ipv6/conf/${bridge}/accept_ra`]);
  // Without IPv6 there is no such file.
  t.true(accepts.code !== 0 || accepts.stdout === '0\n', accepts.stdout);
  await network.close({ remove: true });
});

serial('CVE-2020-10749: a pod believes no neighbour that says it is a router', async t => {
  const where = await world(t);
  const [pod, neighbour] = [await where.namespace(), await where.namespace()];
  const network = nodeOn(where, 'left');
  await network.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  const hasIpv6 = (await pod.run('test', ['-e', '/proc/sys/net/ipv6/conf/all/accept_ra'])).code === 0;
  // As some runtimes leave it: with IPv6, and with ears for all.
  const conf = (name: string) => `/proc/sys/net/ipv6/conf/${name}`;
  if (hasIpv6) {
    for (const where of ['all', 'default']) {
      await pod.run('tee', [`${conf(where)}/disable_ipv6`], { input: '0' });
      await pod.run('tee', [`${conf(where)}/accept_ra`], { input: '1' });
    }
  }
  await network.attach(podOf('a'), pod.pid);
  await network.attach(podOf('b'), neighbour.pid);
  for (const name of hasIpv6 ? ['all', 'default', 'eth0'] : []) {
    t.is((await pod.run('cat', [`${conf(name)}/accept_ra`])).stdout, '0\n', name);
  }
  t.is((await ping(pod, '10.42.1.1')).code, 0);
  await network.close({ remove: true });
});

serial('where /proc is read-only or has no IPv6 a pod gets its network all the same', async t => {
  const where = await world(t);
  const hidden = ['mount --bind -o ro /proc/sys /proc/sys', 'mount -t tmpfs -o ro none /proc/sys/net/ipv6'];
  for (const [index, how] of hidden.entries()) {
    const pod = await where.namespace();
    const network = createBridgeNetwork({
      clusterId: 'test',
      nodeName: 'left',
      dataDir: path.join(where.dataDir, 'left'),
      // What enters the pod's namespace sees the machine's files in this way.
      run: (program, args, options) =>
        program === 'nsenter'
          ? where.machine.run(
              'unshare',
              ['--mount', 'sh', '-c', `${how} && exec "$@"`, 'sh', program, ...args],
              options,
            )
          : where.machine.run(program, args, options),
    });
    await network.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
    await network.attach(podOf(`pod-${index}`), pod.pid);
    t.is((await ping(pod, '10.42.1.1')).code, 0, how);
    await network.close({ remove: true });
  }
});

serial('pods reach each other, the machine, themselves and pods of another node on the machine', async t => {
  const where = await world(t);
  const [first, second, third] = [await where.namespace(), await where.namespace(), await where.namespace()];
  const [left, right] = [nodeOn(where, 'left'), nodeOn(where, 'right')];
  // As Docker leaves it.
  await where.machine.run('iptables', ['-P', 'FORWARD', 'DROP']);
  await left.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  await right.start({ podCIDR: '10.42.2.0/24', clusterCIDR });
  const { address: a } = await left.attach(podOf('a'), first.pid);
  const { address: b } = await left.attach(podOf('b'), second.pid);
  const { address: c } = await right.attach(podOf('c'), third.pid);
  t.deepEqual([a, b, c], ['10.42.1.2', '10.42.1.3', '10.42.2.2']);
  t.is(left.addressOf('a'), a);
  const reached: readonly (readonly [string, Namespace, string])[] = [
    ['pod to pod', first, b],
    ['back', second, a],
    ['to itself', first, a],
    ['to its gateway', first, '10.42.1.1'],
    ['machine to pod', where.machine, a],
    ['to the pod of the other node', first, c],
    ['and back', third, b],
  ];
  for (const [what, from, address] of reached) t.is((await ping(from, address)).code, 0, what);
  // Its packets pass the machine, also to a neighbour.
  const route = await first.run('ip', ['route', 'get', b]);
  t.regex(route.stdout, /via 10\.42\.1\.1/);
});

serial('a new pod costs two programs: each is a fork of the whole agent', async t => {
  const where = await world(t);
  const pod = await where.namespace();
  const programs: string[] = [];
  const network = createBridgeNetwork({
    clusterId: 'test',
    nodeName: 'left',
    dataDir: path.join(where.dataDir, 'left'),
    run: (program, args, options) => {
      programs.push([program, ...args].join(' '));
      return where.machine.run(program, args, options);
    },
  });
  await network.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  programs.length = 0;
  const { address } = await network.attach(podOf('a'), pod.pid);
  t.is(programs.length, 2, programs.join('\n'));
  t.is((await ping(pod, '10.42.1.1')).code, 0);
  // A pod of the same uid in a new sandbox: the wire of the one before is in the way.
  const next = await where.namespace();
  t.deepEqual(await network.attach(podOf('a'), next.pid), { address });
  t.is((await ping(next, '10.42.1.1')).code, 0);
  await network.close({ remove: true });
});

serial('a wire whose address was forgotten makes way', async t => {
  const where = await world(t);
  const pod = await where.namespace();
  const first = nodeOn(where, 'left');
  await first.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  await first.attach(podOf('a'), pod.pid);
  await first.close({ remove: false });
  await rm(path.join(where.dataDir, 'left'), { recursive: true });
  const network = nodeOn(where, 'left');
  await network.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  t.is(network.addressOf('a'), undefined);
  await network.attach(podOf('a'), pod.pid);
  t.is((await ping(pod, '10.42.1.1')).code, 0);
  await network.close({ remove: true });
});

serial('close with remove leaves nothing; without, pods stay wired', async t => {
  const where = await world(t);
  const pod = await where.namespace();
  const before = await traces(where.machine);
  await where.machine.run('iptables', ['-P', 'FORWARD', 'DROP']);
  const network = nodeOn(where, 'left');
  await network.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  const { address } = await network.attach(podOf('a'), pod.pid);
  await network.close({ remove: false });
  t.is((await ping(pod, '10.42.1.1')).code, 0);

  const wire = await wireOf(pod);
  const again = nodeOn(where, 'left');
  await again.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  t.is(again.addressOf('a'), address, 'kept over the restart');
  t.is((await again.attach(podOf('a'), pod.pid)).address, address);
  t.is(await wireOf(pod), wire, 'the wire of a running pod is left alone');
  t.is((await again.attach(podOf('b'), (await where.namespace()).pid)).address, '10.42.1.3');
  await again.close({ remove: true });
  await where.machine.run('iptables', ['-P', 'FORWARD', 'ACCEPT']);
  const after = await traces(where.machine);
  t.notRegex(after, /rs[mv][0-9a-f]+|raftsman/);
  // iptables makes its (empty) table when it is first used; that was the test's own doing.
  t.is(after.split('table ip filter')[0]?.trim(), before.trim());
  await t.notThrowsAsync(nodeOn(where, 'left').close({ remove: true }), 'once more');
});

/** The wire's own mark: index and hardware address of the pod's end. */
async function wireOf(pod: Namespace): Promise<string> {
  const [link] = JSON.parse((await pod.run('ip', ['-j', 'link', 'show', 'dev', 'eth0'])).stdout) as [
    { ifindex: number; address: string },
  ];
  return `${link.ifindex} ${link.address}`;
}

serial('a pod that moves to a new sandbox keeps its address; detach and garbage collection free it', async t => {
  const where = await world(t);
  const network = nodeOn(where, 'left');
  await network.start({ podCIDR: '10.42.1.0/29', clusterCIDR });
  const [one, two, three] = [await where.namespace(), await where.namespace(), await where.namespace()];
  const { address } = await network.attach(podOf('a'), one.pid);
  t.is((await ping(where.machine, address)).code, 0);
  t.is((await network.attach(podOf('a'), two.pid)).address, address);
  t.is((await ping(where.machine, address)).code, 0, 'the machine asks anew where the address is');
  t.is((await ping(two, '10.42.1.1')).code, 0);
  t.not((await ping(one, '10.42.1.1')).code, 0);

  await network.attach(podOf('b'), three.pid);
  await network.collectGarbage(new Set(['b']));
  t.is(network.addressOf('a'), undefined);
  t.is((await ping(three, '10.42.1.1')).code, 0);
  t.not((await ping(two, '10.42.1.1')).code, 0);
  await network.detach('b');
  await network.detach('b');
  t.is(network.addressOf('b'), undefined);
  const links = await where.machine.run('ip', ['-o', 'link']);
  t.notRegex(links.stdout, /rsv/);
});

serial('an exhausted range refuses and names the range', async t => {
  const where = await world(t);
  const network = nodeOn(where, 'left');
  await network.start({ podCIDR: '10.42.1.0/30', clusterCIDR });
  await network.attach(podOf('a'), (await where.namespace()).pid);
  await t.throwsAsync(network.attach(podOf('b'), (await where.namespace()).pid), { message: /10\.42\.1\.0\/30/ });
  await network.detach('a');
  await t.notThrowsAsync(network.attach(podOf('b'), (await where.namespace()).pid));
});

serial("the machine's own network is never wired", async t => {
  const where = await world(t);
  const network = nodeOn(where, 'left');
  await network.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  await t.throwsAsync(network.attach(podOf('a'), process.pid), { instanceOf: NetworkAttachError });
  await t.throwsAsync(network.attach(podOf('gone'), 2 ** 22 - 1), { instanceOf: NetworkAttachError });
});

serial('routes to other machines follow what is asked, with a metric of their own', async t => {
  const where = await world(t);
  const { run } = where.machine;
  await run('ip', ['link', 'add', 'wire0', 'type', 'veth', 'peer', 'name', 'wire1']);
  await run('ip', ['address', 'add', '192.168.77.1/24', 'dev', 'wire0']);
  for (const name of ['wire0', 'wire1']) await run('ip', ['link', 'set', 'dev', name, 'up']);
  const [left, right] = [nodeOn(where, 'left'), nodeOn(where, 'right')];
  await left.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  await right.start({ podCIDR: '10.42.2.0/24', clusterCIDR });
  const routes = [
    { nodeName: 'left', podCIDR: '10.42.1.0/24', nodeAddress: '192.168.77.1' },
    { nodeName: 'right', podCIDR: '10.42.2.0/24', nodeAddress: '192.168.77.1' },
    { nodeName: 'far', podCIDR: '10.42.3.0/24', nodeAddress: '192.168.77.3' },
  ];
  await left.setRoutes(routes);
  await right.setRoutes(routes);
  const shown = async () => (await run('ip', ['route', 'show', 'proto', '114'])).stdout.match(/10\.42\.\d+\.0\/24/g);
  t.deepEqual(await shown(), ['10.42.3.0/24', '10.42.3.0/24']);
  await left.close({ remove: true });
  t.deepEqual(await shown(), ['10.42.3.0/24'], "the other node's route stays");
  await t.throwsAsync(
    right.setRoutes([
      { nodeName: 'nowhere', podCIDR: '10.42.9.0/24', nodeAddress: '203.0.113.9' },
      { nodeName: 'moved', podCIDR: '10.42.3.0/24', nodeAddress: '192.168.77.4' },
    ]),
    { instanceOf: RouteError, message: /nowhere/ },
  );
  t.regex((await run('ip', ['route'])).stdout, /10\.42\.3\.0\/24 via 192\.168\.77\.4/);
  await right.setRoutes([]);
  t.is(await shown(), null);
});

serial('what leaves the cluster carries the address of the machine', async t => {
  const where = await world(t);
  const [outside, pod] = [await where.namespace(), await where.namespace()];
  const { run } = where.machine;
  await run('ip', ['link', 'add', 'wire0', 'type', 'veth', 'peer', 'name', 'wire1', 'netns', String(outside.pid)]);
  await run('ip', ['address', 'add', '192.168.77.1/24', 'dev', 'wire0']);
  await run('ip', ['link', 'set', 'dev', 'wire0', 'up']);
  await outside.run('ip', ['address', 'add', '192.168.77.2/24', 'dev', 'wire1']);
  await outside.run('ip', ['link', 'set', 'dev', 'wire1', 'up']);
  const network = nodeOn(where, 'left');
  await network.start({ podCIDR: '10.42.1.0/24', clusterCIDR });
  await network.attach(podOf('a'), pod.pid);
  // Nobody outside knows a way to pods: an answer comes only if the machine's address was on the question.
  t.is((await ping(pod, '192.168.77.2')).code, 0);
});

test('a machine without ip is told what to install', async t => {
  const network = createBridgeNetwork({
    clusterId: 'test',
    nodeName: 'left',
    dataDir: '/nonexistent',
    run: (program, args, options) => runCommand(`/nonexistent/${program}`, args, options),
  });
  await t.throwsAsync(network.start({ podCIDR: '10.42.1.0/24', clusterCIDR }), {
    instanceOf: NetworkUnavailableError,
    message: /install iproute2/,
  });
});

test('names fit the kernel and differ by node and cluster', t => {
  const names = [networkNames('a', 'n'), networkNames('b', 'n'), networkNames('a', 'm')];
  t.is(new Set(names.map(one => one.bridge)).size, 3);
  for (const one of names) {
    t.true(one.bridge.length <= 15);
    t.true(one.vethOf('8c6c7ab9-0b1c-4a52-9f0e-0e6b5f5e2f11').length <= 15);
    t.regex(one.bridgeMac, /^02(:[0-9a-f]{2}){5}$/);
  }
});
