import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { compilePolicies } from '../policy/compile.ts';
import { createNftablesEnforcer } from '../policy/enforcer.ts';
import { TestPod } from '../policy/test-pod.ts';
import { runCommand } from '../runtime/command.ts';
import { createBridgeNetwork } from './bridge.ts';
import { networkNames } from './names.ts';
import { NetworkUnavailableError, type NodeRoute, type PodNetwork, RouteError } from './network.ts';
import { makeNamespace, type Namespace, namespacesUnavailable } from './test-namespaces.ts';
import { hasVxlan } from './vxlan.ts';
import type { NodeNetworkMode } from './way.ts';
import { loadKey, publicKeyOf, wireguardConfig, wireguardUnavailable } from './wireguard.ts';

const unavailable = namespacesUnavailable(['nft', 'nsenter', 'bridge']);
const noVxlan = unavailable ?? ((await hasVxlan(runCommand)) ? undefined : 'needs VXLAN in the kernel');
const noWireguard = unavailable ?? (await wireguardUnavailable(runCommand));
if (unavailable !== undefined) test.skip(`ways between nodes: ${unavailable}`, t => t.pass());
else if (noVxlan !== undefined) test.skip(`ways between nodes over VXLAN: ${noVxlan}`, t => t.pass());
if (unavailable === undefined && noWireguard !== undefined)
  test.skip(`ways between nodes over WireGuard: ${noWireguard}`, t => t.pass());
const onVxlan = noVxlan === undefined ? test : test.skip;
const onRoutes = unavailable === undefined ? test : test.skip;
const onWireguard = noWireguard === undefined ? test : test.skip;

const clusterCIDR = '10.42.0.0/16';
const { vxlan: vxlanName } = networkNames('test', '');

interface Machine {
  readonly name: string;
  readonly address: string;
  readonly podCIDR: string;
  readonly namespace: Namespace;
  readonly network: PodNetwork;
  readonly host: TestPod;
  readonly pod: TestPod;
  readonly podAddress: string;
  readonly podNamespace: Namespace;
}
type Site = readonly [name: string, network: number];

/**
 * Machines at a router that knows nothing of pods: those of one number are on one network. Each has a pod, whose process
 * serves and dials.
 */
class Internet {
  readonly machines: Machine[] = [];
  readonly #t: ExecutionContext;
  readonly #router: Namespace;
  readonly #made: Namespace[];
  readonly #dataDir: string;
  readonly #bridges = new Set<number>();
  readonly #mode: NodeNetworkMode;

  private constructor(t: ExecutionContext, router: Namespace, options: { dataDir: string; mode: NodeNetworkMode }) {
    this.#t = t;
    this.#router = router;
    this.#made = [router];
    this.#dataDir = options.dataDir;
    this.#mode = options.mode;
  }

  static async make(t: ExecutionContext, mode: NodeNetworkMode, sites: readonly Site[]): Promise<Internet> {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-ways-'));
    const router = await makeNamespace();
    const internet = new Internet(t, router, { dataDir, mode });
    t.teardown(async () => {
      for (const one of internet.#made) await one.remove();
      await rm(dataDir, { recursive: true, force: true });
    });
    await router.run('tee', ['/proc/sys/net/ipv4/ip_forward'], { input: '1' });
    for (const site of sites) await internet.#addMachine(site);
    await internet.sync();
    return internet;
  }

  async #namespace(): Promise<Namespace> {
    const made = await makeNamespace();
    this.#made.push(made);
    return made;
  }

