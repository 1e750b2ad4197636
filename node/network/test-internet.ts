/** For tests: machines with the pod network, on one network or several, in network namespaces of their own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { TestPod } from '../policy/test-pod.ts';
import { createBridgeNetwork } from './bridge.ts';
import type { NodeRoute, PodNetwork } from './network.ts';
import { makeNamespace, type Namespace } from './test-namespaces.ts';
import type { NodeNetworkMode } from './way.ts';

const clusterCIDR = '10.42.0.0/16';

export interface Machine {
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
export type Site = readonly [name: string, network: number];

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
    const network = await this.#network({ name, podCIDR, address, namespace });
    // As the agent does: ways are there before the first pod.
    await network.setRoutes(this.machines.map(routeTo));
    const { address: podAddress } = await network.attach({ uid: name, namespace: 'x', name }, podNamespace.pid);
    const [pod, host] = await Promise.all([
      TestPod.start(name, podNamespace),
      TestPod.start(`host-${name}`, namespace),
    ]);
    this.machines.push({ name, address, podCIDR, namespace, network, host, pod, podAddress, podNamespace });
  }

  async #network({
    name,
    podCIDR,
    address,
    namespace,
  }: Pick<Machine, 'name' | 'podCIDR' | 'address' | 'namespace'>): Promise<PodNetwork> {
    const network = createBridgeNetwork({
      clusterId: 'test',
      nodeName: name,
      dataDir: this.dataDirOf(name),
      nodeNetwork: this.#mode,
      run: namespace.run,
    });
    await network.start({ podCIDR, clusterCIDR, nodeAddress: address });
    return network;
  }

  dataDirOf(name: string): string {
    return path.join(this.#dataDir, name);
  }

  /** An agent that was killed, and the next one of its name. */
  async restart(name: string): Promise<Machine> {
    const before = this.machine(name);
    const after = { ...before, network: await this.#network(before) };
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
