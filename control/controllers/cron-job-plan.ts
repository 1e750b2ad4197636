/**
 * What a CronJob needs next: a run to start, runs to replace, old runs to remove, and its status. Pure; the rules are those of
 * k/k cronjob_controllerv2.go and its utils.go.
 */
import { parseSchedule, type Schedule, ScheduleError } from '../api/cron/schedule.ts';
import { lastTime, nextTime } from '../api/cron/times.ts';
import { isTimeZone, localTimestamp, type OffsetAt, offsetsOf } from '../api/cron/zones.ts';
import { cronjobs as cronJobsKind } from '../api/generated/kinds.ts';
import type { CronJob, CronJobStatus, Job, ObjectReference } from '../api/generated/types.ts';
import { parseTime, timestamp } from '../client/clock.ts';
import type { EventToRecord } from '../client/events.ts';
import { finishedCondition } from './job-finished.ts';
import { CRON_LATE_MS, MISSED_RUNS_MAX } from './limits.ts';
import { controllerReference } from './owners.ts';

export const SCHEDULED_ANNOTATION = 'batch.kubernetes.io/cronjob-scheduled-timestamp';

export interface CronJobState {
  readonly cronJob: CronJob;
  /** All jobs that it controls. */
  readonly jobs: readonly Job[];
  /** Names of active jobs that certainly do not exist any more. */
  readonly missing: ReadonlySet<string>;
  readonly nowMs: number;
  /** Where schedules without a zone are at home. */
  readonly localZone: string;
}

export interface Run {
  readonly scheduledMs: number;
  readonly job: Job;
  /** What has to go before it starts. */
  readonly replaced: readonly ObjectReference[];
}

export interface CronJobPlan {
  readonly events: readonly EventToRecord[];
  /** Without the run that is to be started; see {@link withRun}. */
  readonly status: CronJobStatus;
  readonly run: Run | undefined;
  /** Finished runs beyond what the history may hold, the oldest first. */
  readonly remove: readonly Job[];
  readonly afterMs: number | undefined;
}

/** Decides all from present state: performed once, it gives a plan that does nothing. */
export function planCronJob(state: CronJobState): CronJobPlan {
  const { cronJob, jobs } = state;
  const { status, events } = planStatus(state);
  const remove = planHistory(cronJob, jobs);
  const idle: CronJobPlan = { events, status, remove, run: undefined, afterMs: undefined };
  if (cronJob.metadata?.deletionTimestamp || !cronJob.spec) return idle;
  const { timeZone, suspend, schedule } = cronJob.spec;
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    const why = `unknown time zone ${timeZone}`;
    return withEvents(idle, warning('UnknownTimeZone', `invalid timeZone: ${JSON.stringify(timeZone)}: ${why}`));
  }
  if (suspend) return idle;
  const parsed = readSchedule(schedule);
  if (typeof parsed === 'string') {
    return withEvents(
      idle,
      warning('UnparseableSchedule', `unparseable schedule: ${JSON.stringify(schedule)} : ${parsed}`),
    );
  }
  const notes = schedule.includes('TZ') ? [unsupported(schedule)] : [];
  const clock: RunClock = { schedule: parsed, offsetAt: offsetsOf(parsed.zone ?? timeZone ?? state.localZone) };
  return planRun(withEvents(idle, ...notes), state, clock);
}

/** The status once the run is there. */
export function withRun(status: CronJobStatus, run: Run, created: Job): CronJobStatus {
  const { name, namespace, uid, resourceVersion } = created.metadata ?? {};
  const reference = { apiVersion: 'batch/v1', kind: 'Job', name, namespace, uid, resourceVersion } as ObjectReference;
  return {
    ...status,
    active: [...(status.active ?? []), reference],
    lastScheduleTime: timestamp(run.scheduledMs),
  };
}

/** The status without a run that was replaced. */
export function withoutRun(status: CronJobStatus, gone: ObjectReference): CronJobStatus {
  const { active = [], ...rest } = status;
  const left = active.filter(({ uid }) => uid !== gone.uid);
  return { ...rest, ...(left.length > 0 && { active: left }) };
}

/** True if the job runs and the CronJob does not know of it: the view of one of the two may be old. */
export function isUnexpected(cronJob: CronJob, job: Job): boolean {
  return !finishedCondition(job) && !(cronJob.status?.active ?? []).some(({ uid }) => uid === job.metadata?.uid);
}

interface RunClock {
  readonly schedule: Schedule;
  readonly offsetAt: OffsetAt;
}

