/** Pods with addresses of both families: on one machine, and over every way between machines. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TestPod } from '../policy/test-pod.ts';
import { runCommand } from '../runtime/command.ts';
import { createBridgeNetwork } from './bridge.ts';
import { parseCidr } from './cidr.ts';
import { networkNames } from './names.ts';
import { NetworkUnavailableError, type NodeRoute, type PodAddresses, type PodNetwork, RouteError } from './network.ts';
import { linkLocalOf, readSecondFamily } from './second-family.ts';
import { makeNamespace, type Namespace, namespacesUnavailable } from './test-namespaces.ts';
import { hasVxlan } from './vxlan.ts';
import { type NodeNetworkMode, readAnnouncement } from './way.ts';
import { wireguardConfig, wireguardUnavailable } from './wireguard.ts';

const unavailable = namespacesUnavailable(['nft', 'nsenter', 'bridge', 'ip6tables']);
const noVxlan = unavailable ?? ((await hasVxlan(runCommand)) ? undefined : 'needs VXLAN in the kernel');
const noWireguard = unavailable ?? (await wireguardUnavailable(runCommand));
if (noVxlan !== undefined) test.skip(`pods of both families: ${noVxlan}`, t => t.pass());
if (noWireguard !== undefined) test.skip(`pods of both families over WireGuard: ${noWireguard}`, t => t.pass());
const real = unavailable === undefined ? test : test.skip;
const onVxlan = noVxlan === undefined ? test : test.skip;
const onWireguard = noWireguard === undefined ? test : test.skip;

const clusterCIDR = '10.42.0.0/16';
const clusterCIDR6 = 'fd42::/56';
const { vxlan: vxlanName } = networkNames('test', '');

interface Site {
  readonly name: string;
  readonly network: number;
  /** Whether the machine has an IPv6 address. */
  readonly ipv6: boolean;
  readonly mode?: NodeNetworkMode;
}
interface Machine extends Site {
  readonly index: number;
  readonly machine: Namespace;
  readonly pods: PodNetwork;
  readonly pod: TestPod;
  readonly podNamespace: Namespace;
  readonly addresses: PodAddresses;
}

/** Machines at a router that knows nothing of pods; `router` can be asked who it sees. */
class Internet {
  readonly machines: Machine[] = [];
  readonly #made: Namespace[] = [];
  readonly #router: Namespace;
  readonly #dataDir: string;

  private constructor(router: Namespace, dataDir: string) {
    this.#router = router;
    this.#made.push(router);
    this.#dataDir = dataDir;
  }

