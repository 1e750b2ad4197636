/**
 * What makes pods and services reachable from this node: starts pod network, service proxy and DNS, and keeps them to
 * what the API says of services, endpoints and other nodes.
 */
import {
  type Client,
  type EndpointSlice,
  type Informer,
  type KubernetesObject,
  type Node,
  nodes as nodeKind,
  type Pod,
  type Service,
  splitRanges,
} from './api.ts';
import type { Background } from './background.ts';
import type { Clock } from './clock.ts';
import { Coalescer } from './coalescer.ts';
import type { NodeDns } from './dns/node-dns.ts';
import { type ServiceView, viewOf } from './dns/view.ts';
import { planHostPorts } from './host-ports.ts';
import type { Logger } from './logger.ts';
import type { PodNetwork } from './network/network.ts';
import { announcementAnnotations } from './network/way.ts';
import { learnPodRange } from './pod-range.ts';
import { HealthPorts, ProxyHealth, planServiceHealth } from './proxy/health-ports.ts';
import { ProxyPortError, type ServiceProxy } from './proxy/proxy.ts';
import { planRoutes } from './routes.ts';
import { planServicePorts } from './service-ports.ts';

/** On a Node: the zone that it stands in. */
const ZONE_LABEL = 'topology.kubernetes.io/zone';

export interface NodeNetworkingOptions {
  readonly nodeName: string;
  readonly dataDir: string;
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly background: Background;
  readonly network: PodNetwork;
  readonly proxy: ServiceProxy | undefined;
  readonly dns: NodeDns | undefined;
  /** Of one family, or of both, with a comma between. */
  readonly clusterCIDR: string;
  readonly serviceCIDR: string;
  readonly services: Informer<Service>;
  readonly slices: Informer<EndpointSlice>;
  readonly nodes: Informer<Node>;
  /** Those of this node. */
  readonly pods: Informer<Pod>;
}

/** Changes that come within this time are one. */
const SYNC_REST_MS = 50;

export class NodeNetworking {
  readonly #options: NodeNetworkingOptions;
  readonly #dnsView: ServiceView;
  readonly #healthPorts: HealthPorts;
  readonly #proxyHealth = new ProxyHealth();
  readonly #proxySync: Coalescer;
  readonly #routeSync: Coalescer;
  /** The node's zone, as the rules of services were last made for it. */
  #zone: string | undefined;

  constructor(options: NodeNetworkingOptions) {
    this.#options = options;
    const { clock, logger, services, slices } = options;
    this.#dnsView = viewOf(services, slices);
    this.#healthPorts = new HealthPorts(logger, () => this.#proxyHealth.isHealthy(clock.now()));
    const sync = (name: string, job: () => Promise<void>) =>
      new Coalescer({ name, job, clock, logger, restMs: SYNC_REST_MS });
    this.#proxySync = sync('service proxy', () => this.#syncProxy());
    this.#routeSync = sync('routes', () => this.#syncRoutes());
  }

