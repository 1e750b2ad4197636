/**
 * Makes Services reachable on this node: ClusterIP and NodePort to ready endpoints. Implementations: `nftables/` (maps,
 * so that a packet's cost does not grow with the number of services) and `userspace/` (TCP and UDP forwarders, where
 * nftables is missing). Both pass `contract.ts`.
 */

/** One port of one service with where it leads; what the planner makes of Services and EndpointSlices. */
export interface ServicePort {
  /** `namespace/name:portName`, for logs and comments. */
  readonly id: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly clusterIPs: readonly string[];
  readonly port: number;
  /** 0 for none. */
  readonly nodePort: number;
  /** The node port is one of all addresses that the machine has, not of the node's alone: a pod's host port. */
  readonly everyAddress?: boolean;
  readonly externalIPs: readonly string[];
  /** Whom some of the external addresses answer; everybody if it is not said. */
  readonly limit?: SourceLimit;
  /** Seconds a client stays with its endpoint; 0 for no affinity. */
  readonly affinitySeconds: number;
  /**
   * `externalTrafficPolicy: Local`: what comes from outside the cluster to node ports and external addresses stays on this
   * node's endpoints. What comes from pods or from the node itself does not, as if it had gone out to a load balancer and back.
   */
  readonly localOnly: boolean;
  /** `internalTrafficPolicy: Local`: what comes to cluster addresses stays on this node's endpoints. */
  readonly internalLocalOnly: boolean;
  readonly endpoints: readonly ServiceEndpoint[];
  /** Of UDP: addresses that serve and get nothing new, because others are to; their clients stay with them. */
  readonly draining?: readonly string[];
}

/** `loadBalancerSourceRanges`: on these addresses only clients in these ranges are answered. Node ports know no such limit. */
export interface SourceLimit {
  readonly addresses: readonly string[];
  /** Such as `10.0.0.0/8`, of both families; those of one say nothing of the other's addresses. */
  readonly sources: readonly string[];
}

export interface ServiceEndpoint {
  readonly address: string;
  readonly port: number;
  /** Takes traffic that has to stay on this node. */
  readonly local: boolean;
  /** Takes all other traffic. */
  readonly cluster: boolean;
}

export interface ServiceProxy {
  start(options: {
    readonly clusterCIDR: string;
    readonly serviceCIDR: string;
    /** Of both families. */
    readonly nodeAddresses: readonly string[];
    /** The ranges of IPv6, on a dual-stack cluster. */
    readonly ipv6?: { readonly clusterCIDR: string; readonly serviceCIDR: string };
  }): Promise<void>;
  /** Makes the rules equal to `ports`, in one atomic step where the mechanism allows. */
  sync(ports: readonly ServicePort[]): Promise<void>;
  /** Leaves rules in place (agent restart), or takes all away with `remove`. */
  close(options: { readonly remove: boolean }): Promise<void>;
}

/** The machine cannot do what a proxy needs; says what to install or allow. */
export class ProxyUnavailableError extends Error {
  override readonly name = 'ProxyUnavailableError';
  readonly code = 'PROXY_UNAVAILABLE';
}
/** Some frontends could not be opened, as when a port is taken; the others work. */
export class ProxyPortError extends Error {
  override readonly name = 'ProxyPortError';
  readonly code = 'PROXY_PORT';
}
