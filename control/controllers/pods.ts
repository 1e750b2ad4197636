/** What workload controllers ask of pods. Pure. */
import type { ContainerStatus, OwnerReference, Pod, PodCondition, PodTemplateSpec } from '../api/generated/types.ts';
import { parseTime } from '../client/clock.ts';

export function podCondition(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find(condition => condition.type === type);
}

export function isPodReady(pod: Pod): boolean {
  return podCondition(pod, 'Ready')?.status === 'True';
}

/** Succeeded or Failed: it will never run again. */
export function isPodFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Counts as a replica: neither finished nor leaving. */
export function isPodActive(pod: Pod): boolean {
  return !isPodFinished(pod) && !pod.metadata?.deletionTimestamp;
}

/** Milliseconds until a ready pod counts as available; 0 if it does, undefined if it is not ready. */
export function availableInMs(pod: Pod, minReadySeconds: number, nowMs: number): number | undefined {
  if (!isPodReady(pod)) return undefined;
  if (minReadySeconds === 0) return 0;
  const readySinceMs = parseTime(podCondition(pod, 'Ready')?.lastTransitionTime);
  if (readySinceMs === undefined) return undefined;
  return Math.max(0, readySinceMs + minReadySeconds * 1000 - nowMs);
}

export function isPodAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  return availableInMs(pod, minReadySeconds, nowMs) === 0;
}

/** A pod as a template describes it, to be named by the server. */
export function podFromTemplate(
  template: PodTemplateSpec | undefined,
  owner: { readonly name: string; readonly namespace: string; readonly reference: OwnerReference },
): Pod {
  const { labels, annotations, finalizers } = template?.metadata ?? {};
  return {
    metadata: {
      generateName: `${owner.name}-`,
      namespace: owner.namespace,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(finalizers && { finalizers }),
      ownerReferences: [owner.reference],
    },
    ...(template?.spec && { spec: template.spec }),
  };
}

/** The annotation by which users say which pods to keep longest. */
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';
const PHASE_RANK: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/**
 * Orders pods by how little is lost with them, in the sequence of k/k controller_utils.go ActivePodsWithRanks: not assigned,
 * pending, not ready, cheap by annotation, doubled up on a node, ready for a short time, often restarted, young; among equals
 * none is preferred.
 *
 * `crowding` says how many related pods share the pod's node.
 */
export function compareForDeletion(nowMs: number, crowding: (pod: Pod) => number): (a: Pod, b: Pod) => number {
  return (a, b) => {
    const byPlace = Number(Boolean(a.spec?.nodeName)) - Number(Boolean(b.spec?.nodeName));
    if (byPlace) return byPlace;
    const byPhase = phaseRank(a) - phaseRank(b);
    if (byPhase) return byPhase;
    const byReadiness = Number(isPodReady(a)) - Number(isPodReady(b));
    if (byReadiness) return byReadiness;
    const byCost = deletionCost(a) - deletionCost(b);
    if (byCost) return byCost;
    const byCrowding = crowding(b) - crowding(a);
    if (byCrowding) return byCrowding;
    if (isPodReady(a) && isPodReady(b)) {
      const byReadyTime = ageRank(readySince(a), nowMs) - ageRank(readySince(b), nowMs);
      if (byReadyTime) return byReadyTime;
    }
    const byRestarts = restarts(b) - restarts(a) || sidecarRestarts(b) - sidecarRestarts(a);
    if (byRestarts) return byRestarts;
    const byAge =
      ageRank(parseTime(a.metadata?.creationTimestamp), nowMs) -
      ageRank(parseTime(b.metadata?.creationTimestamp), nowMs);
    if (byAge) return byAge;
    // As good as chance, and always the same.
    return (a.metadata?.uid ?? '') < (b.metadata?.uid ?? '') ? -1 : 1;
  };
}

const phaseRank = (pod: Pod) => PHASE_RANK[pod.status?.phase ?? 'Pending'] ?? 0;
const readySince = (pod: Pod) => parseTime(podCondition(pod, 'Ready')?.lastTransitionTime);
const mostOf = (statuses: readonly ContainerStatus[]) =>
  Math.max(0, ...statuses.map(({ restartCount }) => restartCount ?? 0));
const restarts = (pod: Pod) => mostOf(pod.status?.containerStatuses ?? []);

/** Init containers that run on beside the others. */
function sidecarRestarts({ spec, status }: Pod): number {
  const statuses = status?.initContainerStatuses ?? [];
  if (statuses.length === 0) return 0;
  const sidecars = new Set(
    (spec?.initContainers ?? []).flatMap(each => (each.restartPolicy === 'Always' ? each.name : [])),
  );
  return mostOf(statuses.filter(({ name }) => sidecars.has(name)));
}

function deletionCost(pod: Pod): number {
  const text = pod.metadata?.annotations?.[DELETION_COST] ?? '0';
  return /^-?\d+$/.test(text) ? Number(text) : 0;
}

/** Ages compare by their magnitude, so that scaling down does not always strike the newest (k/k: LogarithmicScaleDown). */
function ageRank(sinceMs: number | undefined, nowMs: number): number {
  if (sinceMs === undefined) return -1;
  const ageMs = nowMs - sinceMs;
  return ageMs <= 0 ? 0 : Math.floor(Math.log2(ageMs * 1e6));
}
