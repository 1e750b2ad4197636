/**
 * The service proxy without nftables: this process listens on the services' addresses and hands connections on. Slower
 * than the kernel, endpoints see the node's address instead of the client's, and nothing is forwarded while the agent
 * is down. A client that no endpoint is for is refused, and so is one that a load balancer's ranges leave out; only a kernel can drop a connection's first packet.
 *
 * All of the service range is made local by one route (the kernel's AnyIP), so sockets can listen on any address in it
 * and a port that nobody serves refuses at once. Several nodes on one machine listen side by side (`SO_REUSEPORT`), and
 * each has a route with a metric of its own.
 */

import { type Cidr, contains, formatCidr, parseAddress, parseCidr } from '../../network/cidr.ts';
import { routeProtocol } from '../../network/limits.ts';
import { networkNames } from '../../network/names.ts';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import { CommandMissingError, mustRun, type RunCommand, runCommand } from '../../runtime/command.ts';
import { type Frontend, planFrontends, waysOf } from '../frontends.ts';
import { ProxyPortError, ProxyUnavailableError, type ServicePort, type ServiceProxy } from '../proxy.ts';
import { admission, sourcesLetIn } from '../source-ranges.ts';
import { Balancer } from './balancer.ts';
import { type ConnectionCount, TcpForwarder } from './tcp.ts';
import { UdpForwarder } from './udp.ts';

export interface UserspaceProxyOptions {
  readonly clusterId: string;
  readonly nodeName: string;
  /** Runs `ip`. */
  readonly run?: RunCommand;
  readonly clock?: Clock;
  /** From 0, below 1. */
  readonly random?: () => number;
}

/** What is listened on, by `protocol address port`. */
interface Listener {
  readonly balancer: Balancer;
  readonly tcp: TcpForwarder | undefined;
  readonly udp: UdpForwarder | undefined;
}
interface Wanted {
  readonly frontend: Frontend;
  readonly endpoints: Frontend['endpoints'];
  /** For clients in the cluster, where those are others. */
  readonly shortCut?: Frontend['endpoints'];
  /** Whether a client may be answered; all may if it is not said. */
  readonly admits?: (client: string) => boolean;
  readonly host: string;
  readonly port: number;
}

const loopback = '127.0.0.1';
const loopbackRange = '127.0.0.0/8';

export function createUserspaceProxy(options: UserspaceProxyOptions): ServiceProxy {
  return new UserspaceProxy(options);
}

class UserspaceProxy implements ServiceProxy {
  readonly #run: RunCommand;
  readonly #metric: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #listeners = new Map<string, Listener>();
  readonly #count: ConnectionCount = { open: 0 };
  #nodeAddresses: readonly string[] | undefined;
  /** The node's own. */
  #nodeAddress: string | undefined;
  /** Whose clients count as the cluster's own: pods, and the machine itself. */
  #insideRanges: readonly Cidr[] = [];
  #working: Promise<void> = Promise.resolve();

  constructor(options: UserspaceProxyOptions) {
    this.#run = options.run ?? runCommand;
    this.#metric = networkNames(options.clusterId, options.nodeName).routeMetric;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? evenRandom;
  }

  async start(options: Parameters<ServiceProxy['start']>[0]): Promise<void> {
    if (options.ipv6) {
      throw new ProxyUnavailableError('the userspace proxy serves IPv4 only: a dual-stack cluster needs nftables');
    }
    const range = formatCidr(parseCidr(options.serviceCIDR));
    try {
      await mustRun(this.#run, 'ip', ['route', 'replace', 'local', range, 'dev', 'lo', ...this.#routeMark()]);
    } catch (error) {
      const missing = error instanceof CommandMissingError;
      const why = missing ? '`ip` is missing: install iproute2' : 'no route can be set: run the agent as root';
      throw new ProxyUnavailableError(`the service addresses cannot be made local: ${why}`, { cause: error });
    }
    this.#insideRanges = [parseCidr(loopbackRange), parseCidr(options.clusterCIDR)];
    const nodeAddresses = options.nodeAddresses.filter(one => !one.includes(':'));
    this.#nodeAddresses = [...new Set([loopback, ...nodeAddresses])];
    [this.#nodeAddress] = nodeAddresses;
  }

  sync(ports: readonly ServicePort[]): Promise<void> {
    return this.#inOrder(async () => {
      const wanted = this.#wanted(planFrontends(ports));
      for (const [key, listener] of this.#listeners) {
        if (wanted.has(key)) continue;
        this.#listeners.delete(key);
        await listener.tcp?.close({ now: false });
        await listener.udp?.close();
      }
      const failures: string[] = [];
      for (const [key, one] of wanted) {
        const failure = await this.#ensure(key, one);
        if (failure !== undefined) failures.push(failure);
      }
      if (failures.length > 0) throw new ProxyPortError(failures.join('; '));
    });
  }

