/** For tests: machines with the pod network, on one network or several, in network namespaces of their own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { TestPod } from '../policy/test-pod.ts';
import { createBridgeNetwork } from './bridge.ts';
import type { NodeRoute, PodAddresses, PodNetwork } from './network.ts';
import { makeNamespace, type Namespace } from './test-namespaces.ts';
import type { NodeNetworkMode } from './way.ts';

export const clusterCIDR = '10.42.0.0/16';
export const clusterCIDR6 = 'fd42::/56';
export const podCIDR6 = (index: number) => `fd42:0:0:${index}::/64`;

/** A machine's name, its network's number, and whether it lacks an IPv6 address where the cluster has both families. */
export type Site = readonly [name: string, network: number, lacks?: 'without IPv6'];

/** What the cluster and the machines have of one machine, wherever it stands. */
interface Place {
  readonly name: string;
  readonly index: number;
  readonly address: string;
  readonly podCIDR: string;
  /** On a dual-stack cluster. */
  readonly ipv6?: { readonly podCIDR: string; readonly nodeAddress?: string };
}
export interface Machine extends Place {
  readonly namespace: Namespace;
  readonly network: PodNetwork;
  readonly host: TestPod;
  readonly pod: TestPod;
  readonly podAddress: string;
  /** Of the pod, in all families. */
  readonly addresses: PodAddresses;
  readonly podNamespace: Namespace;
}

interface Kind {
  readonly mode: NodeNetworkMode;
  readonly hasBothFamilies: boolean;
}

/**
 * Machines at a router that knows nothing of pods: those of one number are on one network. Each has a pod, whose process
 * serves and dials.
 */
export class Internet {
  readonly machines: Machine[] = [];
  readonly #t: ExecutionContext;
  readonly #router: Namespace;
  readonly #made: Namespace[];
  readonly #dataDir: string;
  readonly #bridges = new Set<number>();
  readonly #kind: Kind;

  private constructor(t: ExecutionContext, router: Namespace, dataDir: string, kind: Kind) {
    this.#t = t;
    this.#router = router;
    this.#made = [router];
    this.#dataDir = dataDir;
    this.#kind = kind;
  }

  /** Of IPv4. */
  static make(t: ExecutionContext, mode: NodeNetworkMode, sites: readonly Site[]): Promise<Internet> {
    return Internet.#make(t, { mode, hasBothFamilies: false }, sites);
  }

  static dualStack(t: ExecutionContext, mode: NodeNetworkMode, sites: readonly Site[]): Promise<Internet> {
    // For a machine that is emulated: see test/machine.
    t.timeout(300_000);
    return Internet.#make(t, { mode, hasBothFamilies: true }, sites);
  }

  static async #make(t: ExecutionContext, kind: Kind, sites: readonly Site[]): Promise<Internet> {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-ways-'));
    const router = await makeNamespace();
    const internet = new Internet(t, router, dataDir, kind);
    t.teardown(async () => {
      for (const one of internet.#made) await one.remove();
      await rm(dataDir, { recursive: true, force: true });
    });
    await ip(router, 'link set lo up');
    await setKernel(router, 'ipv4/ip_forward', '1');
    if (kind.hasBothFamilies) await setKernel(router, 'ipv6/conf/all/forwarding', '1');
    for (const site of sites) await internet.#addMachine(site);
    await internet.sync();
    return internet;
  }

  /** A server in the router's namespace: the world outside. */
  outside(): Promise<TestPod> {
    return TestPod.start('outside', this.#router, this.#family);
  }

  get #family(): 4 | 6 {
    return this.#kind.hasBothFamilies ? 6 : 4;
  }