const normal = (reason: string, message: string): EventToRecord => ({ type: 'Normal', reason, message });
const warning = (reason: string, message: string): EventToRecord => ({ type: 'Warning', reason, message });
const withEvents = (plan: CronJobPlan, ...events: readonly EventToRecord[]): CronJobPlan => ({
  ...plan,
  events: [...plan.events, ...events],
});

const unsupported = (schedule: string): EventToRecord =>
  warning(
    'UnsupportedSchedule',
    `CRON_TZ or TZ used in schedule ${JSON.stringify(schedule)} is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details`,
  );

function readSchedule(text: string): Schedule | string {
  try {
    return parseSchedule(text, isTimeZone);
  } catch (error) {
    if (error instanceof ScheduleError) return error.message;
    throw error;
  }
}

/** Takes finished and missing jobs off the active ones, and notes the last success. */
function planStatus({ cronJob, jobs, missing }: CronJobState): { status: CronJobStatus; events: EventToRecord[] } {
  const old = cronJob.status ?? {};
  const events: EventToRecord[] = [];
  const gone = new Set<string>();
  const activeUids = new Set((old.active ?? []).map(({ uid }) => uid));
  let lastSuccess = old.lastSuccessfulTime;
  for (const job of jobs) {
    const { uid = '', name } = job.metadata ?? {};
    const end = finishedCondition(job);
    const isActive = activeUids.has(uid);
    if (!end && !isActive) {
      events.push(warning('UnexpectedJob', `Saw a job that the controller did not create or forgot: ${name}`));
    }
    if (end && isActive) {
      gone.add(uid);
      events.push(normal('SawCompletedJob', `Saw completed job: ${name}, condition: ${end.type}`));
    }
    const completion = end?.type === 'Complete' ? job.status?.completionTime : undefined;
    if ((parseTime(completion) ?? 0) > (parseTime(lastSuccess) ?? 0)) lastSuccess = completion;
  }
  const present = new Set(jobs.map(({ metadata }) => metadata?.uid));
  for (const { uid = '', name = '' } of old.active ?? []) {
    if (present.has(uid) || !missing.has(name)) continue;
    gone.add(uid);
    events.push(normal('MissingJob', `Active job went missing: ${name}`));
  }
  const active = (old.active ?? []).filter(({ uid = '' }) => !gone.has(uid));
  const { lastScheduleTime } = old;
  return {
    events,
    status: {
      ...(active.length > 0 && { active }),
      ...(lastScheduleTime !== undefined && { lastScheduleTime }),
      ...(lastSuccess !== undefined && { lastSuccessfulTime: lastSuccess }),
    },
  };
}

/** Finished jobs that exceed the limits, oldest start first. */
function planHistory({ spec }: CronJob, jobs: readonly Job[]): Job[] {
  const surplus = (type: string, limit: number | undefined) => {
    if (limit === undefined) return [];
    const finished = jobs
      .filter(job => finishedCondition(job)?.type === type && !job.metadata?.deletionTimestamp)
      .toSorted(byStart);
    return finished.slice(0, Math.max(0, finished.length - limit));
  };
  return [...surplus('Complete', spec?.successfulJobsHistoryLimit), ...surplus('Failed', spec?.failedJobsHistoryLimit)];
}

