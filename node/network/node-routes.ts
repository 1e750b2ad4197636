/**
 * The way to other nodes' pods: host routes where nodes share a network, a VXLAN or WireGuard link where they do not.
 * Which way it is between two nodes is decided in `way.ts`.
 */
import { z } from 'zod';
import type { RunCommand } from '../runtime/command.ts';
import { type Cidr, formatAddress, formatCidr, parseAddress, parseCidr } from './cidr.ts';
import type { Family, Links, Route } from './links.ts';
import type { NetworkNames } from './names.ts';
import { NetworkUnavailableError, type NodeRoute, RouteError } from './network.ts';
import { type Ipv6Side, ipv6AddressOf, ipv6RangeText, linkLocalOf } from './second-family.ts';
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
  /** On a dual-stack cluster. */
  readonly ipv6?: Ipv6Side;
}

/** The way of one family to one node. Each family has its own: a node may have no IPv6 address. */
interface Planned {
  readonly route: NodeRoute;
  readonly family: Family;
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
    const { links } = this.#options;
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
      for (const family of familiesOf(route, own)) {
        const choice = await this.#choose(route, family);
        if ('way' in choice) planned.push({ route, family, way: choice.way });
        else failures.push(failureOf(route, choice.trouble, family));
      }
    }
    this.#waysInUse = new Set(planned.map(({ way }) => way));
    await this.#syncLinks(planned);
    const present = await this.#present(own.ipv6 !== undefined);
    for (const one of planned) {
      const failure = await this.#setRoute(one, present);
      if (failure !== undefined) failures.push(failure);
    }
    // A node to which there is no way any more must not be sent to by the old one, which may be in the clear.
    const destinations = new Set(planned.map(destinationOf));
    for (const route of present) if (!destinations.has(route.destination)) await links.removeRoute(route);
    if (failures.length > 0) throw new RouteError(failures.join('; '));
  }

  /** Takes routes and links away. */
  async remove(): Promise<void> {
    const { links, names, run } = this.#options;
    for (const route of await this.#present(true)) await links.removeRoute(route);
    // Also those that an agent before this one made with another setting.
    const vxlan = { link: names.vxlan, id: names.vxlanId, own: { mac: '', endpoint: '' }, mtu: 0 };
    await new VxlanLink(run, links, vxlan).remove();
    await links.remove(names.wireguard);
    this.#own = undefined;
  }

  /** Of both families; of one where the node has no other. */
  async #present(withIpv6: boolean): Promise<Route[]> {
    const { links, names } = this.#options;
    const routes = await links.ownRoutes(names.routeMetric);
    return withIpv6 ? [...routes, ...(await links.ownRoutes(names.routeMetric, 6))] : routes;
  }

  async #choose(route: NodeRoute, family: Family): Promise<ReturnType<typeof chooseWay>> {
    const other = route.announcement ?? { mode: 'routes' };
    const address = family === 4 ? route.nodeAddress : this.#own?.ipv6?.nodeAddress && route.ipv6?.nodeAddress;
    const isOnLink = this.#announcement.mode === 'auto' && Boolean(address) && (await this.#isOnLink(address ?? ''));
    const choice = chooseWay(this.#announcement, other, isOnLink);
    if ('way' in choice && choice.way === 'routes' && !address) {
      return { trouble: 'one node has no IPv6 address: give it with --node-ip, or use --node-network vxlan' };
    }
    return choice;
  }

  /** Whether the machine sends there without a next hop. */
  async #isOnLink(address: string): Promise<boolean> {
    const family = address.includes(':') ? '-6' : '-4';
    const answer = await this.#options.run('ip', ['-j', family, 'route', 'get', address]);
    if (answer.code !== 0) return false;
    const [route] = routeGetSchema.parse(JSON.parse(answer.stdout.trim() || '[]'));
    return route !== undefined && route.gateway === undefined && (route.type ?? 'unicast') === 'unicast';
  }

  async #syncLinks(planned: readonly Planned[]): Promise<void> {
    const vxlan = peersOf(planned, 'vxlan').flatMap(({ route: { announcement }, all }): VxlanPeer[] =>
      announcement?.vxlan ? [{ ...announcement.vxlan, gateways: all.map(gatewayFor) }] : [],
    );
    if (vxlan.length > 0) await this.#vxlan?.ensure();
    if (vxlan.length > 0 || (await this.#options.links.exists(this.#options.names.vxlan)))
      await this.#vxlan?.sync(vxlan);
    const wireguard = peersOf(planned, 'wireguard').flatMap(({ route, all }): WireguardPeer[] => {
      const podCIDR6 = all.some(({ family }) => family === 6) ? route.ipv6?.podCIDR : undefined;
      const ranges = {
        podCIDR: formatCidr(parseCidr(route.podCIDR)),
        ...(podCIDR6 && { podCIDR6: ipv6RangeText(podCIDR6) }),
      };
      return route.announcement?.wireguard ? [{ ...route.announcement.wireguard, ...ranges }] : [];
    });
    await this.#wireguard?.sync(wireguard);
  }

  /** What went wrong; undefined if nothing did. */
  async #setRoute(planned: Planned, present: readonly Route[]): Promise<string | undefined> {
    try {
      const wanted = this.#kernelRoute(planned);
      const isThere = present.some(
        one =>
          one.destination === wanted.destination &&
          one.gateway === wanted.gateway &&
          (wanted.device === undefined || one.device === wanted.device),
      );
      if (!isThere) await this.#options.links.replaceRoute({ ...wanted, metric: this.#options.names.routeMetric });
      return undefined;
    } catch (error) {
      return failureOf(planned.route, error instanceof Error ? error.message : String(error), planned.family);
    }
  }

  #kernelRoute(planned: Planned): Omit<Route, 'metric'> & { source?: string } {
    const { names } = this.#options;
    const { route, family, way } = planned;
    const destination = destinationOf(planned);
    if (way === 'routes') {
      const gateway =
        family === 4 ? formatAddress(parseAddress(route.nodeAddress)) : ipv6AddressOf(route.ipv6?.nodeAddress ?? '');
      return { destination, gateway, device: undefined };
    }
    // What the machine itself sends has to come from an address that the other end sends back through the link.
    const source = (family === 4 ? this.#own?.gateway : this.#own?.ipv6?.gateway) ?? '';
    if (way === 'wireguard') return { destination, gateway: undefined, device: names.wireguard, source };
    return { destination, gateway: gatewayFor(planned), device: names.vxlan, source };
  }
}

