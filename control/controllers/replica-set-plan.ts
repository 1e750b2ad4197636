/** What a ReplicaSet or ReplicationController needs: pods to create or delete, and its status. Pure. */
import type { Pod, ReplicaSetCondition, ReplicaSetStatus } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { matchesLabels } from '../client/labels.ts';
import { POD_WRITES_MAX } from './limits.ts';
import { availableInMs, compareForDeletion, isPodReady } from './pods.ts';

export interface ReplicaPlan {
  /** How many pods to create. */
  readonly create: number;
  readonly delete: readonly Pod[];
}

export interface ReplicaState {
  readonly replicas: number;
  /** Owned and active. */
  readonly pods: readonly Pod[];
  /** Active pods of the same owner's owner, these included: spreads deletions over nodes. Asked only for those. */
  relatedPods(): readonly Pod[];
  readonly nowMs: number;
}

/** Creates what is missing or chooses what is too many, at most {@link POD_WRITES_MAX} at once. */
export function planReplicas({ replicas, pods, relatedPods, nowMs }: ReplicaState): ReplicaPlan {
  const surplus = pods.length - replicas;
  if (surplus <= 0) return { create: Math.min(replicas - pods.length, POD_WRITES_MAX), delete: [] };
  const perNode = new Map<string, number>();
  for (const { spec } of relatedPods()) {
    if (spec?.nodeName) perNode.set(spec.nodeName, (perNode.get(spec.nodeName) ?? 0) + 1);
  }
  const order = compareForDeletion(nowMs, pod => perNode.get(pod.spec?.nodeName ?? '') ?? 0);
  return { create: 0, delete: pods.toSorted(order).slice(0, Math.min(surplus, POD_WRITES_MAX)) };
}

export interface ReplicaStatusInput {
  readonly old: ReplicaSetStatus | undefined;
  readonly pods: readonly Pod[];
  readonly templateLabels: Readonly<Record<string, string>>;
  readonly minReadySeconds: number;
  readonly generation: number;
  readonly failure: { readonly reason: 'FailedCreate' | 'FailedDelete'; readonly message: string } | undefined;
  readonly nowMs: number;
}

/** The status as it should be; zeros are left out, as Kubernetes does, but for `replicas`. */
export function planReplicaStatus(input: ReplicaStatusInput): ReplicaSetStatus {
  const { pods, templateLabels, minReadySeconds, nowMs } = input;
  let [fullyLabeled, ready, available] = [0, 0, 0];
  // One pass: a set of ten thousand pods is counted anew with every few of them that change.
  for (const pod of pods) {
    if (matchesLabels(templateLabels, pod.metadata?.labels)) fullyLabeled++;
    if (!isPodReady(pod)) continue;
    ready++;
    if (minReadySeconds === 0 || availableInMs(pod, minReadySeconds, nowMs) === 0) available++;
  }
  const conditions = planConditions(input);
  return {
    replicas: pods.length,
    ...(fullyLabeled > 0 && { fullyLabeledReplicas: fullyLabeled }),
    ...(ready > 0 && { readyReplicas: ready }),
    ...(available > 0 && { availableReplicas: available }),
    ...(input.generation > 0 && { observedGeneration: input.generation }),
    ...(conditions.length > 0 && { conditions }),
  };
}

/** Milliseconds until the next ready pod becomes available, if one is on its way. */
export function nextAvailabilityMs(pods: readonly Pod[], minReadySeconds: number, nowMs: number): number | undefined {
  if (minReadySeconds === 0) return undefined;
  const waits = pods.map(pod => availableInMs(pod, minReadySeconds, nowMs) ?? 0).filter(ms => ms > 0);
  return waits.length > 0 ? Math.min(...waits) : undefined;
}

function planConditions({ old, failure, nowMs }: ReplicaStatusInput): ReplicaSetCondition[] {
  const known = old?.conditions ?? [];
  const others = known.filter(({ type }) => type !== 'ReplicaFailure');
  if (!failure) return others;
  const current = known.find(({ type }) => type === 'ReplicaFailure');
  if (current) return known;
  return [...others, { type: 'ReplicaFailure', status: 'True', lastTransitionTime: timestamp(nowMs), ...failure }];
}
