/**
 * What a Job needs next: pods to create or delete, and its status. Finished pods are counted where they lie (they stay until the
 * Job goes); counts never fall, so that a pod which somebody removes is not forgotten. Pure.
 */
import type { Job, JobCondition, JobStatus, Pod } from '../api/generated/types.ts';
import { parseTime, timestamp } from '../client/clock.ts';
import { completionIndex, formatIndexes, parseIndexes } from './job-indexes.ts';
import { judgeFailure } from './job-policy.ts';
import { JOB_BACKOFF_MS_MAX, JOB_BACKOFF_MS_MIN, POD_WRITES_MAX } from './limits.ts';
import { isPodActive, isPodFinished, isPodReady } from './pods.ts';

export interface JobEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export interface JobPlan {
  /** One entry for each pod to create: its completion index, or undefined for Jobs without. */
  readonly create: readonly (number | undefined)[];
  readonly delete: readonly Pod[];
  readonly status: JobStatus;
  /** To be told once the status is written. */
  readonly events: readonly JobEvent[];
  readonly afterMs: number | undefined;
}

/** `pods`: all that the Job owns. */
export function planJob(job: Job, pods: readonly Pod[], nowMs: number): JobPlan {
  const old = job.status ?? {};
  if (isJobFinished(job)) return { create: [], delete: [], status: old, events: [], afterMs: undefined };
  const census = takeCensus(job, pods);
  const conditions = [...(old.conditions ?? [])];
  const ending = planEnding(job, census, nowMs);
  if (ending) return planEnd({ job, census, conditions, ending, nowMs });
  return planRunning({ job, census, conditions, nowMs });
}

