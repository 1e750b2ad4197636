/**
 * The way to other nodes' pods: host routes where nodes share a network, a VXLAN or WireGuard link where they do not.
 * Which way it is between two nodes is decided in `way.ts`.
 */
import { z } from 'zod';
import type { RunCommand } from '../runtime/command.ts';
import { type Cidr, formatAddress, formatCidr, parseAddress, parseCidr } from './cidr.ts';
import type { Links, Route } from './links.ts';
import type { NetworkNames } from './names.ts';
import { NetworkUnavailableError, type NodeRoute, RouteError } from './network.ts';
import { hasVxlan, VxlanLink, type VxlanPeer } from './vxlan.ts';
import { type Announcement, chooseWay, type NodeNetworkMode, overheadBytes, type Way } from './way.ts';
import { WireguardLink, type WireguardPeer, wireguardUnavailable } from './wireguard.ts';

export interface NodeRoutesOptions {
  readonly run: RunCommand;
  readonly links: Links;
  readonly names: NetworkNames;
  readonly dataDir: string;
  readonly mode: NodeNetworkMode;
}
/** The node, once its range is known. */
export interface OwnEnd {
  readonly range: Cidr;
  /** The bridge's address: what the machine itself sends from into a link. */
  readonly gateway: string;
  /** The node's own address; '' where it is not known, which leaves only routes. */
  readonly address: string;
  readonly mtu: number;
}

interface Planned {
  readonly route: NodeRoute;
  readonly way: Way;
}

const routeGetSchema = z.array(z.object({ gateway: z.string().optional(), type: z.string().optional() }));

export class NodeRoutes {
  readonly #options: NodeRoutesOptions;
  #own: OwnEnd | undefined;
  #announcement: Announcement;
  #vxlan: VxlanLink | undefined;
  #wireguard: WireguardLink | undefined;
  #waysInUse: ReadonlySet<Way> = new Set();

  constructor(options: NodeRoutesOptions) {
    this.#options = options;
    this.#announcement = { mode: options.mode };
  }

  /** Looks what the machine can do. Throws {@link NetworkUnavailableError} if it cannot do what it is set to. */
  async start(own: OwnEnd): Promise<void> {
    const { mode, run, links, names, dataDir } = this.#options;
    this.#own = own;
    this.#announcement = { mode };
    if (mode === 'routes' || own.address === '') return;
    if (mode === 'wireguard') {
      const trouble = await wireguardUnavailable(run);
      if (trouble !== undefined) throw new NetworkUnavailableError(`--node-network wireguard: ${trouble}`);
      const mtu = own.mtu - overheadBytes.wireguard;
      this.#wireguard = new WireguardLink(run, links, { link: names.wireguard, dataDir, endpoint: own.address, mtu });
      this.#announcement = { mode, wireguard: await this.#wireguard.ensure() };
      return;
    }
    if (!(await hasVxlan(run))) {
      if (mode === 'vxlan') throw new NetworkUnavailableError('--node-network vxlan: this kernel has no VXLAN');
      return;
    }
    const end = { mac: names.vxlanMacOf(own.address), endpoint: own.address };
    const mtu = own.mtu - overheadBytes.vxlan;
    this.#vxlan = new VxlanLink(run, links, { link: names.vxlan, id: names.vxlanId, own: end, mtu });
    this.#announcement = { mode, vxlan: end };
    // One that is only needed when a node is far off is made then: an open port is an open door.
    if (mode === 'vxlan') await this.#vxlan.ensure();
  }

  /** What other nodes have to know. */
  get announcement(): Announcement {
    return this.#announcement;
  }

