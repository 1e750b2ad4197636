/** Counts a Job's pods: what is written down already, and what has ended since (k/k job_controller.go). Pure. */
import type { Job, Pod } from '../api/generated/types.ts';
import { completionIndex, parseIndexes } from './job-indexes.ts';
import { allFailures, endedAtMs, failsIndex, hasFailed, isLeaving, isTracked } from './job-pods.ts';
import { judgeFailure } from './job-policy.ts';
import { isPodActive } from './pods.ts';

export interface Census {
  readonly active: readonly Pod[];
  /** Being deleted, and not at their end yet. */
  readonly leaving: readonly Pod[];
  /** Counted from the status, from what it has not settled, and from pods whose end is new. */
  readonly succeeded: number;
  readonly failed: number;
  /** Of indexed Jobs. */
  readonly completedIndexes: ReadonlySet<number>;
  /** Of Jobs with a limit for each index. */
  readonly failedIndexes: ReadonlySet<number> | undefined;
  /** The failed pods of indexes that are to be tried again, which stay tracked until their replacement knows their number. */
  readonly toReplace: ReadonlyMap<number, Pod>;
  /** Failures since the last success, and when the last of them was. */
  readonly failuresInRow: number;
  readonly lastFailedMs: number | undefined;
}

export const isIndexed = ({ spec }: Job): boolean => spec?.completionMode === 'Indexed';
export const hasIndexLimit = ({ spec }: Job): boolean => spec?.backoffLimitPerIndex !== undefined;

/** The pod's index; undefined if it has none that is wanted. Pods of other Jobs have none. */
export function indexOf(job: Job, pod: Pod): number | undefined {
  return isIndexed(job) ? completionIndex(pod, job.spec?.completions ?? 0) : undefined;
}

/** A pod that says something of its Job: in indexed Jobs, one with an index that is wanted. */
export const isValid = (job: Job, pod: Pod): boolean => !isIndexed(job) || indexOf(job, pod) !== undefined;

/** `pods`: all that the Job owns. */
export function takeCensus(job: Job, pods: readonly Pod[]): Census {
  const { status, spec } = job;
  const uncounted = status?.uncountedTerminatedPods ?? {};
  const isNew = (pod: Pod, known: readonly string[] | undefined) =>
    isTracked(pod) && isValid(job, pod) && !(known ?? []).includes(pod.metadata?.uid ?? '');
  const isSucceeded = (pod: Pod) => pod.status?.phase === 'Succeeded';
  const newlySucceeded = pods.filter(pod => isSucceeded(pod) && isNew(pod, uncounted.succeeded));
  const newlyFailed = pods.filter(pod => hasFailed(job, pod) && isNew(pod, uncounted.failed));
  const completedIndexes = parseIndexes(isIndexed(job) ? status?.completedIndexes : '', spec?.completions);
  for (const pod of pods) {
    const index = isSucceeded(pod) && isTracked(pod) ? indexOf(job, pod) : undefined;
    if (index !== undefined) completedIndexes.add(index);
  }
  const active = pods.filter(isPodActive);
  const failedIndexes = hasIndexLimit(job) && isIndexed(job) ? failedIndexesOf(job, pods) : undefined;
  const counting = newlyFailed.filter(pod => judgeFailure(job, pod).counts).length;
  return {
    active,
    leaving: pods.filter(isLeaving),
    succeeded: isIndexed(job)
      ? completedIndexes.size
      : (status?.succeeded ?? 0) + newlySucceeded.length + (uncounted.succeeded ?? []).length,
    failed: (status?.failed ?? 0) + counting + (uncounted.failed ?? []).length,
    completedIndexes,
    failedIndexes,
    toReplace: failedIndexes ? toReplaceOf(job, pods, { active, completedIndexes, failedIndexes }) : new Map(),
    ...failuresInRowOf(job, pods),
  };
}

function failedIndexesOf(job: Job, pods: readonly Pod[]): ReadonlySet<number> {
  const failed = parseIndexes(job.status?.failedIndexes, job.spec?.completions);
  for (const pod of pods) {
    const index = isTracked(pod) && hasFailed(job, pod) && failsIndex(job, pod) ? indexOf(job, pod) : undefined;
    if (index !== undefined) failed.add(index);
  }
  return failed;
}

/** Of each index that has failed and may be tried again, the pod that failed last. */
function toReplaceOf(
  job: Job,
  pods: readonly Pod[],
  {
    active,
    completedIndexes,
    failedIndexes,
  }: {
    readonly active: readonly Pod[];
    readonly completedIndexes: ReadonlySet<number>;
    readonly failedIndexes: ReadonlySet<number>;
  },
): ReadonlyMap<number, Pod> {
  const running = new Set(active.map(pod => indexOf(job, pod)));
  const found = new Map<number, Pod>();
  for (const pod of pods) {
    const index = isTracked(pod) && hasFailed(job, pod) ? indexOf(job, pod) : undefined;
    if (index === undefined || running.has(index) || completedIndexes.has(index) || failedIndexes.has(index)) continue;
    const other = found.get(index);
    if (!other || isLater(pod, other)) found.set(index, pod);
  }
  return found;
}

function isLater(pod: Pod, other: Pod): boolean {
  const byFailures = allFailures(pod) - allFailures(other);
  return byFailures === 0 ? (endedAtMs(pod) ?? 0) >= (endedAtMs(other) ?? 0) : byFailures > 0;
}

/** Looks at all pods that are still there: Kubernetes remembers it, and forgets it when another controller takes over. */
function failuresInRowOf(job: Job, pods: readonly Pod[]): Pick<Census, 'failuresInRow' | 'lastFailedMs'> {
  const endsOf = (chosen: readonly Pod[]) => chosen.map(endedAtMs).filter(end => end !== undefined);
  const succeeded = endsOf(pods.filter(({ status }) => status?.phase === 'Succeeded'));
  const lastSuccessMs = succeeded.length > 0 ? Math.max(...succeeded) : Number.NEGATIVE_INFINITY;
  // Who is deleted and not tracked was deleted by us, to make room: no failure.
  const isOwnDoing = (pod: Pod) => pod.metadata?.deletionTimestamp !== undefined && !isTracked(pod);
  const failed = endsOf(pods.filter(pod => hasFailed(job, pod) && !isOwnDoing(pod)));
  const since = failed.filter(end => end > lastSuccessMs);
  return { failuresInRow: since.length, lastFailedMs: since.length > 0 ? Math.max(...since) : undefined };
}
