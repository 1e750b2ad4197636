/**
 * Gives pods their addresses. Implementation: `bridge.ts` (a bridge a node, a veth pair a pod, addresses from the
 * node's podCIDR, host routes or links between nodes), used with every runtime; `none.ts` for the fake runtime.
 */
import type { PodIdentity } from '../runtime/runtime.ts';
import type { SecondFamily } from './second-family.ts';
import type { Announcement } from './way.ts';

/** Another node's pods: how to reach them. */
export interface NodeRoute {
  readonly nodeName: string;
  readonly podCIDR: string;
  readonly nodeAddress: string;
  /** On a dual-stack cluster; without an address its pods are reached through links only. */
  readonly ipv6?: { readonly podCIDR: string; readonly nodeAddress?: string };
  /** What the node says of ways to it; without it, only routes. */
  readonly announcement?: Announcement;
}

export interface PodAddresses {
  readonly address: string;
  /** On a dual-stack cluster. */
  readonly ipv6?: string;
}

export interface PodNetwork {
  /** Makes bridge, forwarding and masquerading for this node's range; keeps what is there already and right. */
  start(options: {
    readonly podCIDR: string;
    readonly clusterCIDR: string;
    /** The node's own; without it other nodes are reached by routes only. */
    readonly nodeAddress?: string;
    /** On a dual-stack cluster. */
    readonly ipv6?: SecondFamily;
  }): Promise<void>;
  /** What other nodes have to know to reach the pods of this one; undefined where there is nothing to tell. */
  announcement(): Announcement | undefined;
  /** Wires the sandbox whose namespace `pid` holds. Idempotent: a pod keeps its address, also over an agent restart. */
  attach(pod: PodIdentity, pid: number): Promise<PodAddresses>;
  /** The address given to a pod; undefined if it has none. */
  addressOf(podUid: string): string | undefined;
  /** The same of IPv6; undefined too where the cluster has one family. */
  ipv6Of(podUid: string): string | undefined;
  /** Takes the wire away and frees the address. Succeeds if it is gone already. */
  detach(podUid: string): Promise<void>;
  /** Frees what belongs to none of these pods. */
  collectGarbage(livingPodUids: ReadonlySet<string>): Promise<void>;
  setRoutes(routes: readonly NodeRoute[]): Promise<void>;
  /** Leaves pods running (an agent restart). With `remove`, takes everything away: bridge, routes, rules. */
  close(options: { readonly remove: boolean }): Promise<void>;
}

/** The machine cannot give pods a network; says what to install or allow. */
export class NetworkUnavailableError extends Error {
  override readonly name = 'NetworkUnavailableError';
  readonly code = 'NETWORK_UNAVAILABLE';
}
/** A pod's wire could not be made. */
export class NetworkAttachError extends Error {
  override readonly name = 'NetworkAttachError';
  readonly code = 'NETWORK_ATTACH';
}
/** All addresses of the node's range are given away. */
export class AddressesExhaustedError extends Error {
  override readonly name = 'AddressesExhaustedError';
  readonly code = 'NETWORK_ADDRESSES_EXHAUSTED';
}
/** Some routes to other nodes could not be set; the others are. */
export class RouteError extends Error {
  override readonly name = 'RouteError';
  readonly code = 'NETWORK_ROUTE';
}
