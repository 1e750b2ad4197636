/**
 * The pod network on one machine: a bridge a node with the first address of its podCIDR, a veth pair a pod, host routes
 * or links to the pods of other nodes (`node-routes.ts`). Everything has a name made from cluster and node, so that several nodes share a machine,
 * a restarted agent finds its own again, and `close({ remove: true })` knows what to take away.
 *
 * A pod's address is a /32 with the bridge as its only neighbour: all its packets pass the machine's IP layer, also
 * those to pods on the same bridge. Services need that (the reply of an endpoint has to be translated back) and so it
 * works whether or not the kernel shows bridged packets to its packet filter.
 */
import { readlink } from 'node:fs/promises';
import { CommandMissingError, mustRun, type RunCommand, runCommand } from '../runtime/command.ts';
import type { PodIdentity } from '../runtime/runtime.ts';
import { AddressBook, AddressStore, gatewayOf } from './addresses.ts';
import { type Cidr, CidrError, formatAddress, formatCidr, parseCidr } from './cidr.ts';
import { Firewall } from './firewall.ts';
import { prefixLengthMax, prefixLengthMin } from './limits.ts';
import { type Link, Links } from './links.ts';
import { type NetworkNames, networkNames } from './names.ts';
import {
  NetworkAttachError,
  NetworkUnavailableError,
  type NodeRoute,
  type PodAddresses,
  type PodNetwork,
} from './network.ts';
import { NodeRoutes } from './node-routes.ts';
import { bridgeLinkLocal, type Ipv6Side, readSecondFamily } from './second-family.ts';
import type { Announcement, NodeNetworkMode } from './way.ts';

export interface BridgeNetworkOptions {
  readonly clusterId: string;
  readonly nodeName: string;
  /** Where the given addresses are kept. */
  readonly dataDir: string;
  /** How other nodes are reached; `auto` if nothing is said. */
  readonly nodeNetwork?: NodeNetworkMode;
  /** Runs `ip`, `nft`, `nsenter` …; for tests in a network namespace of their own. */
  readonly run?: RunCommand;
}

interface Started {
  readonly range: Cidr;
  readonly book: AddressBook;
  /** On a dual-stack cluster. */
  readonly ipv6: Ipv6Side | undefined;
}

const podInterface = 'eth0';

export function createBridgeNetwork(options: BridgeNetworkOptions): PodNetwork {
  return new BridgeNetwork(options);
}

class BridgeNetwork implements PodNetwork {
  readonly #names: NetworkNames;
  readonly #run: RunCommand;
  readonly #links: Links;
  readonly #firewall: Firewall;
  readonly #store: AddressStore;
  readonly #routes: NodeRoutes;
  readonly #attaching = new Set<string>();
  #started: Started | undefined;

