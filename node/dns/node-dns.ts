/**
 * The cluster's DNS on one node: start reading here.
 *
 *   records.ts     PURE: what a name means, from Services and EndpointSlices as the agent's informers hold them
 *   message.ts     PURE: queries and responses as bytes
 *   responder.ts   one query, one response
 *   forwarder.ts   names that are not the cluster's
 *   server.ts      UDP and TCP
 *
 * The server listens on the bridge's own address: each node of a machine has one, and nothing else listens there. Pods
 * know the cluster's DNS address, the tenth of the service range. With nftables a table of ours leads a bridge's pods to
 * that bridge's server, and the service proxy, which is told that the node's server is the one endpoint of the address,
 * leads the machine's own processes there (pods on its network among them). With the userspace proxy the server itself
 * listens on the address, so that it sees who asks.
 */
import { parseIpv6Range, splitRanges } from '../api.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Metric } from '../metrics/text.ts';
import { gatewayOf } from '../network/addresses.ts';
import { formatAddress, parseCidr, sizeOf } from '../network/cidr.ts';
import type { ServicePort } from '../proxy/proxy.ts';
import { type RunCommand, runCommand } from '../runtime/command.ts';
import { createAccess } from './access.ts';
import type { Resolver } from './exchange.ts';
import { Forwarder } from './forwarder.ts';
import { DNS_PORT } from './limits.ts';
import { Measures } from './measures.ts';
import { applyRedirection, removeRedirection } from './redirect.ts';
import { Responder } from './responder.ts';
import { DnsServer } from './server.ts';
import type { ServiceView } from './view.ts';

/** What the agent needs of the cluster's DNS. */
export interface NodeDns {
  /** Serves; needs the node's bridge. Rejects if it cannot listen or redirect. `clusterCIDR` may be of both families. */
  start(options: { readonly podCIDR: string; readonly clusterCIDR: string; readonly view: ServiceView }): Promise<void>;
  /** The service proxy's ports, with this node's server behind the cluster's DNS address. */
  servedPorts(ports: readonly ServicePort[]): readonly ServicePort[];
  /** What the server counted. */
  metrics(): readonly Metric[];
  /** With `remove`, takes the rules away; otherwise they wait for the next agent of this node. */
  close(options: { readonly remove: boolean }): Promise<void>;
}

export interface NodeDnsOptions {
  readonly clusterId: string;
  readonly nodeName: string;
  readonly domain: string;
  /** Of one family, or of both, with a comma between. The cluster's DNS has an IPv4 address. */
  readonly serviceCIDR: string;
  /** How packets to service addresses are led: see above. */
  readonly proxy: 'nftables' | 'userspace';
  readonly resolvers: readonly Resolver[];
  readonly stubZones?: Readonly<Record<string, readonly Resolver[]>>;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Runs `nft`. */
  readonly run?: RunCommand;
}

const DNS_ADDRESS_INDEX = 10;

/** Where pods find the cluster's DNS: the tenth address of the service range, as everywhere. Undefined if it is too small. */
export function clusterDnsAddress(serviceCIDR: string): string | undefined {
  const range = parseCidr(serviceCIDR);
  return sizeOf(range) > DNS_ADDRESS_INDEX + 1 ? formatAddress(range.base + DNS_ADDRESS_INDEX) : undefined;
}

export function createNodeDns(options: NodeDnsOptions): NodeDns {
  return new LocalDns(options);
}

class LocalDns implements NodeDns {
  readonly #options: NodeDnsOptions;
  readonly #address: string | undefined;
  readonly #measures = new Measures();
  #server: DnsServer | undefined;
  #endpoint: { readonly address: string; readonly port: number } | undefined;

  constructor(options: NodeDnsOptions) {
    this.#options = options;
    this.#address = clusterDnsAddress(splitRanges(options.serviceCIDR).ipv4);
  }

  async start({ podCIDR, clusterCIDR, view }: Parameters<NodeDns['start']>[0]): Promise<void> {
    const { clusterId, nodeName, proxy, run = runCommand } = this.#options;
    const from = this.#address;
    if (from === undefined) return;
    // A start that failed half-way is tried again.
    await this.#server?.close();
    const gateway = formatAddress(gatewayOf(parseCidr(podCIDR)));
    const server = this.#makeServer(clusterCIDR, view, { own: [gateway, from] });
    this.#server = server;
    const port = await listenNear(server, gateway);
    this.#endpoint = { address: gateway, port };
    if (proxy === 'userspace') await server.listen({ address: from, port: DNS_PORT, shared: true });
    else await applyRedirection({ clusterId, nodeName, from, to: this.#endpoint }, run);
  }

  servedPorts(ports: readonly ServicePort[]): readonly ServicePort[] {
    const endpoint = this.#endpoint;
    const isOurs = ({ clusterIPs, port }: ServicePort) =>
      port === DNS_PORT && this.#address !== undefined && clusterIPs.includes(this.#address);
    if (!endpoint) return ports;
    if (this.#options.proxy === 'userspace') return ports.filter(port => !isOurs(port));
    const endpoints = [{ ...endpoint, local: true, cluster: true }];
    return ports.map(port => (isOurs(port) ? { ...port, endpoints } : port));
  }

  metrics(): readonly Metric[] {
    return this.#measures.list();
  }

  async close({ remove }: { readonly remove: boolean }): Promise<void> {
    const { clusterId, nodeName, proxy, run = runCommand } = this.#options;
    await this.#server?.close();
    this.#server = undefined;
    this.#endpoint = undefined;
    if (remove && proxy === 'nftables') await removeRedirection({ clusterId, nodeName }, run);
  }

  #makeServer(clusterCIDR: string, view: ServiceView, { own }: { own: readonly string[] }): DnsServer {
    const { domain, serviceCIDR, resolvers, stubZones, clock, random, logger } = this.#options;
    const [pods, services] = [splitRanges(clusterCIDR), splitRanges(serviceCIDR)];
    const clusterRange = parseCidr(pods.ipv4);
    const ranges6 = [pods.ipv6, services.ipv6].flatMap(range => parseIpv6Range(range ?? '') ?? []);
    const zone = {
      domain: domain.toLowerCase(),
      address: this.#address ?? '',
      ranges: [clusterRange, parseCidr(services.ipv4)],
      ranges6,
    };
    const forwarder = new Forwarder({
      // To ask oneself would never end.
      resolvers: resolvers.filter(({ address }) => !own.includes(address)),
      ...(stubZones && { stubZones }),
      clock,
      random,
      measures: this.#measures,
    });
    return new DnsServer({
      measures: this.#measures,
      now: () => clock.now(),
      responder: new Responder({ zone, view, forwarder, random }),
      mayAsk: createAccess({ clusterRange, own, now: () => clock.now() }),
      onError: error => logger.error({ error }, 'a DNS query could not be answered'),
    });
  }
}

/** On the usual port, or on any other if somebody listens there on all addresses. */
async function listenNear(server: DnsServer, address: string): Promise<number> {
  try {
    return await server.listen({ address, port: DNS_PORT });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    return server.listen({ address, port: 0 });
  }
}
