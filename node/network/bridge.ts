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
import { NetworkAttachError, NetworkUnavailableError, type NodeRoute, type PodNetwork } from './network.ts';
import { NodeRoutes } from './node-routes.ts';
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
    await this.#links.check();
    const { nodeAddress: address = '' } = options;
    const mtu = await this.#links.mtu(address === '' ? undefined : address);
    await this.#ensureBridge(range, mtu);
    await this.#setKernel('net/ipv4/ip_forward', '1');
    await this.#setKernel(`net/ipv4/conf/${this.#names.bridge}/send_redirects`, '0');
    await this.#ignoreRouters();
    await this.#firewall.apply({ podCIDR: formatCidr(range), clusterCIDR });
    await this.#routes.start({ range, address, mtu, gateway: formatAddress(gatewayOf(range)) });
    this.#started = { range, book: new AddressBook(range, await this.#store.load()) };
  }

  announcement(): Announcement | undefined {
    return this.#started && this.#routes.announcement;
  }

  async attach(pod: PodIdentity, pid: number): Promise<{ readonly address: string }> {
    const { book, range } = this.#state();
    const { mtu } = this.#routes;
    const { address, isNew } = book.assign(pod.uid);
    this.#attaching.add(pod.uid);
    try {
      if (isNew) await this.#store.save(formatCidr(range), book);
      await assertOwnNamespace(pid);
      const veth = this.#names.vethOf(pod.uid);
      const outside = await this.#links.find(veth);
      if (!(await this.#isWired(outside, pid, address))) {
        // Left from a sandbox before this one, or from an attach that was cut short.
        if (outside !== undefined) await this.#links.remove(veth);
        await this.#wire({ veth, pid, address, mtu, range });
      }
      return { address };
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

  /** `tee` rather than a file: a sysctl of the network belongs to the namespace of the process that opens it. */
  /** A pod that says it were an IPv6 router gets none of the machine's packets (CVE-2020-10749). */
  async #ignoreRouters(): Promise<void> {
    const name = `net/ipv6/conf/${this.#names.bridge}/accept_ra`;
    // A kernel without IPv6 listens to no router.
    if ((await this.#run('test', ['-e', `/proc/sys/${name}`])).code === 0) await this.#setKernel(name, '0');
  }

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

  async #isWired(outside: Link | undefined, pid: number, address: string): Promise<boolean> {
    if (outside?.master !== this.#names.bridge) return false;
    const inside = await this.#links.findInside(pid, podInterface);
    return inside?.addresses.includes(`${address}/32`) === true;
  }

  async #wire(wire: { veth: string; pid: number; address: string; mtu: number; range: Cidr }): Promise<void> {
    const { veth, pid, address, mtu } = wire;
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
      ]);
      await this.#links.changeInside(pid, [
        'link set dev lo up',
        `address replace ${address}/32 dev ${podInterface}`,
        `link set dev ${podInterface} up`,
        `route replace ${gateway} dev ${podInterface} scope link`,
        `route replace default via ${gateway} dev ${podInterface}`,
      ]);
      // The address may have belonged to another wire just now, whose hardware address the machine still remembers.
      await this.#links.forgetNeighbour(address, this.#names.bridge);
    } catch (error) {
      await this.#links.remove(veth);
      throw error;
    }
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
