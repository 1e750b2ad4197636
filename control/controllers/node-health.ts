/**
 * How patient the cluster is with its nodes, and how many of a zone it evicts from at a time. When much of a zone falls silent
 * at once, the fault is more likely on our side, or in the network between: then nodes are tainted more slowly or not at all
 * (k/k pkg/controller/nodelifecycle: ComputeZoneState, setLimiterInZone). Pure but for what it counts.
 */
import type { Node } from '../api/generated/types.ts';
import { isNodeReady } from './node-plan.ts';

export interface NodeHealthSettings {
  /** Silence after which a node is Unknown (--node-monitor-grace-period); never less than its own Lease lasts. */
  readonly gracePeriodMs: number;
  /** The same for one that has never said how it is (--node-startup-grace-period). */
  readonly startupGracePeriodMs: number;
  /** Nodes of a zone that may begin to lose their pods, a second (--node-eviction-rate). */
  readonly evictionRate: number;
  /** The same where a large zone is partly disrupted; a small one then loses none (--secondary-node-eviction-rate). */
  readonly secondaryEvictionRate: number;
  /** A zone with more nodes is large (--large-cluster-size-threshold). */
  readonly largeZoneNodes: number;
  /** The share of nodes that are not ready from which on a zone is partly disrupted (--unhealthy-zone-threshold). */
  readonly unhealthyZoneThreshold: number;
}

export const NODE_HEALTH_DEFAULTS: NodeHealthSettings = {
  gracePeriodMs: 50_000,
  startupGracePeriodMs: 60_000,
  evictionRate: 0.1,
  secondaryEvictionRate: 0.01,
  largeZoneNodes: 50,
  unhealthyZoneThreshold: 0.55,
};

export type ZoneState = 'Normal' | 'PartialDisruption' | 'FullDisruption';

/** Fewer silent nodes than this are no disruption of a zone, whatever their share. */
const DISRUPTED_NODES_MIN = 3;

export interface ZoneCount {
  readonly ready: number;
  readonly notReady: number;
}

export function zoneState({ ready, notReady }: ZoneCount, { unhealthyZoneThreshold }: NodeHealthSettings): ZoneState {
  if (ready === 0 && notReady > 0) return 'FullDisruption';
  const isPartly = notReady >= DISRUPTED_NODES_MIN && notReady / (notReady + ready) >= unhealthyZoneThreshold;
  return isPartly ? 'PartialDisruption' : 'Normal';
}

/** Nodes of such a zone that may begin to lose their pods, a second; 0 for none. */
export function evictionRate(count: ZoneCount, settings: NodeHealthSettings): number {
  // A zone that is wholly silent while others speak is gone: its pods are wanted elsewhere at the usual pace.
  if (zoneState(count, settings) !== 'PartialDisruption') return settings.evictionRate;
  return count.ready + count.notReady > settings.largeZoneNodes ? settings.secondaryEvictionRate : 0;
}

const ZONE_LABELS: readonly (readonly [string, string])[] = [
  ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region'],
  ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone'],
];

/** Names the zone of a node; nodes without labels share one. */
export function zoneOf({ metadata }: Node): string {
  return ZONE_LABELS.map(([now, before]) => metadata?.labels?.[now] ?? metadata?.labels?.[before] ?? '').join('/');
}

/** On a node: its readiness says nothing about its zone. */
const EXCLUDED = 'node.kubernetes.io/exclude-disruption';

const NONE: ZoneCount = { ready: 0, notReady: 0 };

/** Who is ready in which zone, kept as nodes come, change and go; without those that are excluded by a label. */
export class ZoneCensus {
  readonly #nodes = new Map<string, { readonly zone: string; readonly isReady: boolean }>();
  readonly #zones = new Map<string, ZoneCount>();

  note(node: Node): void {
    const name = node.metadata?.name ?? '';
    this.forget(name);
    if (node.metadata?.labels?.[EXCLUDED] !== undefined) return;
    const entry = { zone: zoneOf(node), isReady: isNodeReady(node) };
    this.#nodes.set(name, entry);
    this.#change(entry, 1);
  }

  forget(name: string): void {
    const entry = this.#nodes.get(name);
    if (!entry) return;
    this.#nodes.delete(name);
    this.#change(entry, -1);
  }

  count(zone: string): ZoneCount {
    return this.#zones.get(zone) ?? NONE;
  }

  /** No node of any zone is ready: it is us who hear nobody. */
  get isWhollyDisrupted(): boolean {
    return this.#nodes.size > 0 && [...this.#zones.values()].every(({ ready }) => ready === 0);
  }

  #change({ zone, isReady }: { readonly zone: string; readonly isReady: boolean }, by: 1 | -1): void {
    const { ready, notReady } = this.count(zone);
    const next = { ready: ready + (isReady ? by : 0), notReady: notReady + (isReady ? 0 : by) };
    if (next.ready + next.notReady === 0) this.#zones.delete(zone);
    else this.#zones.set(zone, next);
  }
}

/** Lets one node of a zone after the other lose its pods, at the zone's rate. */
export class EvictionPace {
  readonly #takenAtMs = new Map<string, number>();

  /** 0 if the turn is the caller's, else how long it has to wait: for ever at the rate 0. */
  take(zone: string, perSecond: number, nowMs: number): number {
    if (perSecond <= 0) return Number.POSITIVE_INFINITY;
    const waitMs = (this.#takenAtMs.get(zone) ?? Number.NEGATIVE_INFINITY) + 1_000 / perSecond - nowMs;
    if (waitMs > 0) return waitMs;
    this.#takenAtMs.set(zone, nowMs);
    return 0;
  }

  /** A turn that was not used is the next one's. */
  giveBack(zone: string): void {
    this.#takenAtMs.delete(zone);
  }
}