  async #ip(where: Namespace, ...lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      const result = await where.run('ip', line.split(' '));
      if (result.code !== 0) throw new Error(`ip ${line}: ${result.stderr}`);
    }
  }

  async #addMachine([name, net]: Site): Promise<void> {
    const index = this.machines.length + 1;
    const [address, podCIDR] = [`10.1.${net}.${index}`, `10.42.${index}.0/24`];
    const [namespace, podNamespace] = [await this.#namespace(), await this.#namespace()];
    if (!this.#bridges.has(net)) {
      await this.#ip(
        this.#router,
        `link add net${net} type bridge`,
        `addr add 10.1.${net}.254/24 dev net${net}`,
        `link set net${net} up`,
      );
      this.#bridges.add(net);
    }
    await this.#ip(
      this.#router,
      `link add port${index} type veth peer name eth0 netns ${namespace.pid}`,
      `link set port${index} master net${net}`,
      `link set port${index} up`,
    );
    await this.#ip(
      namespace,
      'link set lo up',
      `addr add ${address}/24 dev eth0`,
      'link set eth0 up',
      `route add default via 10.1.${net}.254`,
    );
    const network = createBridgeNetwork({
      clusterId: 'test',
      nodeName: name,
      dataDir: path.join(this.#dataDir, name),
      nodeNetwork: this.#mode,
      run: namespace.run,
    });
    await network.start({ podCIDR, clusterCIDR, nodeAddress: address });
    // As the agent does: ways are there before the first pod.
    await network.setRoutes(this.machines.map(routeTo));
    const { address: podAddress } = await network.attach({ uid: name, namespace: 'x', name }, podNamespace.pid);
    const [pod, host] = await Promise.all([
      TestPod.start(name, podNamespace),
      TestPod.start(`host-${name}`, namespace),
    ]);
    this.machines.push({ name, address, podCIDR, namespace, network, host, pod, podAddress, podNamespace });
  }

  machine(name: string): Machine {
    const found = this.machines.find(one => one.name === name);
    if (!found) throw new Error(`no machine ${name}`);
    return found;
  }

  /** What the nodes' informers bring about. */
  async sync(of: readonly Machine[] = this.machines): Promise<void> {
    for (const { network, name } of of) await network.setRoutes(of.filter(one => one.name !== name).map(routeTo));
  }

  /** Each pod and each machine to each pod, TCP and UDP; much at once, so that packets are as large as can be. */
  async checkAll(): Promise<void> {
    for (const from of this.machines) {
      for (const to of this.machines) {
        const [tcp, udp, much, host] = await Promise.all([
          from.pod.dial({ host: to.podAddress }),
          from.pod.dial({ host: to.podAddress, protocol: 'UDP' }),
          from.pod.dial({ host: to.podAddress, bytes: 300_000 }),
          from.host.dial({ host: to.podAddress }),
        ]);
        const what = `${from.name} to ${to.name}`;
        // The address that the other side sees: no translation between pods.
        this.#t.is(tcp, `${to.name} ${from.podAddress} hello`, what);
        this.#t.is(udp, `${to.name} ${from.podAddress} hello`, `${what}, UDP`);
        this.#t.is(much, 'all', `${what}, much`);
        this.#t.regex(host, new RegExp(`^${to.name} .* hello$`), `${what}, from the machine`);
      }
    }
  }

  async wayOf(from: string, to: string): Promise<string> {
    const { stdout } = await this.machine(from).namespace.run('ip', ['route', 'show', this.machine(to).podCIDR]);
    return stdout.trim();
  }
}

function routeTo({ name: nodeName, podCIDR, address: nodeAddress, network }: Machine): NodeRoute {
  const announcement = network.announcement();
  return { nodeName, podCIDR, nodeAddress, ...(announcement && { announcement }) };
}

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

onWireguard('WireGuard: pods reach each other encrypted, on one network and far off', async t => {
  const internet = await Internet.make(t, 'wireguard', [
    ['a', 1],
    ['b', 1],
    ['c', 2],
  ]);
  await internet.checkAll();
  t.regex(await internet.wayOf('a', 'b'), /dev rsg/);
  t.regex((await internet.machine('a').podNamespace.run('ip', ['link', 'show', 'eth0'])).stdout, /mtu 1420/);
});

test('WireGuard: a key stays, and one that a crash left empty is made anew', async t => {
  const folder = await mkdtemp(path.join(tmpdir(), 'raftsman-key-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'wireguard.key');
  await writeFile(file, '');
  const key = await loadKey(file);
  t.is(Buffer.from(key, 'base64').length, 32);
  t.is(await loadKey(file), key);
  t.is((await stat(file)).mode & 0o777, 0o600);
});

test("WireGuard's keys and configuration", t => {
  // RFC 7748, section 6.1: Bob's.
  const hex = (text: string) => Buffer.from(text, 'hex').toString('base64');
  t.is(
    publicKeyOf(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb')),
    hex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'),
  );
  const config = wireguardConfig({
    privateKey: 'own',
    port: 51_820,
    peers: [{ publicKey: 'theirs', endpoint: '192.0.2.2', port: 51_821, podCIDR: '10.42.1.0/24' }],
  });
  t.is(
    config,
    '[Interface]\nPrivateKey = own\nListenPort = 51820\n[Peer]\nPublicKey = theirs\nAllowedIPs = 10.42.1.0/24\nEndpoint = 192.0.2.2:51821\n',
  );
});