function byStart(a: Job, b: Job): number {
  const startOf = ({ status }: Job) => parseTime(status?.startTime) ?? Number.POSITIVE_INFINITY;
  const [left, right] = [startOf(a), startOf(b)];
  if (left !== right) return left < right ? -1 : 1;
  return (a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1;
}

function planRun(idle: CronJobPlan, state: CronJobState, clock: RunClock): CronJobPlan {
  const { cronJob, nowMs } = state;
  const { spec, metadata } = cronJob;
  if (!spec) return idle;
  const due = dueRun(cronJob, nowMs, clock);
  if (due === 'never') {
    const why = 'time difference between two schedules is less than 1 second';
    return withEvents(idle, warning('InvalidSchedule', `invalid schedule: ${spec.schedule} : ${why}`));
  }
  const later = { ...idle, afterMs: untilNextMs(cronJob, nowMs, clock) };
  if (due === undefined) return later;
  const { scheduledMs } = due;
  const missed = due.isManyMissed ? withEvents(later, tooManyMissed) : later;
  const deadlineSeconds = spec.startingDeadlineSeconds;
  if (deadlineSeconds !== undefined && scheduledMs + deadlineSeconds * 1000 < nowMs) {
    const at = new Date(scheduledMs).toUTCString().replace('GMT', '+0000');
    return withEvents(missed, warning('MissSchedule', `Missed scheduled time to start a job: ${at}`));
  }
  const name = `${metadata?.name}-${Math.floor(scheduledMs / 60_000)}`;
  const active = idle.status.active ?? [];
  const isStarted = active.some(each => each.name === name) || parseTime(idle.status.lastScheduleTime) === scheduledMs;
  if (isStarted) return missed;
  if (spec.concurrencyPolicy === 'Forbid' && active.length > 0) {
    const why = 'Not starting job because prior execution is running and concurrency policy is Forbid';
    return withEvents(missed, normal('JobAlreadyActive', why));
  }
  const replaced = spec.concurrencyPolicy === 'Replace' ? active : [];
  const job = jobOf(cronJob, { name, scheduledMs });
  // As seen once it has started.
  const started = { ...cronJob, status: { ...cronJob.status, lastScheduleTime: timestamp(scheduledMs) } };
  return { ...missed, run: { scheduledMs, job, replaced }, afterMs: untilNextMs(started, nowMs, clock) };
}

const tooManyMissed = warning(
  'TooManyMissedTimes',
  'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew',
);

interface DueRun {
  readonly scheduledMs: number;
  readonly isManyMissed: boolean;
}

const lastScheduledMs = ({ metadata, status }: CronJob) =>
  parseTime(status?.lastScheduleTime) ?? parseTime(metadata?.creationTimestamp) ?? 0;

/**
 * The most recent run that has not been started; undefined if there is none, 'never' if the fields name no day. How many were
 * missed is reckoned from the distance of the first two, as Kubernetes does. The run itself is always the last one that
 * was due: where runs are unevenly spaced, Kubernetes reckons that too, and may overlook it.
 */
function dueRun(cronJob: CronJob, nowMs: number, { schedule, offsetAt }: RunClock): DueRun | 'never' | undefined {
  const { timing } = schedule;
  const deadlineSeconds = cronJob.spec?.startingDeadlineSeconds;
  const earliestMs = Math.max(
    lastScheduledMs(cronJob),
    deadlineSeconds === undefined ? Number.NEGATIVE_INFINITY : nowMs - deadlineSeconds * 1000,
  );
  const firstMs = nextTime(timing, earliestMs, offsetAt);
  if (firstMs === undefined) return 'never';
  if (nowMs < firstMs) return undefined;
  const secondMs = nextTime(timing, firstMs, offsetAt);
  if (secondMs === undefined || nowMs < secondMs) return { scheduledMs: firstMs, isManyMissed: false };
  const missed = Math.floor((nowMs - firstMs) / (secondMs - firstMs)) + 1;
  const lastMs = lastTime(timing, { afterMs: firstMs, untilMs: nowMs }, offsetAt) ?? firstMs;
  return { scheduledMs: lastMs, isManyMissed: missed > MISSED_RUNS_MAX };
}

/** How long until the run after this moment, and a little more: clocks differ. Intervals count from the last run. */
function untilNextMs(cronJob: CronJob, nowMs: number, { schedule, offsetAt }: RunClock): number | undefined {
  const { timing } = schedule;
  const startMs = lastScheduledMs(cronJob);
  const last = startMs < nowMs ? lastTime(timing, { afterMs: startMs, untilMs: nowMs }, offsetAt) : undefined;
  const base = timing.type === 'interval' ? (last ?? startMs) : Math.max(nowMs, startMs);
  const next = nextTime(timing, base, offsetAt);
  return next === undefined ? undefined : next - nowMs + CRON_LATE_MS;
}

/** The job of a run. Its name follows from the time, so that no run has two. */
function jobOf(cronJob: CronJob, { name, scheduledMs }: { readonly name: string; readonly scheduledMs: number }): Job {
  const { metadata, spec } = cronJob.spec?.jobTemplate ?? {};
  const zone = cronJob.spec?.timeZone ?? 'UTC';
  const scheduled = localTimestamp(scheduledMs, offsetsOf(zone)(scheduledMs));
  return {
    metadata: {
      name,
      namespace: cronJob.metadata?.namespace ?? '',
      ...(metadata?.labels && { labels: metadata.labels }),
      annotations: { ...metadata?.annotations, [SCHEDULED_ANNOTATION]: scheduled },
      ownerReferences: [controllerReference(cronJobsKind, cronJob)],
    },
    ...(spec && { spec }),
  };
}