  async #namespace(): Promise<Namespace> {
    const made = await makeNamespace();
    this.#made.push(made);
    return made;
  }

  async #addMachine([name, net, lacks]: Site): Promise<void> {
    const place = this.#place(name, net, lacks === undefined);
    const { index } = place;
    const [namespace, podNamespace] = [await this.#namespace(), await this.#namespace()];
    await this.#ensureBridge(net);
    await ip(
      this.#router,
      `link add port${index} type veth peer name eth0 netns ${namespace.pid}`,
      `link set port${index} master net${net}`,
      `link set port${index} up`,
    );
    const address6 = place.ipv6?.nodeAddress;
    await ip(
      namespace,
      'link set lo up',
      `addr add ${place.address}/24 dev eth0`,
      'link set eth0 up',
      `route add default via 10.1.${net}.254`,
      ...(address6 ? [`addr add ${address6}/64 dev eth0 nodad`, `route add default via fd01:0:0:${net}::fe`] : []),
    );
    if (this.#kind.hasBothFamilies) {
      // As Docker leaves both.
      for (const program of ['iptables', 'ip6tables']) await namespace.run(program, ['-P', 'FORWARD', 'DROP']);
      // As container runtimes leave it.
      await setKernel(podNamespace, 'ipv6/conf/all/disable_ipv6', '1');
    }
    const network = await this.#network(place, namespace);
    // As the agent does: ways are there before the first pod.
    await network.setRoutes(this.machines.map(routeTo));
    const addresses = await network.attach({ uid: name, namespace: 'x', name }, podNamespace.pid);
    const [pod, host] = await Promise.all([
      TestPod.start(name, podNamespace, this.#family),
      TestPod.start(`host-${name}`, namespace, this.#family),
    ]);
    const podAddress = addresses.address;
    this.machines.push({ ...place, namespace, network, host, pod, podAddress, addresses, podNamespace });
  }

  #place(name: string, net: number, hasAddress6: boolean): Place {
    const index = this.machines.length + 1;
    const place = { name, index, address: `10.1.${net}.${index}`, podCIDR: `10.42.${index}.0/24` };
    if (!this.#kind.hasBothFamilies) return place;
    const nodeAddress = `fd01:0:0:${net}::${index}`;
    return { ...place, ipv6: { podCIDR: podCIDR6(index), ...(hasAddress6 && { nodeAddress }) } };
  }

  async #ensureBridge(net: number): Promise<void> {
    if (this.#bridges.has(net)) return;
    this.#bridges.add(net);
    await ip(
      this.#router,
      `link add net${net} type bridge`,
      `addr add 10.1.${net}.254/24 dev net${net}`,
      ...(this.#kind.hasBothFamilies ? [`addr add fd01:0:0:${net}::fe/64 dev net${net} nodad`] : []),
      `link set net${net} up`,
    );
  }

  async #network({ name, podCIDR, address, ipv6 }: Place, namespace: Namespace): Promise<PodNetwork> {
    const network = createBridgeNetwork({
      clusterId: 'test',
      nodeName: name,
      dataDir: this.dataDirOf(name),
      nodeNetwork: this.#kind.mode,
      run: namespace.run,
    });
    const second = ipv6 && { ipv6: { ...ipv6, clusterCIDR: clusterCIDR6 } };
    await network.start({ podCIDR, clusterCIDR, nodeAddress: address, ...second });
    return network;
  }

  dataDirOf(name: string): string {
    return path.join(this.#dataDir, name);
  }

  /** An agent that was killed, and the next one of its name. */
  async restart(name: string): Promise<Machine> {
    const before = this.machine(name);
    const after = { ...before, network: await this.#network(before, before.namespace) };
    this.machines[this.machines.indexOf(before)] = after;
    await after.network.attach({ uid: name, namespace: 'x', name }, after.podNamespace.pid);
    return after;
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

  /** Each pod and each machine to each pod, TCP and UDP, in all families; much at once, so that packets are as large as can be. */
  async checkAll(): Promise<void> {
    for (const from of this.machines) {
      for (const to of this.machines) {
        await this.#check(from, to, 'address');
        if (this.#kind.hasBothFamilies) await this.#check(from, to, 'ipv6');
      }
    }
  }

  async #check(from: Machine, to: Machine, family: keyof PodAddresses): Promise<void> {
    const [host = '', own = ''] = [to.addresses[family], from.addresses[family]];
    const [tcp, udp, much, machine] = await Promise.all([
      from.pod.dial({ host }),
      from.pod.dial({ host, protocol: 'UDP' }),
      from.pod.dial({ host, bytes: 300_000 }),
      from.host.dial({ host }),
    ]);
    const what = `${from.name} to ${to.name}, ${host}`;
    // The address that the other side sees: no translation between pods.
    this.#t.is(tcp, `${to.name} ${own} hello`, what);
    this.#t.is(udp, `${to.name} ${own} hello`, `${what}, UDP`);
    this.#t.is(much, 'all', `${what}, much`);
    this.#t.regex(machine, new RegExp(`^${to.name} .* hello$`), `${what}, from the machine`);
  }

  async wayOf(from: string, to: string, family: 4 | 6 = 4): Promise<string> {
    const { podCIDR, ipv6 } = this.machine(to);
    const args = [`-${family}`, 'route', 'show', family === 4 ? podCIDR : (ipv6?.podCIDR ?? '')];
    return (await this.machine(from).namespace.run('ip', args)).stdout.trim();
  }
}

function routeTo({ name: nodeName, podCIDR, address: nodeAddress, ipv6, network }: Machine): NodeRoute {
  const announcement = network.announcement();
  return { nodeName, podCIDR, nodeAddress, ...(ipv6 && { ipv6 }), ...(announcement && { announcement }) };
}

async function ip(where: Namespace, ...lines: readonly string[]): Promise<void> {
  for (const line of lines) {
    const result = await where.run('ip', line.split(' '));
    if (result.code !== 0) throw new Error(`ip ${line}: ${result.stderr}`);
  }
}

async function setKernel(where: Namespace, name: string, value: string): Promise<void> {
  await where.run('tee', [`/proc/sys/net/${name}`], { input: value });
}
