/** What decides about the pods that name a scheduler; how one is made is in profile-configuration.ts. */
import { PREEMPTION_CANDIDATES_MIN, PREEMPTION_CANDIDATES_PERCENT } from './limits.ts';
import type { SchedulerPlugin } from './plugin.ts';

export interface WeightedPlugin {
  readonly plugin: SchedulerPlugin;
  readonly weight: number;
}

/** On how many nodes preemption is tried out (DefaultPreemptionArgs). */
export interface PreemptionOptions {
  readonly candidatesPercent: number;
  readonly candidatesMin: number;
}

export interface Profile {
  /** The `schedulerName` of pods that it is for. */
  readonly schedulerName: string;
  readonly filterPlugins: readonly SchedulerPlugin[];
  readonly scorePlugins: readonly WeightedPlugin[];
  /** 0: by the size of the cluster. */
  readonly percentageOfNodesToScore: number;
  /** Undefined: no pod is evicted for another. */
  readonly preemption: PreemptionOptions | undefined;
  /** Pods with scheduling gates wait. */
  readonly hasGates: boolean;
  /** How long a pod waits for its volumes; without it, the default of limits.ts. */
  readonly volumeBindingTimeoutMs?: number;
}

export const DEFAULT_PREEMPTION: PreemptionOptions = {
  candidatesPercent: PREEMPTION_CANDIDATES_PERCENT,
  candidatesMin: PREEMPTION_CANDIDATES_MIN,
};
export const DEFAULT_SCHEDULER_NAME = 'default-scheduler';
