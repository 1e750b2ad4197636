/** How soon a silent node counts as dead, and how long pods then stay: a cluster's settings, and the quick profile. */
import type { TolerationDefaults } from '../apiserver/admission/pod-defaults.ts';

/** Where they differ from Kubernetes' defaults. */
export interface FailoverSettings {
  /** What the node lifecycle controller goes by; its own `NodeHealthSettings` says what each means. */
  readonly nodeHealth: {
    readonly gracePeriodMs?: number;
    readonly startupGracePeriodMs?: number;
    readonly evictionRate?: number;
    readonly secondaryEvictionRate?: number;
    readonly largeZoneNodes?: number;
    readonly unhealthyZoneThreshold?: number;
  };
  readonly tolerations: Partial<TolerationDefaults>;
  /** How long a heartbeat of the masters' own nodes holds; undefined for the usual time. */
  readonly leaseDurationSeconds?: number;
}

/**
 * `--fast-failover`: a silent node is NotReady after 10 s and its pods leave 5 s later; with the time to schedule and start
 * them they run elsewhere in less than 30 s. Nodes that run with the flag beat every 2.5 s; one without it is given the time
 * that its Lease names. What it costs: writes of heartbeats, and pods that move when a node is away for as little as 15 s.
 */
export const FAST_FAILOVER: FailoverSettings = {
  nodeHealth: { gracePeriodMs: 10_000, startupGracePeriodMs: 30_000, evictionRate: 1 },
  tolerations: { notReadySeconds: 5, unreachableSeconds: 5 },
  leaseDurationSeconds: 10,
};