  static async make(t: ExecutionContext, sites: readonly Site[]): Promise<Internet> {
    // For a machine that is emulated: see test/machine.
    t.timeout(300_000);
    const internet = new Internet(await makeNamespace(), await mkdtemp(path.join(tmpdir(), 'raftsman-dual-')));
    t.teardown(async () => {
      for (const one of internet.#made) await one.remove();
      await rm(internet.#dataDir, { recursive: true, force: true });
    });
    const router = internet.#router;
    await ip(router, 'link set lo up');
    for (const file of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'])
      await router.run('tee', [`/proc/sys/net/${file}`], { input: '1' });
    for (const net of new Set(sites.map(({ network }) => network))) {
      await ip(
        router,
        `link add net${net} type bridge`,
        `addr add 10.1.${net}.254/24 dev net${net}`,
        `addr add fd01:0:0:${net}::fe/64 dev net${net} nodad`,
        `link set net${net} up`,
      );
    }
    for (const site of sites) await internet.#add(site);
    await internet.sync();
    return internet;
  }

  async #namespace(): Promise<Namespace> {
    const made = await makeNamespace();
    this.#made.push(made);
    return made;
  }

  /** A server in the router's namespace: the world outside. */
  outside(): Promise<TestPod> {
    return TestPod.start('outside', this.#router, 6);
  }

  async #add(site: Site): Promise<void> {
    const { name, network: net, ipv6 } = site;
    const index = this.machines.length + 1;
    const [machine, podNamespace] = [await this.#namespace(), await this.#namespace()];
    await ip(
      this.#router,
      `link add port${index} type veth peer name eth0 netns ${machine.pid}`,
      `link set port${index} master net${net}`,
      `link set port${index} up`,
    );
    await ip(
      machine,
      'link set lo up',
      `addr add 10.1.${net}.${index}/24 dev eth0`,
      'link set eth0 up',
      `route add default via 10.1.${net}.254`,
      ...(ipv6
        ? [`addr add ${machineAddress6(net, index)}/64 dev eth0 nodad`, `route add default via fd01:0:0:${net}::fe`]
        : []),
    );
    // As Docker leaves both.
    await machine.run('iptables', ['-P', 'FORWARD', 'DROP']);
    await machine.run('ip6tables', ['-P', 'FORWARD', 'DROP']);
    const pods = createBridgeNetwork({
      clusterId: 'test',
      nodeName: name,
      dataDir: path.join(this.#dataDir, name),
      nodeNetwork: site.mode ?? 'auto',
      run: machine.run,
    });
    await pods.start({
      podCIDR: `10.42.${index}.0/24`,
      clusterCIDR,
      nodeAddress: `10.1.${net}.${index}`,
      ipv6: {
        podCIDR: podCIDR6(index),
        clusterCIDR: clusterCIDR6,
        ...(ipv6 && { nodeAddress: machineAddress6(net, index) }),
      },
    });
    // As container runtimes leave it.
    await podNamespace.run('tee', ['/proc/sys/net/ipv6/conf/all/disable_ipv6'], { input: '1' });
    const addresses = await pods.attach({ uid: name, namespace: 'x', name }, podNamespace.pid);
    const pod = await TestPod.start(name, podNamespace, 6);
    this.machines.push({ ...site, index, machine, pods, pod, podNamespace, addresses });
  }

  machine(name: string): Machine {
    const found = this.machines.find(one => one.name === name);
    if (!found) throw new Error(`no machine ${name}`);
    return found;
  }

  async sync(): Promise<void> {
    for (const { pods, name } of this.machines) await pods.setRoutes(this.routesFor(name));
  }

  routesFor(name: string): NodeRoute[] {
    return this.machines.filter(one => one.name !== name).map(routeTo);
  }

  /** Each pod to each pod, in both families; much at once, so that packets are as large as can be. */
  async checkAll(t: ExecutionContext): Promise<void> {
    for (const from of this.machines) {
      for (const to of this.machines) {
        for (const family of ['address', 'ipv6'] as const) {
          const [host = '', own = ''] = [to.addresses[family], from.addresses[family]];
          const what = `${from.name} to ${to.name}, ${host}`;
          const [tcp, udp, much] = await Promise.all([
            from.pod.dial({ host }),
            from.pod.dial({ host, protocol: 'UDP' }),
            from.pod.dial({ host, bytes: 300_000 }),
          ]);
          // The address that the other side sees: no translation between pods.
          t.is(tcp, `${to.name} ${own} hello`, what);
          t.is(udp, `${to.name} ${own} hello`, `${what}, UDP`);
          t.is(much, 'all', `${what}, much`);
        }
      }
    }
  }

  async way6(from: string, to: string): Promise<string> {
    const range = podCIDR6(this.machine(to).index);
    return (await this.machine(from).machine.run('ip', ['-6', 'route', 'show', range])).stdout.trim();
  }
}

const podCIDR6 = (index: number) => `fd42:0:0:${index}::/64`;
const machineAddress6 = (net: number, index: number) => `fd01:0:0:${net}::${index}`;

function routeTo({ name: nodeName, index, network: net, ipv6, pods }: Machine): NodeRoute {
  const announcement = pods.announcement();
  return {
    nodeName,
    podCIDR: `10.42.${index}.0/24`,
    nodeAddress: `10.1.${net}.${index}`,
    ipv6: { podCIDR: podCIDR6(index), ...(ipv6 && { nodeAddress: machineAddress6(net, index) }) },
    ...(announcement && { announcement }),
  };
}

async function ip(where: Namespace, ...lines: readonly string[]): Promise<void> {
  for (const line of lines) {
    const result = await where.run('ip', line.split(' '));
    if (result.code !== 0) throw new Error(`ip ${line}: ${result.stderr}`);
  }
}

test('a pod has the same place in both ranges', t => {
  const side = readSecondFamily({ podCIDR: 'fd42:0:0:1::/64', clusterCIDR: clusterCIDR6 }, parseCidr('10.42.1.0/24'));
  t.is(side.gateway, 'fd42:0:0:1::1');
  t.deepEqual(['10.42.1.2', '10.42.1.254'].map(side.addressFor), ['fd42:0:0:1::2', 'fd42:0:0:1::fe']);
  const small = { podCIDR: 'fd42::/121', clusterCIDR: clusterCIDR6 };
  t.throws(() => readSecondFamily(small, parseCidr('10.42.1.0/24')), { message: /fewer addresses/ });
  for (const podCIDR of ['10.42.0.0/24', 'fd42::', '']) {
    t.throws(() => readSecondFamily({ podCIDR, clusterCIDR: clusterCIDR6 }, parseCidr('10.42.1.0/24')));
  }
});

test('the link-local address of a hardware address', t => {
  t.is(linkLocalOf('02:1a:2b:3c:4d:5e'), 'fe80::1a:2bff:fe3c:4d5e');
});

test('a WireGuard peer may send from the ranges of both families', t => {
  const peer = { publicKey: 'k', endpoint: '10.1.1.2', port: 51_820, podCIDR: '10.42.2.0/24' };
  const config = (podCIDR6?: string) =>
    wireguardConfig({ privateKey: 'p', port: 1, peers: [{ ...peer, ...(podCIDR6 && { podCIDR6 }) }] });
  t.regex(config('fd42:0:0:2::/64'), /^AllowedIPs = 10\.42\.2\.0\/24, fd42:0:0:2::\/64$/m);
  t.regex(config(), /^AllowedIPs = 10\.42\.2\.0\/24$/m);
});

onVxlan('routes to a neighbour, VXLAN to nodes that are far off or have no IPv6 address', async t => {
  const internet = await Internet.make(t, [
    { name: 'a', network: 1, ipv6: true },
    { name: 'b', network: 1, ipv6: true },
    { name: 'c', network: 2, ipv6: true },
    { name: 'd', network: 1, ipv6: false },
  ]);
  await internet.checkAll(t);
  t.regex(await internet.way6('a', 'b'), /via fd01:0:0:1::2 dev eth0/);
  t.regex(await internet.way6('a', 'c'), new RegExp(`via fe80::\\S+ dev ${vxlanName} .*src fd42:0:0:1::1`));
  t.regex(await internet.way6('a', 'd'), new RegExp(`dev ${vxlanName}`), 'no address of the family to send to');
  const before = await internet.machine('a').machine.run('ip', ['-6', 'route']);
  await internet.sync();
  t.is((await internet.machine('a').machine.run('ip', ['-6', 'route'])).stdout, before.stdout, 'nothing to change');
  for (const { pods, machine } of internet.machines) {
    await pods.close({ remove: true });
    const left = await machine.run('sh', ['-c', 'ip -o link; ip route; ip -6 route; nft list tables; ip6tables -S']);
    t.notRegex(left.stdout, /rs[mvxgt][0-9a-f]{10}|raftsman/);
  }
});

onWireguard('WireGuard carries both families, also to a node without IPv6 address', async t => {
  const internet = await Internet.make(t, [
    { name: 'a', network: 1, ipv6: true, mode: 'wireguard' },
    { name: 'b', network: 2, ipv6: true, mode: 'wireguard' },
    { name: 'c', network: 2, ipv6: false, mode: 'wireguard' },
  ]);
  await internet.checkAll(t);
  for (const to of ['b', 'c']) t.regex(await internet.way6('a', to), /dev rsg\S+ .*src fd42:0:0:1::1/);
});

real('what goes out of the cluster carries the machine’s address, and the machine reaches its pods', async t => {
  const internet = await Internet.make(t, [{ name: 'a', network: 1, ipv6: true }]);
  const outside = await internet.outside();
  const { pod, addresses, machine } = internet.machine('a');
  t.is(await pod.dial({ host: 'fd01:0:0:1::fe' }), `${outside.name} fd01:0:0:1::1 hello`);
  t.is(await pod.dial({ host: '10.1.1.254' }), `${outside.name} 10.1.1.1 hello`);
  const host = await TestPod.start('host', machine, 6);
  t.is(await host.dial({ host: addresses.ipv6 ?? '' }), 'a fd42:0:0:1::1 hello');
});

real('a restarted network finds what is there; pods on one bridge reach each other', async t => {
  const internet = await Internet.make(t, [{ name: 'a', network: 1, ipv6: true }]);
  const { pods, pod, podNamespace, addresses } = internet.machine('a');
  const second = await makeNamespace();
  t.teardown(() => second.remove());
  const { ipv6 = '' } = await pods.attach({ uid: 'two', namespace: 'x', name: 'two' }, second.pid);
  const other = await TestPod.start('two', second, 6);
  t.is(await pod.dial({ host: ipv6 }), `two ${addresses.ipv6} hello`);
  t.is(await other.dial({ host: addresses.ipv6 ?? '', hold: 'kept' }), `a ${ipv6} hello`);
  t.deepEqual([pods.addressOf('two'), pods.ipv6Of('two')], ['10.42.1.3', ipv6]);
  t.is(pods.ipv6Of('nobody'), undefined);
  const again = await pods.attach({ uid: 'a', namespace: 'x', name: 'a' }, podNamespace.pid);
  t.deepEqual(again, addresses);
  t.is(await other.dial({ host: addresses.ipv6 ?? '', hold: 'kept' }), `a ${ipv6} hello`, 'the wire was not made anew');
});

real('set to routes, a node without IPv6 address is told; a kernel without IPv6 is too', async t => {
  const internet = await Internet.make(t, [{ name: 'a', network: 1, ipv6: true, mode: 'routes' }]);
  const { pods, machine } = internet.machine('a');
  const far = {
    nodeName: 'b',
    podCIDR: '10.42.2.0/24',
    nodeAddress: '10.1.1.2',
    ipv6: { podCIDR: podCIDR6(2) },
    announcement: readAnnouncement(undefined),
  };
  const error = await t.throwsAsync(pods.setRoutes([far]), { instanceOf: RouteError });
  t.regex(
    error?.message ?? '',
    /node b \(fd42:0:0:2::\/64 via a link\): one node has no IPv6 address: give it with --node/,
  );
  t.regex((await machine.run('ip', ['route', 'show', 'proto', '114'])).stdout, /10\.42\.2\.0\/24/, 'IPv4 is there');

  const without = createBridgeNetwork({
    clusterId: 'test',
    nodeName: 'x',
    dataDir: path.join(tmpdir(), 'raftsman-none'),
    run: (program, args, options) =>
      args.includes('/proc/net/if_inet6')
        ? Promise.resolve({ code: 1, stdout: '', stderr: '' })
        : machine.run(program, args, options),
  });
  await t.throwsAsync(
    without.start({
      podCIDR: '10.42.9.0/24',
      clusterCIDR,
      ipv6: { podCIDR: podCIDR6(9), clusterCIDR: clusterCIDR6 },
    }),
    { instanceOf: NetworkUnavailableError, message: /this kernel has no IPv6/ },
  );
});
