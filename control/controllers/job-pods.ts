/**
 * What a Job's pods tell: whether they are tracked, have failed, when they ended, how often their index has failed. A pod is
 * tracked while it has a finalizer; it keeps that until its end is written into the Job's status (KEP-2307), so that no end
 * is lost or counted twice. Pure.
 */
import type { Job, Pod } from '../api/generated/types.ts';
import { parseTime } from '../client/clock.ts';
import { judgeFailure } from './job-policy.ts';
import { JOB_BACKOFF_MS_MAX, JOB_BACKOFF_MS_MIN } from './limits.ts';
import { isPodFinished, podCondition } from './pods.ts';

export const TRACKING_FINALIZER = 'batch.kubernetes.io/job-tracking';
/** How often pods of this index have failed before this one, and how often that was to be ignored. */
export const INDEX_FAILURES_ANNOTATION = 'batch.kubernetes.io/job-index-failure-count';
export const INDEX_IGNORED_ANNOTATION = 'batch.kubernetes.io/job-index-ignored-failure-count';

export const isTracked = ({ metadata }: Pod): boolean => (metadata?.finalizers ?? []).includes(TRACKING_FINALIZER);

/** Being deleted, and not at its end yet. */
export const isLeaving = (pod: Pod): boolean => pod.metadata?.deletionTimestamp !== undefined && !isPodFinished(pod);

/** A pod is replaced only when it has come to its end, not already when it is being deleted. */
export function waitsForEnd({ spec }: Job): boolean {
  return spec?.podReplacementPolicy === 'Failed' || spec?.podFailurePolicy !== undefined;
}

/**
 * A pod that is being deleted has failed, unless its end is to be waited for: it may never come to report one. No end comes any
 * more once it has no time left: its agent has removed it, or it never had one; only the finalizer keeps it then.
 */
export function hasFailed(job: Job, pod: Pod): boolean {
  if (pod.status?.phase === 'Failed') return true;
  return isLeaving(pod) && (!waitsForEnd(job) || pod.metadata?.deletionGracePeriodSeconds === 0);
}

/**
 * When the pod came to its end, as well as that can be told (k/k backoff_utils.go: getFinishedTime): from its containers, from
 * when it stopped being ready, from when its deletion was asked for, and else from when it was made. The last of these is a
 * pod that its node never took.
 */
export function endedAtMs(pod: Pod): number | undefined {
  const ready = podCondition(pod, 'Ready');
  const since = ready?.status === 'False' ? parseTime(ready.lastTransitionTime) : undefined;
  return containersEndedMs(pod) ?? since ?? deletionAskedMs(pod) ?? parseTime(pod.metadata?.creationTimestamp);
}

/** Undefined as long as the pod has not ended and one of its containers runs: that another ended before says nothing. */
function containersEndedMs({ status }: Pod): number | undefined {
  const { containerStatuses = [], initContainerStatuses = [], phase } = status ?? {};
  const hasEnded = phase === 'Succeeded' || phase === 'Failed';
  if (!hasEnded && containerStatuses.some(({ state }) => !state?.terminated)) return undefined;
  const ends = [...containerStatuses, ...initContainerStatuses].map(({ state }) =>
    parseTime(state?.terminated?.finishedAt),
  );
  const known = ends.filter(end => end !== undefined).filter(end => end > 0);
  return known.length > 0 ? Math.max(...known) : undefined;
}

/** The deletion's time is when the pod has to be gone, after its grace period. */
function deletionAskedMs({ metadata }: Pod): number | undefined {
  const goneMs = parseTime(metadata?.deletionTimestamp);
  return goneMs === undefined ? undefined : goneMs - (metadata?.deletionGracePeriodSeconds ?? 0) * 1000;
}

/** Milliseconds until pods may be created after so many failures in a row: 10 s, doubling up to 10 min (k/k backoff_utils.go). */
export function backoffMs(failures: number, lastFailedMs: number | undefined, nowMs: number): number {
  if (failures === 0 || lastFailedMs === undefined) return 0;
  const delayMs = Math.min(JOB_BACKOFF_MS_MIN * 2 ** Math.min(failures - 1, 20), JOB_BACKOFF_MS_MAX);
  return Math.max(0, lastFailedMs + delayMs - nowMs);
}

/** Failures of a pod's index up to and with the pods before it. */
export const indexFailures = (pod: Pod): number => countIn(pod, INDEX_FAILURES_ANNOTATION);
const ignoredFailures = (pod: Pod): number => countIn(pod, INDEX_IGNORED_ANNOTATION);

function countIn({ metadata }: Pod, annotation: string): number {
  const text = metadata?.annotations?.[annotation] ?? '0';
  return /^\d+$/.test(text) ? Number(text) : 0;
}

/** The failures of an index, ignored ones too, with those of this failed pod. */
export const allFailures = (pod: Pod): number => indexFailures(pod) + ignoredFailures(pod) + 1;

/** What the pod that replaces this one knows of the failures of its index. */
export function failuresAfter(job: Job, replaced: Pod | undefined): { failures: number; ignored: number } {
  if (!replaced) return { failures: 0, ignored: 0 };
  const { counts } = judgeFailure(job, replaced);
  return {
    failures: indexFailures(replaced) + Number(counts),
    ignored: ignoredFailures(replaced) + Number(!counts),
  };
}

/** True if no further pod of this failed pod's index is to be tried. */
export function failsIndex(job: Job, pod: Pod): boolean {
  const verdict = judgeFailure(job, pod);
  if (verdict.action === 'FailIndex') return true;
  return verdict.counts && indexFailures(pod) >= (job.spec?.backoffLimitPerIndex ?? Number.POSITIVE_INFINITY);
}