  /** What a pod may send in one packet: as much as the narrowest way in use takes. */
  get mtu(): number {
    const { mode } = this.#options;
    const ways: Way[] = [...this.#waysInUse, ...(mode === 'auto' ? [] : [mode])];
    return (this.#own?.mtu ?? 0) - Math.max(0, ...ways.map(way => overheadBytes[way]));
  }

  /** Makes the routes equal to these. Throws {@link RouteError} for those that cannot be; the others are. */
  async set(routes: readonly NodeRoute[]): Promise<void> {
    const { links, names } = this.#options;
    const own = this.#own;
    if (!own) throw new NetworkUnavailableError('the pod network was not started');
    const local = await links.localAddresses();
    // The pods of a node on this machine are behind its bridge already.
    const others = routes.filter(
      ({ podCIDR, nodeAddress }) => podCIDR !== formatCidr(own.range) && !local.has(nodeAddress),
    );
    const failures: string[] = [];
    const planned: Planned[] = [];
    for (const route of others) {
      const choice = await this.#choose(route);
      if ('way' in choice) planned.push({ route, way: choice.way });
      else failures.push(failureOf(route, choice.trouble));
    }
    this.#waysInUse = new Set(planned.map(({ way }) => way));
    await this.#syncLinks(planned);
    const present = await links.ownRoutes(names.routeMetric);
    for (const one of planned) {
      const failure = await this.#setRoute(one, present);
      if (failure !== undefined) failures.push(failure);
    }
    // A node to which there is no way any more must not be sent to by the old one, which may be in the clear.
    const destinations = new Set(planned.map(({ route }) => route.podCIDR));
    for (const route of present) if (!destinations.has(route.destination)) await links.removeRoute(route);
    if (failures.length > 0) throw new RouteError(failures.join('; '));
  }

  /** Takes routes and links away. */
  async remove(): Promise<void> {
    const { links, names, run } = this.#options;
    for (const route of await links.ownRoutes(names.routeMetric)) await links.removeRoute(route);
    // Also those that an agent before this one made with another setting.
    const vxlan = { link: names.vxlan, id: names.vxlanId, own: { mac: '', endpoint: '' }, mtu: 0 };
    await new VxlanLink(run, links, vxlan).remove();
    await links.remove(names.wireguard);
    this.#own = undefined;
  }

  async #choose(route: NodeRoute): Promise<ReturnType<typeof chooseWay>> {
    const other = route.announcement ?? { mode: 'routes' };
    const isOnLink = this.#announcement.mode === 'auto' && (await this.#isOnLink(route.nodeAddress));
    return chooseWay(this.#announcement, other, isOnLink);
  }

  /** Whether the machine sends there without a next hop. */
  async #isOnLink(address: string): Promise<boolean> {
    const answer = await this.#options.run('ip', ['-j', '-4', 'route', 'get', address]);
    if (answer.code !== 0) return false;
    const [route] = routeGetSchema.parse(JSON.parse(answer.stdout.trim() || '[]'));
    return route !== undefined && route.gateway === undefined && (route.type ?? 'unicast') === 'unicast';
  }

  async #syncLinks(planned: readonly Planned[]): Promise<void> {
    const by = (way: Way) => planned.filter(one => one.way === way).map(({ route }) => route);
    const vxlan = by('vxlan').flatMap(({ podCIDR, announcement }): VxlanPeer[] =>
      announcement?.vxlan ? [{ ...announcement.vxlan, gateway: firstAddress(podCIDR) }] : [],
    );
    if (vxlan.length > 0) await this.#vxlan?.ensure();
    if (vxlan.length > 0 || (await this.#options.links.exists(this.#options.names.vxlan)))
      await this.#vxlan?.sync(vxlan);
    const wireguard = by('wireguard').flatMap(({ podCIDR, announcement }): WireguardPeer[] =>
      announcement?.wireguard ? [{ ...announcement.wireguard, podCIDR: formatCidr(parseCidr(podCIDR)) }] : [],
    );
    await this.#wireguard?.sync(wireguard);
  }

  /** What went wrong; undefined if nothing did. */
  async #setRoute({ route, way }: Planned, present: readonly Route[]): Promise<string | undefined> {
    try {
      const wanted = this.#kernelRoute(route, way);
      const isThere = present.some(
        one =>
          one.destination === wanted.destination &&
          one.gateway === wanted.gateway &&
          (wanted.device === undefined || one.device === wanted.device),
      );
      if (!isThere) await this.#options.links.replaceRoute({ ...wanted, metric: this.#options.names.routeMetric });
      return undefined;
    } catch (error) {
      return failureOf(route, error instanceof Error ? error.message : String(error));
    }
  }

  #kernelRoute(route: NodeRoute, way: Way): Omit<Route, 'metric'> & { source?: string } {
    const { names } = this.#options;
    const destination = formatCidr(parseCidr(route.podCIDR));
    if (way === 'routes') {
      return { destination, gateway: formatAddress(parseAddress(route.nodeAddress)), device: undefined };
    }
    // What the machine itself sends has to come from an address that the other end sends back through the link.
    const source = this.#own?.gateway ?? '';
    if (way === 'wireguard') return { destination, gateway: undefined, device: names.wireguard, source };
    return { destination, gateway: firstAddress(route.podCIDR), device: names.vxlan, source };
  }
}

/** Of a range: no pod has it. */
function firstAddress(podCIDR: string): string {
  return formatAddress(parseCidr(podCIDR).base);
}

function failureOf({ nodeName, podCIDR, nodeAddress }: NodeRoute, why: string): string {
  return `no route to the pods of node ${nodeName} (${podCIDR} via ${nodeAddress}): ${why}`;
}
