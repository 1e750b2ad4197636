/**
 * What stands between pods, as data: made by `compile.ts`, put into the kernel's words by `render.ts`. Names of sets and
 * chains are hashes of what they mean, so that two rulesets are compared by name, and what did not change is not touched.
 */
import type { Family } from './ranges.ts';

export type Protocol = 'TCP' | 'UDP' | 'SCTP';
/** `egress` is asked about packets of local pods, `ingress` about packets to them. */
export type Direction = 'ingress' | 'egress';

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** All that it names must hold; a rule without any condition lets everything pass. */
export interface Rule {
  /** The other side's address is in this set. */
  readonly peers?: { readonly family: Family; readonly set: string };
  readonly protocol?: Protocol;
  /** The destination's port; any if there is none. */
  readonly ports?: readonly PortRange[];
  /** Destination, protocol and port are together in this set: named ports of the other side. */
  readonly targets?: { readonly family: Family; readonly set: string };
}

/** Packets that no rule lets pass are dropped. */
export interface Chain {
  readonly direction: Direction;
  readonly rules: readonly Rule[];
}

export type PeerSet =
  | { readonly kind: 'addresses'; readonly family: Family; readonly elements: ReadonlySet<string> }
  /** `first-last`; never changes under its name. */
  | { readonly kind: 'ranges'; readonly family: Family; readonly elements: ReadonlySet<string> }
  /** `address . protocol . port` */
  | { readonly kind: 'targets'; readonly family: Family; readonly elements: ReadonlySet<string> };

export interface PolicyRuleset {
  readonly sets: ReadonlyMap<string, PeerSet>;
  readonly chains: ReadonlyMap<string, Chain>;
  /** From a local pod's address to its chain; who is not in here is not isolated. */
  readonly isolated: Readonly<Record<Direction, ReadonlyMap<string, string>>>;
}

export const emptyRuleset: PolicyRuleset = {
  sets: new Map(),
  chains: new Map(),
  isolated: { ingress: new Map(), egress: new Map() },
};

/** The cluster's policies need more rules than a node holds; those that stand stay. */
export class PolicyLimitError extends Error {
  override readonly name = 'PolicyLimitError';
  readonly code = 'POLICY_LIMIT';
}
/** The machine cannot enforce policies; says what to install or allow. */
export class PolicyUnavailableError extends Error {
  override readonly name = 'PolicyUnavailableError';
  readonly code = 'POLICY_UNAVAILABLE';
}
/** The rules of a starting pod do not stand yet. */
export class PolicyPendingError extends Error {
  override readonly name = 'PolicyPendingError';
  readonly code = 'POLICY_PENDING';
}