export function isJobFinished(job: Job): boolean {
  return (job.status?.conditions ?? []).some(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
}

interface Census {
  readonly active: readonly Pod[];
  /** Neither finished nor staying. */
  readonly leaving: readonly Pod[];
  readonly ready: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly completedIndexes: ReadonlySet<number>;
  readonly failedPods: readonly Pod[];
  /** What a failure policy said. */
  readonly verdict: string | undefined;
  readonly restarts: number;
}

function takeCensus(job: Job, pods: readonly Pod[]): Census {
  const old = job.status ?? {};
  const active = pods.filter(isPodActive);
  const failedPods = pods.filter(({ status }) => status?.phase === 'Failed');
  const verdicts = failedPods.map(pod => judgeFailure(job, pod));
  const counted = verdicts.filter(({ action }) => action !== 'Ignore').length;
  const completions = job.spec?.completions ?? 0;
  const completedIndexes = isIndexed(job) ? parseIndexes(old.completedIndexes) : new Set<number>();
  for (const pod of isIndexed(job) ? pods : []) {
    const index = completionIndex(pod, completions);
    if (index !== undefined && pod.status?.phase === 'Succeeded') completedIndexes.add(index);
  }
  const succeeded = pods.filter(({ status }) => status?.phase === 'Succeeded').length;
  const fatal = verdicts.find(verdict => verdict.action === 'FailJob');
  return {
    active,
    leaving: pods.filter(pod => pod.metadata?.deletionTimestamp && !isPodFinished(pod)),
    ready: active.filter(isPodReady).length,
    succeeded: isIndexed(job) ? completedIndexes.size : Math.max(old.succeeded ?? 0, succeeded),
    failed: Math.max(old.failed ?? 0, counted),
    completedIndexes,
    failedPods,
    verdict: fatal?.action === 'FailJob' ? fatal.message : undefined,
    restarts: active
      .flatMap(({ status }) => [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
      .reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0),
  };
}

const isIndexed = ({ spec }: Job) => spec?.completionMode === 'Indexed';

interface Ending {
  readonly isSuccess: boolean;
  readonly reason: string;
  readonly message: string;
}

function planEnding(job: Job, census: Census, nowMs: number): Ending | undefined {
  const announced = (job.status?.conditions ?? []).find(
    ({ type, status }) => (type === 'FailureTarget' || type === 'SuccessCriteriaMet') && status === 'True',
  );
  if (announced) {
    const { type, reason = '', message = '' } = announced;
    return { isSuccess: type === 'SuccessCriteriaMet', reason, message };
  }
  const fail = (reason: string, message: string): Ending => ({ isSuccess: false, reason, message });
  if (census.verdict) return fail('PodFailurePolicy', census.verdict);
  const limit = job.spec?.backoffLimit ?? 6;
  const isRestarting = job.spec?.template.spec?.restartPolicy === 'OnFailure';
  const isOverRestarts = isRestarting && census.restarts > 0 && census.restarts >= limit;
  if (census.failed > limit || isOverRestarts) {
    return fail('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  }
  if (deadlineMs(job, nowMs) === 0) return fail('DeadlineExceeded', 'Job was active longer than specified deadline');
  const { completions } = job.spec ?? {};
  const isComplete =
    completions === undefined ? census.succeeded > 0 && census.active.length === 0 : census.succeeded >= completions;
  if (!isComplete || (job.spec?.suspend && !isCounted(job, census))) return undefined;
  return { isSuccess: true, reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' };
}

const isCounted = (job: Job, census: Census) => job.spec?.completions !== undefined || census.succeeded > 0;

/** Milliseconds until the deadline, 0 once it is past; undefined without one. */
function deadlineMs({ spec, status }: Job, nowMs: number): number | undefined {
  const startedMs = parseTime(status?.startTime);
  if (spec?.activeDeadlineSeconds === undefined || spec.suspend || startedMs === undefined) return undefined;
  return Math.max(0, startedMs + spec.activeDeadlineSeconds * 1000 - nowMs);
}

interface Step {
  readonly job: Job;
  readonly census: Census;
  readonly conditions: readonly JobCondition[];
  readonly nowMs: number;
}

/** Announces the end, removes what still runs, and says that it is over when all of that is gone. */
function planEnd({ job, census, conditions, ending, nowMs }: Step & { readonly ending: Ending }): JobPlan {
  const { isSuccess, reason, message } = ending;
  const announced = withCondition(
    conditions,
    { type: isSuccess ? 'SuccessCriteriaMet' : 'FailureTarget', status: 'True', reason, message },
    nowMs,
  );
  const isOver = census.active.length === 0 && census.leaving.length === 0;
  const final = isOver
    ? withCondition(announced, { type: isSuccess ? 'Complete' : 'Failed', status: 'True', reason, message }, nowMs)
    : announced;
  const status = statusOf({ job, census, conditions: final, nowMs }, 0);
  const event: JobEvent = isSuccess
    ? { type: 'Normal', reason: 'Completed', message: 'Job completed' }
    : { type: 'Warning', reason, message };
  return {
    create: [],
    delete: census.active,
    status: isOver && isSuccess ? { ...status, completionTime: timestamp(nowMs) } : status,
    events: isOver ? [event] : [],
    afterMs: undefined,
  };
}

function planRunning(step: Step): JobPlan {
  const { job, census, nowMs } = step;
  const { conditions, events } = planSuspension(step);
  if (job.spec?.suspend) {
    const status = statusOf({ ...step, conditions }, 0);
    delete status.startTime;
    return { create: [], delete: census.active, status, events, afterMs: undefined };
  }
  const isResumed = events.some(({ reason }) => reason === 'Resumed');
  const startTime = isResumed ? timestamp(nowMs) : (job.status?.startTime ?? timestamp(nowMs));
  const wanted = wantedActive(job, census);
  const surplus = Math.max(0, census.active.length - wanted);
  const backoffMs = failureBackoffMs(census, nowMs);
  const create = backoffMs > 0 ? [] : planCreations(job, census, wanted);
  const waits = [
    deadlineMs({ ...job, status: { ...job.status, startTime } }, nowMs),
    backoffMs > 0 ? backoffMs : undefined,
  ];
  const known = waits.filter(wait => wait !== undefined);
  return {
    create,
    delete: byUsefulness(census.active).slice(0, surplus),
    status: { ...statusOf({ ...step, conditions }, census.active.length - surplus), startTime },
    events,
    afterMs: known.length > 0 ? Math.min(...known) : undefined,
  };
}

function planSuspension({ job, conditions, nowMs }: Step): { conditions: readonly JobCondition[]; events: JobEvent[] } {
  const known = conditions.find(({ type }) => type === 'Suspended');
  if (job.spec?.suspend && known?.status !== 'True') {
    const next = { type: 'Suspended', status: 'True', reason: 'JobSuspended', message: 'Job suspended' };
    return {
      conditions: withCondition(conditions, next, nowMs),
      events: [{ type: 'Normal', reason: 'Suspended', message: 'Job suspended' }],
    };
  }
  if (!job.spec?.suspend && known?.status === 'True') {
    const next = { type: 'Suspended', status: 'False', reason: 'JobResumed', message: 'Job resumed' };
    return {
      conditions: withCondition(conditions, next, nowMs),
      events: [{ type: 'Normal', reason: 'Resumed', message: 'Job resumed' }],
    };
  }
  return { conditions, events: [] };
}

/** How many pods should run now. Without completions the first success says that the work is done: no new ones then. */
function wantedActive({ spec }: Job, { active, succeeded }: Census): number {
  const parallelism = spec?.parallelism ?? 1;
  if (spec?.completions === undefined) return succeeded > 0 ? Math.min(active.length, parallelism) : parallelism;
  return Math.min(Math.max(0, spec.completions - succeeded), parallelism);
}

function planCreations(job: Job, census: Census, wanted: number): (number | undefined)[] {
  // With policy Failed a leaving pod still holds its place.
  const waitsForEnd = (job.spec?.podReplacementPolicy ?? (job.spec?.podFailurePolicy ? 'Failed' : '')) === 'Failed';
  const places = census.active.length + (waitsForEnd ? census.leaving.length : 0);
  const missing = Math.min(Math.max(0, wanted - places), POD_WRITES_MAX);
  if (!isIndexed(job)) return Array<undefined>(missing).fill(undefined);
  const completions = job.spec?.completions ?? 0;
  const holders = waitsForEnd ? [...census.active, ...census.leaving] : census.active;
  const taken = new Set(holders.map(pod => completionIndex(pod, completions)));
  const free: number[] = [];
  for (let index = 0; index < completions && free.length < missing; index++) {
    if (!census.completedIndexes.has(index) && !taken.has(index)) free.push(index);
  }
  return free;
}

/** Milliseconds until a failed pod may be replaced: 10 s after the first failure in a row, then doubling. */
function failureBackoffMs({ failedPods, succeeded }: Census, nowMs: number): number {
  if (failedPods.length === 0 || succeeded > 0) return 0;
  const ends = failedPods.map(finishedAtMs).filter(time => time !== undefined);
  if (ends.length === 0) return 0;
  const delayMs = Math.min(JOB_BACKOFF_MS_MIN * 2 ** Math.min(failedPods.length - 1, 20), JOB_BACKOFF_MS_MAX);
  return Math.max(0, Math.max(...ends) + delayMs - nowMs);
}

function finishedAtMs({ status }: Pod): number | undefined {
  const ends = (status?.containerStatuses ?? []).map(({ state }) => parseTime(state?.terminated?.finishedAt) ?? 0);
  const latest = Math.max(0, ...ends);
  return latest > 0 ? latest : undefined;
}

/** Those first that have got least far. */
function byUsefulness(pods: readonly Pod[]): Pod[] {
  const rank = (pod: Pod) =>
    Number(Boolean(pod.spec?.nodeName)) + Number(pod.status?.phase === 'Running') + Number(isPodReady(pod));
  return pods.toSorted((a, b) => rank(a) - rank(b));
}

function statusOf({ job, census, conditions }: Step, active: number): JobStatus {
  const { startTime, failedIndexes } = job.status ?? {};
  return {
    ...(active > 0 && { active }),
    ...(census.succeeded > 0 && { succeeded: census.succeeded }),
    ...(census.failed > 0 && { failed: census.failed }),
    ...(isIndexed(job) &&
      census.completedIndexes.size > 0 && { completedIndexes: formatIndexes(census.completedIndexes) }),
    ...(failedIndexes !== undefined && { failedIndexes }),
    ...(conditions.length > 0 && { conditions: [...conditions] }),
    ready: census.ready,
    terminating: census.leaving.length,
    uncountedTerminatedPods: {},
    ...(startTime && { startTime }),
  };
}

function withCondition(conditions: readonly JobCondition[], next: JobCondition, nowMs: number): JobCondition[] {
  const now = timestamp(nowMs);
  const current = conditions.find(({ type }) => type === next.type);
  if (current?.status === next.status && current.reason === next.reason) return [...conditions];
  const stamped = { ...next, lastProbeTime: now, lastTransitionTime: now };
  return current ? conditions.map(each => (each === current ? stamped : each)) : [...conditions, stamped];
}