  constructor(options: BridgeNetworkOptions) {
    this.#names = networkNames(options.clusterId, options.nodeName);
    this.#run = options.run ?? runCommand;
    this.#links = new Links(this.#run);
    this.#firewall = new Firewall(this.#run, this.#names);
    this.#store = new AddressStore(options.dataDir);
    this.#routes = new NodeRoutes({
      run: this.#run,
      links: this.#links,
      names: this.#names,
      dataDir: options.dataDir,
      mode: options.nodeNetwork ?? 'auto',
    });
  }

  async start(options: Parameters<PodNetwork['start']>[0]): Promise<void> {
    const range = podRange(options.podCIDR);
    const clusterCIDR = formatCidr(parseCidr(options.clusterCIDR));
    const ipv6 = options.ipv6 && readSecondFamily(options.ipv6, range);
    await this.#links.check();
    if (ipv6) await this.#checkIpv6();
    const { nodeAddress: address = '' } = options;
    const mtu = await this.#links.mtu(address === '' ? undefined : address);
    await this.#ensureBridge(range, mtu);
    if (ipv6) await this.#prepareIpv6(ipv6);
    await this.#setKernel('net/ipv4/ip_forward', '1');
    await this.#setKernel(`net/ipv4/conf/${this.#names.bridge}/send_redirects`, '0');
    await this.#ignoreRouters();
    await this.#firewall.apply({ podCIDR: formatCidr(range), clusterCIDR, ...(ipv6 && { ipv6 }) });
    const gateway = formatAddress(gatewayOf(range));
    await this.#routes.start({ range, address, mtu, gateway, ...(ipv6 && { ipv6 }) });
    this.#started = { range, book: new AddressBook(range, await this.#store.load()), ipv6 };
  }

  announcement(): Announcement | undefined {
    return this.#started && this.#routes.announcement;
  }

  async attach(pod: PodIdentity, pid: number): Promise<PodAddresses> {
    const { book, range, ipv6: side } = this.#state();
    const { mtu } = this.#routes;
    const { address, isNew } = book.assign(pod.uid);
    const ipv6 = side?.addressFor(address);
    const addresses: PodAddresses = { address, ...(ipv6 !== undefined && { ipv6 }) };
    this.#attaching.add(pod.uid);
    try {
      if (isNew) await this.#store.save(formatCidr(range), book);
      await assertOwnNamespace(pid);
      const veth = this.#names.vethOf(pod.uid);
      const wire = { veth, pid, addresses, mtu, range };
      // A pod without an address has no wire, but where the book was lost: then it is in the way, and goes.
      if (isNew) return await this.#wire(wire).catch(() => this.#wire(wire));
      const outside = await this.#links.find(veth);
      if (await this.#isWired(outside, pid, addresses)) return addresses;
      // Left from a sandbox before this one, or from an attach that was cut short.
      if (outside !== undefined) await this.#links.remove(veth);
      return await this.#wire(wire);
    } catch (error) {
      if (error instanceof NetworkAttachError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new NetworkAttachError(`pod ${pod.namespace}/${pod.name} gets no network: ${why}`, { cause: error });
    } finally {
      this.#attaching.delete(pod.uid);
    }
  }

  addressOf(podUid: string): string | undefined {
    return this.#started?.book.addressOf(podUid);
  }

  ipv6Of(podUid: string): string | undefined {
    const address = this.addressOf(podUid);
    return address === undefined ? undefined : this.#started?.ipv6?.addressFor(address);
  }

  async detach(podUid: string): Promise<void> {
    const { book, range } = this.#state();
    await this.#links.remove(this.#names.vethOf(podUid));
    if (book.release(podUid)) await this.#store.save(formatCidr(range), book);
  }

  async collectGarbage(livingPodUids: ReadonlySet<string>): Promise<void> {
    const { book, range } = this.#state();
    const isAlive = (podUid: string) => livingPodUids.has(podUid) || this.#attaching.has(podUid);
    const wires = await this.#links.namesOn(this.#names.bridge);
    // Only now, after the wait: an attach may have begun meanwhile.
    const kept = new Set([...livingPodUids, ...this.#attaching].map(podUid => this.#names.vethOf(podUid)));
    for (const wire of wires.filter(name => !kept.has(name))) await this.#links.remove(wire);
    const released = book.pods().filter(podUid => !isAlive(podUid) && book.release(podUid));
    if (released.length > 0) await this.#store.save(formatCidr(range), book);
    await this.#firewall.ensureForwarding();
  }

  async setRoutes(routes: readonly NodeRoute[]): Promise<void> {
    this.#state();
    await this.#routes.set(routes);
  }

  async close(options: { readonly remove: boolean }): Promise<void> {
    this.#started = undefined;
    if (!options.remove) return;
    await this.#links.check();
    for (const wire of await this.#links.namesOn(this.#names.bridge)) await this.#links.remove(wire);
    await this.#routes.remove();
    await this.#firewall.remove();
    await this.#links.remove(this.#names.bridge);
    await this.#store.remove();
  }

  #state(): Started {
    if (this.#started === undefined) throw new NetworkUnavailableError('the pod network was not started');
    return this.#started;
  }

  async #ensureBridge(range: Cidr, mtu: number): Promise<void> {
    const { bridge, bridgeMac } = this.#names;
    const address = `${formatAddress(gatewayOf(range))}/${range.prefixLength}`;
    const existing = await this.#links.find(bridge);
    const create =
      existing === undefined && !(await this.#links.exists(bridge))
        ? [`link add ${bridge} address ${bridgeMac} type bridge stp_state 0 forward_delay 0`]
        : [];
    const stale = (existing?.addresses ?? []).filter(one => one !== address);
    try {
      await this.#links.change([
        ...create,
        `link set dev ${bridge} mtu ${mtu}`,
        `link set dev ${bridge} addrgenmode none`,
        ...stale.map(one => `address delete ${one} dev ${bridge}`),
        `address replace ${address} dev ${bridge}`,
        `link set dev ${bridge} up`,
      ]);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const hint = /not permitted/i.test(why) ? 'run the agent as root (it needs CAP_NET_ADMIN)' : why;
      throw new NetworkUnavailableError(`the pod network's bridge cannot be made: ${hint}`, { cause: error });
    }
  }

  async #checkIpv6(): Promise<void> {
    if ((await this.#run('test', ['-e', '/proc/net/if_inet6'])).code === 0) return;
    throw new NetworkUnavailableError(
      'this kernel has no IPv6 (no /proc/net/if_inet6), which a dual-stack cluster needs on each node: boot without ipv6.disable=1',
    );
  }

  /** The bridge's second address, and forwarding, without which a machine is no router. */
  async #prepareIpv6({ gateway, prefixLength }: Ipv6Side): Promise<void> {
    const { bridge } = this.#names;
    await this.#setKernel(`net/ipv6/conf/${bridge}/disable_ipv6`, '0');
    const wanted = [`${gateway}/${prefixLength}`, bridgeLinkLocal];
    const stale = ((await this.#links.find(bridge))?.ipv6 ?? []).filter(one => !wanted.includes(one));
    await this.#links.change([
      ...stale.map(one => `address delete ${one} dev ${bridge}`),
      // Nobody else has them: looking for a double would only hold up the first pods.
      ...wanted.map(one => `address replace ${one} dev ${bridge} nodad`),
    ]);
    // A machine that forwards no longer listens to routers, unless it is told to (2): its own way out must stay.
    for (const device of await this.#links.toldByRouters()) {
      await this.#setKernel(`net/ipv6/conf/${device}/accept_ra`, '2');
    }
    await this.#setKernel('net/ipv6/conf/all/forwarding', '1');
  }

  /** A pod that says it were an IPv6 router gets none of the machine's packets (CVE-2020-10749). */
  async #ignoreRouters(): Promise<void> {
    const name = `net/ipv6/conf/${this.#names.bridge}/accept_ra`;
    // A kernel without IPv6 listens to no router.
    if ((await this.#run('test', ['-e', `/proc/sys/${name}`])).code === 0) await this.#setKernel(name, '0');
  }

  /** `tee` rather than a file: a sysctl of the network belongs to the namespace of the process that opens it. */
  async #setKernel(name: string, value: string): Promise<void> {
    const file = `/proc/sys/${name}`;
    try {
      if ((await mustRun(this.#run, 'cat', [file])).trim() === value) return;
      await mustRun(this.#run, 'tee', [file], { input: value });
    } catch (error) {
      if (error instanceof CommandMissingError) throw error;
      throw new NetworkUnavailableError(`${file} cannot be set to ${value}: run the agent as root`, { cause: error });
    }
  }

  async #isWired(outside: Link | undefined, pid: number, { address, ipv6 }: PodAddresses): Promise<boolean> {
    if (outside?.master !== this.#names.bridge) return false;
    const inside = await this.#links.findInside(pid, podInterface);
    if (inside?.addresses.includes(`${address}/32`) !== true) return false;
    return ipv6 === undefined || inside.ipv6.includes(`${ipv6}/128`);
  }

  /** Each program costs a fork of the whole agent: as few as can be. What a failure leaves is taken away. */
  async #wire(wire: {
    readonly veth: string;
    readonly pid: number;
    readonly addresses: PodAddresses;
    readonly mtu: number;
    readonly range: Cidr;
  }): Promise<PodAddresses> {
    const { veth, pid, addresses, mtu } = wire;
    const { address, ipv6 } = addresses;
    const gateway = formatAddress(gatewayOf(wire.range));
    try {
      await this.#links.change([
        `link add ${veth} mtu ${mtu} type veth peer name ${podInterface} mtu ${mtu} netns ${pid}`,
        `link set dev ${veth} addrgenmode none`,
        `link set dev ${veth} master ${this.#names.bridge}`,
        // Not `isolated`: where the kernel shows bridged packets to its packet filter, what a service translated goes from
        // wire to wire.
        `link set dev ${veth} type bridge_slave hairpin on`,
        `link set dev ${veth} up`,
        // The address may have belonged to another wire just now, whose hardware address the machine still remembers.
        ...Object.values(addresses).map(one => `neighbour flush to ${one} dev ${this.#names.bridge}`),
      ]);
      // Another pod on the bridge must not be this one's router, whether or not the cluster has IPv6.
      await this.#links.changeInsideDeafToRouters(pid, podInterface, [
        'link set dev lo up',
        `address replace ${address}/32 dev ${podInterface}`,
        `link set dev ${podInterface} up`,
        `route replace ${gateway} dev ${podInterface} scope link`,
        `route replace default via ${gateway} dev ${podInterface}`,
      ]);
      if (ipv6 !== undefined) await this.#wireIpv6(pid, ipv6);
      return addresses;
    } catch (error) {
      await this.#links.remove(veth);
      throw error;
    }
  }

  /** Runtimes switch IPv6 off in the namespaces that they make. */
  async #wireIpv6(pid: number, address: string): Promise<void> {
    const gateway = this.#state().ipv6?.gateway ?? '';
    for (const where of ['all', 'default', podInterface]) {
      await this.#links.setInside(pid, `ipv6/conf/${where}/disable_ipv6`, '0');
    }
    await this.#links.changeInside(pid, [
      `address replace ${address}/128 dev ${podInterface} nodad`,
      `route replace ${gateway} dev ${podInterface}`,
      `route replace default via ${gateway} dev ${podInterface}`,
    ]);
  }
}

function podRange(text: string): Cidr {
  const range = parseCidr(text);
  if (range.prefixLength < prefixLengthMin || range.prefixLength > prefixLengthMax) {
    throw new CidrError(`podCIDR ${text}: the prefix length has to be ${prefixLengthMin} to ${prefixLengthMax}`);
  }
  return range;
}

/** A sandbox that shares the machine's network must never be wired: that would change the machine's own routes. */
async function assertOwnNamespace(pid: number): Promise<void> {
  const [own, others] = await Promise.all([readlink('/proc/self/ns/net'), readlink(`/proc/${pid}/ns/net`)]);
  if (own === others) throw new NetworkAttachError(`process ${pid} shares the machine's network`);
}