  close(options: { readonly remove: boolean }): Promise<void> {
    return this.#inOrder(async () => {
      for (const listener of this.#listeners.values()) {
        await listener.tcp?.close({ now: true });
        await listener.udp?.close();
      }
      this.#listeners.clear();
      if (!options.remove) return;
      const mark = this.#routeMark();
      // It fails if there is none.
      const listing = await this.#run('ip', ['-o', '-4', 'route', 'show', ...mark]);
      for (const line of listing.stdout.split('\n')) {
        const range = /^local (\S+) dev lo/.exec(line.trim())?.[1];
        if (range !== undefined) await this.#run('ip', ['route', 'delete', 'local', range, 'dev', 'lo', ...mark]);
      }
    });
  }

  #routeMark(): string[] {
    return ['proto', String(routeProtocol), 'metric', String(this.#metric), 'table', 'local'];
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const result = this.#working.then(work);
    // A failure is its caller's to handle; the next change is tried all the same.
    this.#working = result.catch(() => undefined);
    return result;
  }

  #wanted(frontends: readonly Frontend[]): Map<string, Wanted> {
    if (this.#nodeAddresses === undefined) throw new ProxyUnavailableError('the service proxy was not started');
    const wanted = new Map<string, Wanted>();
    const add = (one: Wanted) => {
      if (one.endpoints.length === 0 && !one.shortCut?.length) return;
      wanted.set(`${one.frontend.protocol} ${one.host} ${one.port}`, one);
    };
    for (const frontend of frontends) {
      // A process can neither listen nor connect in SCTP.
      if (frontend.protocol === 'sctp') continue;
      const { port, nodePort } = frontend;
      const { internal, external, shortCut } = waysOf(frontend);
      for (const host of frontend.clusterIPs) add({ frontend, endpoints: internal, host, port });
      const outside = { frontend, endpoints: external, ...(frontend.localOnly && { shortCut }) };
      for (const host of this.#nodeAddresses) {
        if (nodePort > 0) add({ ...outside, host, port: nodePort });
        // An external address works here only if it is this machine's.
        if (frontend.externalIPs.includes(host)) add({ ...outside, ...this.#limitOn(host, frontend), host, port });
      }
    }
    return wanted;
  }

  #limitOn(host: string, { limit }: Frontend): Pick<Wanted, 'admits'> {
    if (!limit?.addresses.includes(host)) return {};
    return { admits: admission(sourcesLetIn(limit, this.#nodeAddress)) };
  }

  /** Whether a client is a pod or this machine. */
  #isInside(client: string): boolean {
    if (this.#nodeAddresses?.includes(client)) return true;
    const address = parseAddress(client);
    return this.#insideRanges.some(range => contains(range, address));
  }

  /** What went wrong; undefined if nothing did. */
  async #ensure(key: string, wanted: Wanted): Promise<string | undefined> {
    const { frontend, endpoints, shortCut = endpoints, admits, host, port } = wanted;
    const existing = this.#listeners.get(key);
    const balancer = existing?.balancer ?? new Balancer({ now: () => this.#clock.now(), random: this.#random });
    const endpointsFor = (client: string) => {
      if (admits?.(client) === false) return [];
      return this.#isInside(client) ? shortCut : endpoints;
    };
    balancer.update(endpointsFor, frontend.affinitySeconds, frontend.draining);
    existing?.udp?.retain();
    if (existing !== undefined) return undefined;
    const isTcp = frontend.protocol === 'tcp';
    const tcp = isTcp ? new TcpForwarder(balancer, this.#count) : undefined;
    const udp = isTcp ? undefined : new UdpForwarder(balancer, this.#clock);
    try {
      await (tcp ?? udp)?.listen(host, port);
    } catch (error) {
      return `${frontend.id}: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.#listeners.set(key, { balancer, tcp, udp });
    return undefined;
  }
}

/** Draws as nftables' `numgen random` does: even, not secret. */
function evenRandom(): number {
  const [draw = 0] = crypto.getRandomValues(new Uint32Array(1));
  return draw / 2 ** 32;
}
