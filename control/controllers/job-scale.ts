/** Which pods a running Job creates or deletes now (k/k job_controller.go: manageJob). Pure. */
import type { Job, Pod } from '../api/generated/types.ts';
import { type Census, hasIndexLimit, indexOf, isIndexed } from './job-census.ts';
import { allFailures, backoffMs, endedAtMs, failuresAfter, waitsForEnd } from './job-pods.ts';
import { POD_WRITES_MAX } from './limits.ts';
import { compareForDeletion } from './pods.ts';

export interface PodToCreate {
  /** Of indexed Jobs. */
  readonly index?: number;
  /** Of Jobs with a limit for each index. */
  readonly failures?: { readonly failures: number; readonly ignored: number };
}

export interface JobScale {
  readonly create: readonly PodToCreate[];
  readonly delete: readonly Pod[];
  /** When pods that failed may be replaced. */
  readonly afterMs: number | undefined;
}

const NOTHING: JobScale = { create: [], delete: [], afterMs: undefined };

/** Creates or deletes, never both at once. */
export function planScale(job: Job, census: Census, nowMs: number): JobScale {
  const wanted = wantedActive(job, census);
  const surplus = planSurplus(job, census, { wanted, nowMs });
  if (surplus.length > 0) return { ...NOTHING, delete: surplus.slice(0, POD_WRITES_MAX) };
  const places = census.active.length + (waitsForEnd(job) ? census.leaving.length : 0);
  const missing = Math.min(wanted - places, POD_WRITES_MAX);
  if (missing <= 0) return NOTHING;
  if (isIndexed(job) && hasIndexLimit(job)) return planIndexes(job, census, { missing, nowMs });
  const waitMs = backoffMs(census.failuresInRow, census.lastFailedMs, nowMs);
  if (waitMs > 0) return { ...NOTHING, afterMs: waitMs };
  if (!isIndexed(job)) return { ...NOTHING, create: Array<PodToCreate>(missing).fill({}) };
  return { ...NOTHING, create: freeIndexes(job, census, missing).map(index => ({ index })) };
}

/** How many pods should run now. Without completions the first success says that the work is done: no new ones then. */
function wantedActive({ spec }: Job, { active, succeeded }: Census): number {
  const parallelism = spec?.parallelism ?? 1;
  if (spec?.completions === undefined) return succeeded > 0 ? active.length : parallelism;
  return Math.min(Math.max(0, spec.completions - succeeded), parallelism);
}

/** Pods with an index that nobody wants or that another has go first; then those that have got least far. */
function planSurplus(
  job: Job,
  { active }: Census,
  { wanted, nowMs }: { readonly wanted: number; readonly nowMs: number },
): readonly Pod[] {
  const inOrder = active.toSorted(compareForDeletion(nowMs, () => 0));
  const kept: Pod[] = [];
  const removed: Pod[] = [];
  const taken = new Set<number>();
  for (const pod of inOrder.toReversed()) {
    const index = indexOf(job, pod);
    const isSuperfluous = isIndexed(job) && (index === undefined || taken.has(index));
    if (index !== undefined) taken.add(index);
    if (isSuperfluous) removed.push(pod);
    else kept.unshift(pod);
  }
  const more = active.length - wanted - removed.length;
  return more > 0 ? [...removed, ...kept.slice(0, more)] : removed;
}

/** The first indexes that are neither done, nor given up, nor under way. */
function freeIndexes(job: Job, census: Census, count: number): number[] {
  const holders = waitsForEnd(job) ? [...census.active, ...census.leaving] : census.active;
  const taken = new Set(holders.map(pod => indexOf(job, pod)));
  const completions = job.spec?.completions ?? 0;
  const free: number[] = [];
  for (let index = 0; index < completions && free.length < count; index++) {
    const isOver = census.completedIndexes.has(index) || census.failedIndexes?.has(index);
    if (!isOver && !taken.has(index)) free.push(index);
  }
  return free;
}

/** Each index waits for itself alone after its own failures. */
function planIndexes(
  job: Job,
  census: Census,
  { missing, nowMs }: { readonly missing: number; readonly nowMs: number },
): JobScale {
  const waits = freeIndexes(job, census, missing).map(index => {
    const failed = census.toReplace.get(index);
    const waitMs = failed ? backoffMs(allFailures(failed), endedAtMs(failed), nowMs) : 0;
    return { index, failed, waitMs };
  });
  const later = waits.filter(({ waitMs }) => waitMs > 0).map(({ waitMs }) => waitMs);
  return {
    delete: [],
    create: waits
      .filter(({ waitMs }) => waitMs === 0)
      .map(({ index, failed }) => ({ index, failures: failuresAfter(job, failed) })),
    afterMs: later.length > 0 ? Math.min(...later) : undefined,
  };
}