function familiesOf(route: NodeRoute, own: OwnEnd): readonly Family[] {
  return route.ipv6 && own.ipv6 ? [4, 6] : [4];
}

/** Each node that is reached this way, with the families that are. */
function peersOf(planned: readonly Planned[], way: Way): { readonly route: NodeRoute; readonly all: Planned[] }[] {
  const byNode = Map.groupBy(
    planned.filter(one => one.way === way),
    ({ route }) => route,
  );
  return [...byNode].map(([route, all]) => ({ route, all }));
}

function destinationOf({ route, family }: Planned): string {
  return family === 4 ? formatCidr(parseCidr(route.podCIDR)) : ipv6RangeText(route.ipv6?.podCIDR ?? '');
}

/** The next hop in a VXLAN link: no pod has it. IPv6 has the links' own addresses for that. */
function gatewayFor({ route, family }: Planned): string {
  if (family === 4) return formatAddress(parseCidr(route.podCIDR).base);
  return linkLocalOf(route.announcement?.vxlan?.mac ?? '');
}

function failureOf({ nodeName, podCIDR, nodeAddress, ipv6 }: NodeRoute, why: string, family: Family): string {
  const what = family === 4 ? `${podCIDR} via ${nodeAddress}` : `${ipv6?.podCIDR} via ${ipv6?.nodeAddress ?? 'a link'}`;
  return `no route to the pods of node ${nodeName} (${what}): ${why}`;
}
