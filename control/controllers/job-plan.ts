/**
 * What a Job needs next: pods to create or delete, its status, and which pods need not be tracked any longer. The status is
 * written first and the finalizers of the pods in it go afterwards; so whatever breaks off in between, the next plan finds
 * each ended pod either still tracked, or written down as uncounted, or counted (KEP-2307). Pure.
 */
import type { Job, JobCondition, JobStatus, Pod } from '../api/generated/types.ts';
import { parseTime, timestamp } from '../client/clock.ts';
import type { EventToRecord } from '../client/events.ts';
import { type Census, indexOf, isIndexed, isValid, takeCensus } from './job-census.ts';
import { finishedCondition } from './job-finished.ts';
import { formatIndexes, parseIndexes } from './job-indexes.ts';
import { hasFailed, isTracked } from './job-pods.ts';
import { judgeFailure, matchSuccessPolicy } from './job-policy.ts';
import { type JobScale, type PodToCreate, planScale } from './job-scale.ts';
import { UNCOUNTED_PODS_MAX } from './limits.ts';
import { isPodActive, isPodReady } from './pods.ts';

export interface JobPlan {
  readonly create: readonly PodToCreate[];
  readonly delete: readonly Pod[];
  /** What is deleted did not fail: it is released before. */
  readonly deletesUncounted: boolean;
  /** Active pods that were adopted, and are to be tracked from now on. */
  readonly track: readonly Pod[];
  readonly status: JobStatus;
  /** To be tracked no more once the status is written. */
  readonly release: readonly Pod[];
  /** To be told once the status is written. */
  readonly events: readonly EventToRecord[];
  readonly afterMs: number | undefined;
}

/** `pods`: all that the Job owns. */
export function planJob(job: Job, pods: readonly Pod[], nowMs: number): JobPlan {
  const tracked = pods.filter(isTracked);
  const idle: JobPlan = {
    create: [],
    delete: [],
    deletesUncounted: false,
    track: [],
    status: job.status ?? {},
    release: [],
    events: [],
    afterMs: undefined,
  };
  // Nobody will read its counts any more.
  if (job.metadata?.deletionTimestamp) return { ...idle, release: tracked };
  if (finishedCondition(job)) return idle;
  const step: Step = { job, pods, census: takeCensus(job, pods), nowMs };
  const ending = planEnding(step);
  return ending ? planEnd(step, ending, idle) : planRunning(step, idle);
}

interface Step {
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly census: Census;
  readonly nowMs: number;
}

interface Ending {
  readonly isSuccess: boolean;
  readonly reason: string;
  readonly message: string;
}

const fail = (reason: string, message: string): Ending => ({ isSuccess: false, reason, message });

/** Why the Job comes to its end now: what was announced, else the first of the reasons in Kubernetes' order. */
function planEnding(step: Step): Ending | undefined {
  const { job, pods, census } = step;
  const announced = (type: string) =>
    job.status?.conditions?.find(condition => condition.type === type && condition.status === 'True');
  const known = announced('SuccessCriteriaMet') ?? announced('FailureTarget');
  if (known) {
    const { type, reason = '', message = '' } = known;
    return { isSuccess: type === 'SuccessCriteriaMet', reason, message };
  }
  for (const pod of pods) {
    const verdict = hasFailed(job, pod) ? judgeFailure(job, pod) : undefined;
    if (verdict?.action === 'FailJob') return fail('PodFailurePolicy', verdict.message);
  }
  const limit = job.spec?.backoffLimit ?? 6;
  if (census.failed > limit || isPastRestarts(job, pods)) {
    return fail('BackoffLimitExceeded', 'Job has reached the specified backoff limit');
  }
  if (deadlineMs(job, step.nowMs) === 0) {
    return fail('DeadlineExceeded', 'Job was active longer than specified deadline');
  }
  return endingOfIndexes(step) ?? endingByCount(step);
}

function endingOfIndexes({ job, census }: Step): Ending | undefined {
  if (!isIndexed(job)) return undefined;
  const failed = census.failedIndexes?.size ?? 0;
  const { maxFailedIndexes, completions = 0 } = job.spec ?? {};
  if (maxFailedIndexes !== undefined && failed > maxFailedIndexes) {
    const why = 'Job has exceeded the specified maximal number of failed indexes';
    return fail('MaxFailedIndexesExceeded', why);
  }
  if (failed > 0 && failed + census.completedIndexes.size >= completions) {
    return fail('FailedIndexes', 'Job has failed indexes');
  }
  const message = matchSuccessPolicy(job, census.completedIndexes);
  return message === undefined ? undefined : { isSuccess: true, reason: 'SuccessPolicy', message };
}