  /** Starts each part as soon as it can be. Gives the node's podCIDR, or both; undefined if the signal aborts before there is one. */
  async start(nodeAddresses: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    const said = await this.#podCIDR(signal);
    if (said === undefined) return undefined;
    const { background, network, proxy, dns } = this.#options;
    const [pods, cluster, services] = [said, this.#options.clusterCIDR, this.#options.serviceCIDR].map(splitRanges);
    if (!pods || !cluster || !services) return undefined;
    const [podCIDR, clusterCIDR, serviceCIDR] = [pods.ipv4, cluster.ipv4, services.ipv4];
    const [nodeAddress = ''] = nodeAddresses;
    const address6 = nodeAddresses.find(address => address.includes(':'));
    const podIpv6 = pods.ipv6 !== undefined &&
      cluster.ipv6 !== undefined && {
        ipv6: { podCIDR: pods.ipv6, clusterCIDR: cluster.ipv6, ...(address6 && { nodeAddress: address6 }) },
      };
    await background.persist('network', signal, () => network.start({ podCIDR, clusterCIDR, nodeAddress, ...podIpv6 }));
    if (proxy) {
      const serviceIpv6 = cluster.ipv6 !== undefined &&
        services.ipv6 !== undefined && {
          ipv6: { clusterCIDR: cluster.ipv6, serviceCIDR: services.ipv6 },
        };
      const ranges = { clusterCIDR, serviceCIDR, nodeAddresses, ...serviceIpv6 };
      await background.persist('service proxy', signal, () => proxy.start(ranges));
    }
    if (dns) {
      await background.persist('cluster DNS', signal, () =>
        dns.start({ podCIDR, clusterCIDR: this.#options.clusterCIDR, view: this.#dnsView }),
      );
    }
    return said;
  }

  async #podCIDR(signal: AbortSignal): Promise<string | undefined> {
    const { nodeName, nodes, logger, dataDir, clock, clusterCIDR } = this.#options;
    const hasBoth = splitRanges(clusterCIDR).ipv6 !== undefined;
    const found = Promise.withResolvers<string>();
    const look = ({ metadata, spec }: Node) => {
      if (metadata?.name !== nodeName || !spec?.podCIDR) return;
      const { podCIDR, podCIDRs = [podCIDR] } = spec;
      found.resolve(hasBoth ? podCIDRs.join(',') : podCIDR);
    };
    nodes.addHandler({ added: look, updated: look });
    logger.debug({ node: nodeName }, 'waiting for a podCIDR');
    return learnPodRange({ dataDir, clock, said: found.promise }, signal);
  }

  /** From now on each change is followed. */
  follow(): void {
    const { nodes, services, slices, pods } = this.#options;
    onChange(nodes, () => this.#routeSync.request());
    onChange(services, () => this.#proxySync.request());
    onChange(slices, () => this.#proxySync.request());
    onChange(pods, () => this.#proxySync.request());
  }

  /** To be called when the node's pods are known, which tells nothing by itself where there are none. */
  podsKnown(): void {
    this.#proxySync.request();
  }

  /** Nothing is followed any more; the parts stay as they are, and load balancers get no answer here. */
  async close(): Promise<void> {
    await Promise.all([this.#proxySync.close(), this.#routeSync.close()]);
    await this.#healthPorts.close();
  }

  async #syncProxy(): Promise<void> {
    const { proxy, dns, nodeName, nodes, services, slices, pods, clock } = this.#options;
    this.#zone = nodes.get(nodeName)?.metadata?.labels?.[ZONE_LABEL];
    // Rules from half a picture would cut connections that the other half keeps.
    if (!services.hasSynced || !slices.hasSynced || !pods.hasSynced) return;
    const ports = [
      ...planServicePorts(services.list(), slices.list(), nodeName, this.#zone),
      ...planHostPorts(pods.list()),
    ];
    try {
      await proxy?.sync(dns?.servedPorts(ports) ?? ports);
      this.#proxyHealth.tell(true, clock.now());
    } catch (error) {
      this.#proxyHealth.tell(error instanceof ProxyPortError, clock.now());
      throw error;
    } finally {
      // Where only some of the rules could be made, the others work.
      if (proxy) await this.#healthPorts.sync(planServiceHealth(services.list(), slices.list(), nodeName));
    }
  }

  async #syncRoutes(): Promise<void> {
    const { network, nodes, nodeName } = this.#options;
    await this.#announceNetwork();
    await network.setRoutes(planRoutes(nodes.list(), nodeName));
    if (nodes.get(nodeName)?.metadata?.labels?.[ZONE_LABEL] !== this.#zone) this.#proxySync.request();
  }

  /** Tells other nodes how to reach this one's pods, where the node's object does not say so yet. */
  async #announceNetwork(): Promise<void> {
    const { nodeName: name, client, network, nodes } = this.#options;
    const announcement = network.announcement();
    const node = nodes.get(name);
    if (!announcement || !node) return;
    const annotations = announcementAnnotations(announcement);
    const isSaid = Object.entries(annotations).every(
      ([key, value]) => (node.metadata?.annotations?.[key] ?? null) === value,
    );
    if (isSaid) return;
    const body = { metadata: { annotations } };
    await client.patch(nodeKind, { name }, { type: 'application/merge-patch+json', body });
  }
}

function onChange<T extends KubernetesObject>(informer: Informer<T>, changed: () => void): void {
  informer.addHandler({ added: changed, updated: changed, deleted: changed });
}
