/**
 * What a PodDisruptionBudget's status must say (k/k pkg/controller/disruption). Pure: pods, the sizes of their controllers and
 * the time come in, the status and what to tell goes out.
 */
import { isDisruptionConditionCurrent, withDisruptionCondition, withFailedCondition } from '../api/disruption.ts';
import type { Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from '../api/generated/types.ts';
import { parseTime, timestamp } from '../client/clock.ts';
import { scaledValue } from './deployment-util.ts';
import { isEqual } from './equal.ts';
import { DISRUPTED_POD_MS, STALE_DISRUPTION_MS } from './limits.ts';
import { isPodFinished, isPodReady, podCondition } from './pods.ts';

/** A controller of pods and how many it is to have. */
export interface ControllerScale {
  readonly uid: string;
  readonly replicas: number;
}

export interface BudgetInput {
  readonly budget: PodDisruptionBudget;
  /** The pods that the budget selects. */
  readonly pods: readonly Pod[];
  /** Of all pods that have one; only asked for where {@link needsScale}. */
  readonly scales: readonly ControllerScale[];
  readonly nowMs: number;
}

export interface BudgetPlan {
  readonly status: PodDisruptionBudgetStatus;
  readonly isChanged: boolean;
  /** When an eviction that was never carried out is to be forgotten. */
  readonly afterMs: number | undefined;
  /** Pods that were to be deleted long ago, and were not. */
  readonly notDeleted: readonly Pod[];
}

/** True if the budget counts in shares of what controllers want, not in pods that are there. */
export function needsScale({ spec }: PodDisruptionBudget): boolean {
  return spec?.maxUnavailable !== undefined || typeof spec?.minAvailable === 'string';
}

export function planBudget({ budget, pods, scales, nowMs }: BudgetInput): BudgetPlan {
  const { metadata, status: old } = budget;
  const { expectedPods, desiredHealthy } = expectation(budget, pods.length, scales);
  const { disruptedPods, afterMs, notDeleted } = planDisrupted(budget, pods, nowMs);
  const currentHealthy = pods.filter(
    pod => !pod.metadata?.deletionTimestamp && !((pod.metadata?.name ?? '') in disruptedPods) && isPodReady(pod),
  ).length;
  // A budget without pods allows nothing: the first ones may be there before they are counted.
  const disruptionsAllowed = expectedPods > 0 ? Math.max(0, currentHealthy - desiredHealthy) : 0;
  const numbers = {
    currentHealthy,
    desiredHealthy,
    expectedPods,
    disruptionsAllowed,
    ...(Object.keys(disruptedPods).length > 0 && { disruptedPods }),
    observedGeneration: metadata?.generation ?? 0,
  };
  const status = { ...numbers, ...(old?.conditions && { conditions: old.conditions }) };
  if (isEqual(status, old) && isDisruptionConditionCurrent(status)) {
    return { status, isChanged: false, afterMs, notDeleted };
  }
  const conditions = withDisruptionCondition(status, timestamp(nowMs));
  return { status: { ...numbers, conditions }, isChanged: true, afterMs, notDeleted };
}

/** The status when the count failed: nothing is allowed until it succeeds. */
export function planFailure({ status }: PodDisruptionBudget, message: string, nowMs: number): BudgetPlan['status'] {
  const present = status ?? { currentHealthy: 0, desiredHealthy: 0, expectedPods: 0, disruptionsAllowed: 0 };
  return {
    ...present,
    disruptionsAllowed: 0,
    conditions: withFailedCondition(present, message, timestamp(nowMs)),
  };
}

function expectation(
  { spec }: PodDisruptionBudget,
  podCount: number,
  scales: readonly ControllerScale[],
): { readonly expectedPods: number; readonly desiredHealthy: number } {
  const { minAvailable, maxUnavailable } = spec ?? {};
  const wanted = [...new Map(scales.map(({ uid, replicas }) => [uid, replicas])).values()].reduce((a, b) => a + b, 0);
  if (maxUnavailable !== undefined) {
    const desiredHealthy = Math.max(0, wanted - scaledValue(maxUnavailable, wanted, Math.ceil));
    return { expectedPods: wanted, desiredHealthy };
  }
  if (minAvailable === undefined) return { expectedPods: 0, desiredHealthy: 0 };
  if (typeof minAvailable === 'number') return { expectedPods: podCount, desiredHealthy: minAvailable };
  return { expectedPods: wanted, desiredHealthy: scaledValue(minAvailable, wanted, Math.ceil) };
}

/** Evicted pods that are still to go; an eviction that is not carried out is given up after a while. */
function planDisrupted({ status }: PodDisruptionBudget, pods: readonly Pod[], nowMs: number) {
  const disruptedPods: Record<string, string> = {};
  const notDeleted: Pod[] = [];
  let afterMs: number | undefined;
  for (const pod of pods) {
    const name = pod.metadata?.name ?? '';
    const since = status?.disruptedPods?.[name];
    if (since === undefined || pod.metadata?.deletionTimestamp) continue;
    const leftMs = (parseTime(since) ?? 0) + DISRUPTED_POD_MS - nowMs;
    if (leftMs <= 0) {
      notDeleted.push(pod);
      continue;
    }
    disruptedPods[name] = since;
    afterMs = Math.min(afterMs ?? leftMs, leftMs);
  }
  return { disruptedPods, afterMs, notDeleted };
}

/**
 * Milliseconds until a pod's DisruptionTarget condition is stale: it says that the pod is about to go, and the pod stays.
 * Undefined if it has none that could be.
 */
export function staleDisruptionInMs(pod: Pod, nowMs: number): number | undefined {
  const condition = podCondition(pod, 'DisruptionTarget');
  if (pod.metadata?.deletionTimestamp || isPodFinished(pod) || condition?.status !== 'True') return undefined;
  // An agent's word is never stale: ending a pod may take as long as it takes.
  if (condition.reason === 'TerminationByKubelet') return undefined;
  return Math.max(0, (parseTime(condition.lastTransitionTime) ?? 0) + STALE_DISRUPTION_MS - nowMs);
}

/** The pod with its condition taken back. */
export function withoutDisruption(pod: Pod, nowMs: number): Pod {
  const conditions = (pod.status?.conditions ?? []).map(each =>
    each.type === 'DisruptionTarget'
      ? { type: each.type, status: 'False', lastTransitionTime: timestamp(nowMs) }
      : each,
  );
  return { ...pod, status: { ...pod.status, conditions } };
}
