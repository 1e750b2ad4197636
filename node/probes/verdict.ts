/** Thresholds of probes, pure: how many answers of one kind in a row change what is believed. */
import type { Probe } from '../api.ts';

export type Outcome = 'success' | 'failure';
export type ProbeKind = 'startup' | 'liveness' | 'readiness';

export interface Run {
  readonly outcome: Outcome;
  readonly count: number;
}
export interface Timing {
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

/** A probe's numbers with Kubernetes' defaults where there are none. */
export function timingOf(probe: Probe): Timing {
  return {
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1000,
    periodMs: (probe.periodSeconds || 10) * 1000,
    timeoutMs: (probe.timeoutSeconds || 1) * 1000,
    successThreshold: probe.successThreshold || 1,
    failureThreshold: probe.failureThreshold || 3,
  };
}

/** The run of equal answers after one more. */
export function extend(run: Run | undefined, outcome: Outcome): Run {
  return run?.outcome === outcome ? { outcome, count: run.count + 1 } : { outcome, count: 1 };
}

/** What the run proves; undefined while it is too short to change anything. */
export function concluded(run: Run, timing: Timing): Outcome | undefined {
  const needed = run.outcome === 'success' ? timing.successThreshold : timing.failureThreshold;
  return run.count >= needed ? run.outcome : undefined;
}