function endingByCount({ job, census }: Step): Ending | undefined {
  const { completions } = job.spec ?? {};
  const isComplete =
    completions === undefined ? census.succeeded > 0 && census.active.length === 0 : census.succeeded >= completions;
  if (!isComplete) return undefined;
  return { isSuccess: true, reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' };
}

/** Where containers are restarted in their pods, the restarts are what the limit counts. */
function isPastRestarts({ spec }: Job, pods: readonly Pod[]): boolean {
  if (spec?.template.spec?.restartPolicy !== 'OnFailure') return false;
  const restarts = pods
    .filter(({ status }) => status?.phase === 'Running' || status?.phase === 'Pending')
    .flatMap(({ status }) => [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
    .reduce((sum, { restartCount }) => sum + (restartCount ?? 0), 0);
  return restarts > 0 && restarts >= (spec.backoffLimit ?? 6);
}

/** Milliseconds until the deadline, 0 once it is past; undefined without one. */
function deadlineMs({ spec, status }: Job, nowMs: number): number | undefined {
  const startedMs = parseTime(status?.startTime);
  // A Job that is being resumed starts anew.
  const isSuspended = status?.conditions?.some(({ type, status: is }) => type === 'Suspended' && is === 'True');
  if (spec?.activeDeadlineSeconds === undefined || spec.suspend || isSuspended || startedMs === undefined) {
    return undefined;
  }
  return Math.max(0, startedMs + spec.activeDeadlineSeconds * 1000 - nowMs);
}

/** Announces the end, removes what still runs, and says that it is over when everything is counted and gone. */
function planEnd(step: Step, ending: Ending, idle: JobPlan): JobPlan {
  const { job, census, nowMs } = step;
  const { isSuccess, reason, message } = ending;
  const startTime = job.status?.startTime ?? timestamp(nowMs);
  const announced = withCondition(
    job.status?.conditions ?? [],
    { type: isSuccess ? 'SuccessCriteriaMet' : 'FailureTarget', status: 'True', reason, message },
    nowMs,
  );
  const counted = countEnds(step, ending);
  const status: JobStatus = {
    ...statusOf(step, counted, { active: [], created: 0 }),
    startTime,
    conditions: announced,
  };
  const plan = { ...idle, delete: census.active, deletesUncounted: isSuccess, release: counted.release };
  const isOver =
    counted.release.length === 0 &&
    counted.uncounted.succeeded.length + counted.uncounted.failed.length === 0 &&
    census.active.length + census.leaving.length === 0;
  if (!isOver) return { ...plan, status };
  const type = isSuccess ? 'Complete' : 'Failed';
  const conditions = withCondition(announced, { type, status: 'True', reason, message }, nowMs);
  const event: EventToRecord = isSuccess
    ? { type: 'Normal', reason: 'Completed', message: 'Job completed' }
    : { type: 'Warning', reason, message };
  const completion = isSuccess ? { completionTime: timestamp(nowMs) } : {};
  return { ...plan, status: { ...status, conditions, ...completion }, events: [...tooMany(job, status), event] };
}

function tooMany({ spec }: Job, { succeeded = 0 }: JobStatus): readonly EventToRecord[] {
  if (spec?.completions === undefined || succeeded <= spec.completions) return [];
  const message = 'Too many succeeded pods running after completion count reached';
  return [{ type: 'Warning', reason: 'TooManySucceededPods', message }];
}

function planRunning(step: Step, idle: JobPlan): JobPlan {
  const { job, census, nowMs } = step;
  const { conditions, events } = planSuspension(step);
  const isSuspended = job.spec?.suspend === true;
  const scale: JobScale = isSuspended
    ? { create: [], delete: census.active, afterMs: undefined }
    : planScale(job, census, nowMs);
  const isResumed = events.some(({ reason }) => reason === 'Resumed');
  const startTime = isResumed || !job.status?.startTime ? timestamp(nowMs) : job.status.startTime;
  const counted = countEnds(step, undefined);
  const gone = new Set(scale.delete);
  const left = census.active.filter(pod => !gone.has(pod));
  const status: JobStatus = {
    ...statusOf(step, counted, { active: left, created: scale.create.length }),
    // A Job that was suspended from the first has not started.
    ...((!isSuspended || job.status?.startTime) && { startTime }),
    ...(conditions.length > 0 && { conditions: [...conditions] }),
  };
  const waits = [deadlineMs({ ...job, status }, nowMs), scale.afterMs].filter(wait => wait !== undefined);
  return {
    ...idle,
    ...scale,
    deletesUncounted: true,
    track: left.filter(pod => !isTracked(pod)),
    status,
    release: counted.release,
    events,
    afterMs: waits.length > 0 ? Math.min(...waits) : undefined,
  };
}

function planSuspension({ job, nowMs }: Step): {
  readonly conditions: readonly JobCondition[];
  readonly events: readonly EventToRecord[];
} {
  const conditions = job.status?.conditions ?? [];
  const isKnown = conditions.some(({ type, status }) => type === 'Suspended' && status === 'True');
  const isSuspended = job.spec?.suspend === true;
  if (isSuspended === isKnown) return { conditions, events: [] };
  const [reason, message] = isSuspended ? ['Suspended', 'Job suspended'] : ['Resumed', 'Job resumed'];
  const next = { type: 'Suspended', status: isSuspended ? 'True' : 'False', reason: `Job${reason}`, message };
  return { conditions: withCondition(conditions, next, nowMs), events: [{ type: 'Normal', reason, message }] };
}

interface CountedEnds {
  readonly uncounted: { readonly succeeded: string[]; readonly failed: string[] };
  readonly succeeded: number;
  readonly failed: number;
  readonly completedIndexes: ReadonlySet<number>;
  readonly release: readonly Pod[];
}

/** Settles what was uncounted and is tracked no more, and writes down the ends that are new. */
function countEnds({ job, pods, census }: Step, ending: Ending | undefined): CountedEnds {
  const { uncountedTerminatedPods: before, succeeded = 0, failed = 0 } = job.status ?? {};
  const tracked = new Set(pods.filter(isTracked).map(({ metadata }) => metadata?.uid ?? ''));
  const [open, settled] = [new Set<string>(), { succeeded: 0, failed: 0 }];
  const settle = (kind: 'succeeded' | 'failed') =>
    (before?.[kind] ?? []).filter(uid => {
      if (tracked.has(uid)) open.add(uid);
      else settled[kind]++;
      return tracked.has(uid);
    });
  const uncounted = { succeeded: settle('succeeded'), failed: settle('failed') };
  const completedIndexes = parseIndexes(isIndexed(job) ? job.status?.completedIndexes : '', job.spec?.completions);
  const release: Pod[] = [];
  for (const pod of pods) {
    if (release.length >= UNCOUNTED_PODS_MAX) break;
    if (!isTracked(pod) || !isReleasable(job, pod, { census, ending })) continue;
    release.push(pod);
    const uid = pod.metadata?.uid ?? '';
    if (open.has(uid)) continue;
    const index = indexOf(job, pod);
    if (pod.status?.phase === 'Succeeded') {
      if (index !== undefined) completedIndexes.add(index);
      else if (!isIndexed(job)) uncounted.succeeded.push(uid);
    } else if (isCountedFailure(job, pod, ending)) uncounted.failed.push(uid);
  }
  return {
    uncounted,
    succeeded: isIndexed(job) ? completedIndexes.size : succeeded + settled.succeeded,
    failed: failed + settled.failed,
    completedIndexes,
    release,
  };
}

/** Pods at their end; when the Job comes to its end, all. Who is to be replaced has to wait: it knows how often it failed. */
function isReleasable(
  job: Job,
  pod: Pod,
  { census, ending }: { readonly census: Census; readonly ending: Ending | undefined },
): boolean {
  if (ending) return true;
  if (pod.status?.phase !== 'Succeeded' && !hasFailed(job, pod)) return false;
  const index = indexOf(job, pod);
  return index === undefined || census.toReplace.get(index) !== pod;
}

/** When a Job fails, what still runs has failed with it. */
function isCountedFailure(job: Job, pod: Pod, ending: Ending | undefined): boolean {
  if (!hasFailed(job, pod) && (!ending || ending.isSuccess)) return false;
  return isValid(job, pod) && judgeFailure(job, pod).counts;
}

/** The counts; conditions and times are the callers'. */
function statusOf(
  { job, census, pods }: Step,
  counted: CountedEnds,
  { active, created }: { readonly active: readonly Pod[]; readonly created: number },
): JobStatus {
  const { uncounted, succeeded, failed, completedIndexes } = counted;
  const running = active.length + created;
  const leaving = census.leaving.length + pods.filter(isPodActive).length - active.length;
  return {
    ...(running > 0 && { active: running }),
    ...(succeeded > 0 && { succeeded }),
    ...(failed > 0 && { failed }),
    ...(isIndexed(job) && completedIndexes.size > 0 && { completedIndexes: formatIndexes(completedIndexes) }),
    ...(census.failedIndexes && { failedIndexes: formatIndexes(census.failedIndexes) }),
    ready: active.filter(isPodReady).length,
    terminating: leaving,
    uncountedTerminatedPods: {
      ...(uncounted.succeeded.length > 0 && { succeeded: uncounted.succeeded }),
      ...(uncounted.failed.length > 0 && { failed: uncounted.failed }),
    },
  };
}

function withCondition(conditions: readonly JobCondition[], next: JobCondition, nowMs: number): JobCondition[] {
  const now = timestamp(nowMs);
  const current = conditions.find(({ type }) => type === next.type);
  if (current?.status === next.status && current.reason === next.reason) return [...conditions];
  const stamped = { ...next, lastProbeTime: now, lastTransitionTime: now };
  return current ? conditions.map(each => (each === current ? stamped : each)) : [...conditions, stamped];
}
