import test from 'ava';
import fc from 'fast-check';
import type { CronJob, CronJobSpec, CronJobStatus, Job } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { type CronJobPlan, planCronJob, SCHEDULED_ANNOTATION, withRun } from './cron-job-plan.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const MINUTE_MS = 60_000;

function cronJob(spec: Partial<CronJobSpec> = {}, status: CronJobStatus = {}): CronJob {
  return {
    metadata: { name: 'c', namespace: 'n', uid: 'u', creationTimestamp: timestamp(START) },
    spec: {
      schedule: '* * * * *',
      concurrencyPolicy: 'Allow',
      jobTemplate: { metadata: { labels: { a: 'b' }, annotations: { x: 'y' } }, spec: { template: {} } },
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
      ...spec,
    },
    status,
  };
}
const plan = (of: CronJob, nowMs: number, jobs: readonly Job[] = [], missing: readonly string[] = []): CronJobPlan =>
  planCronJob({ cronJob: of, jobs, missing: new Set(missing), nowMs, localZone: 'UTC' });
const reasons = ({ events }: CronJobPlan) => events.map(({ reason }) => reason);
const runAt = ({ run }: CronJobPlan) => run && new Date(run.scheduledMs).toISOString().slice(0, 16);

function job(name: string, end?: 'Complete' | 'Failed', atMs = START): Job {
  const conditions = end ? [{ type: end, status: 'True' }] : [];
  const times = { startTime: timestamp(atMs), ...(end === 'Complete' && { completionTime: timestamp(atMs) }) };
  return { metadata: { name, uid: `uid-${name}` }, status: { conditions, ...times } };
}
const active = (...names: readonly string[]): CronJobStatus => ({
  active: names.map(name => ({ name, namespace: 'n', uid: `uid-${name}` })),
});

test('a run is started at its minute, once, under a name that says which', t => {
  const object = cronJob();
  const early = plan(object, START + 59_000);
  t.is(early.run, undefined);
  t.is(early.afterMs, 1100);
  const due = plan(object, START + MINUTE_MS + 100);
  t.is(due.run?.job.metadata?.name, `c-${START / MINUTE_MS + 1}`);
  t.is(due.afterMs, MINUTE_MS);
  t.like(due.run?.job.metadata, {
    labels: { a: 'b' },
    annotations: { x: 'y', [SCHEDULED_ANNOTATION]: '2026-01-01T00:01:00Z' },
    ownerReferences: [
      { apiVersion: 'batch/v1', kind: 'CronJob', name: 'c', uid: 'u', controller: true, blockOwnerDeletion: true },
    ],
  });
  if (!due.run) return t.fail();
  const status = withRun(due.status, due.run, { metadata: { ...due.run.job.metadata, uid: 'j' } });
  t.is(status.lastScheduleTime, '2026-01-01T00:01:00Z');
  const again = plan(cronJob({}, status), START + MINUTE_MS + 200, [{ metadata: { name: 'c-x', uid: 'j' } }]);
  t.deepEqual([again.run, again.events], [undefined, []]);
});

test('the time zone is where the schedule is read, and how its time is written', t => {
  const rome = cronJob({ schedule: '30 2 * * *', timeZone: 'Europe/Rome' });
  const due = plan(rome, Date.parse('2026-01-01T01:30:01Z'));
  t.is(due.run?.job.metadata?.annotations?.[SCHEDULED_ANNOTATION], '2026-01-01T02:30:00+01:00');
  t.deepEqual(reasons(plan(cronJob({ timeZone: 'Mars/Base' }), START + MINUTE_MS)), ['UnknownTimeZone']);
  const own = plan(cronJob({ schedule: 'TZ=Asia/Tokyo 0 9 * * *' }), START + 60_000);
  t.deepEqual([reasons(own), own.run], [['UnsupportedSchedule'], undefined]);
  t.deepEqual(reasons(plan(cronJob({ schedule: 'now and then' }), START + MINUTE_MS)), ['UnparseableSchedule']);
});

const POLICIES = [
  ['Allow', [], true, 0],
  ['Forbid', ['JobAlreadyActive'], false, 0],
  ['Replace', [], true, 1],
] as const;
for (const [concurrencyPolicy, told, isRun, replaced] of POLICIES) {
  test(`policy ${concurrencyPolicy} while a run is under way`, t => {
    const decided = plan(cronJob({ concurrencyPolicy }, active('old')), START + MINUTE_MS, [job('old')]);
    t.deepEqual(reasons(decided), [...told]);
    t.is(decided.run !== undefined, isRun);
    t.is(decided.run?.replaced.length ?? 0, replaced);
  });
}

test('what was missed: the last of a few, the last of many with a warning, none after the deadline', t => {
  const at = (minutes: number) => START + minutes * MINUTE_MS;
  const few = plan(cronJob(), at(100) - 1000);
  t.deepEqual([runAt(few), reasons(few)], ['2026-01-01T01:39', []]);
  const many = plan(cronJob(), at(101));
  t.deepEqual([runAt(many), reasons(many)], ['2026-01-01T01:41', ['TooManyMissedTimes']]);
  // Fewer than a hundred can have been missed within the deadline.
  const within = plan(cronJob({ startingDeadlineSeconds: 200 }), at(300));
  t.deepEqual([runAt(within), reasons(within)], ['2026-01-01T05:00', []]);
  const tooLate = plan(cronJob({ schedule: '0 * * * *', startingDeadlineSeconds: 10 }), at(61));
  t.deepEqual([tooLate.run, reasons(tooLate)], [undefined, []]);
  t.is(tooLate.afterMs, 59 * MINUTE_MS + 100);
  const every = plan(cronJob({ schedule: '@every 7m' }, { lastScheduleTime: timestamp(at(3)) }), at(30));
  t.deepEqual([runAt(every), every.afterMs], ['2026-01-01T00:24', MINUTE_MS + 100]);
  const uneven = plan(cronJob({ schedule: '30 6-16/4 * * 1-5' }), Date.parse('2026-01-04T12:00:00Z'));
  t.is(runAt(uneven), '2026-01-02T14:30');
});

test('nothing is started while suspended or leaving, and never what never comes', t => {
  t.is(plan(cronJob({ suspend: true }), START + MINUTE_MS).run, undefined);
  const leaving = cronJob();
  leaving.metadata = { ...leaving.metadata, deletionTimestamp: timestamp(START) };
  t.is(plan(leaving, START + MINUTE_MS).run, undefined);
  const never = plan(cronJob({ schedule: '0 0 31 2 *' }), START + MINUTE_MS);
  t.deepEqual(
    [never.run, never.afterMs, never.events[0]?.message],
    [
      undefined,
      undefined,
      'invalid schedule: 0 0 31 2 * : time difference between two schedules is less than 1 second',
    ],
  );
});

test('the status follows the jobs', t => {
  const jobs = [job('done', 'Complete', START + 5000), job('broken', 'Failed'), job('runs'), job('stray')];
  const decided = plan(cronJob({ suspend: true }, active('done', 'broken', 'runs', 'lost', 'hidden')), START, jobs, [
    'lost',
  ]);
  t.deepEqual(
    decided.events.map(({ type, message }) => `${type} ${message}`),
    [
      'Normal Saw completed job: done, condition: Complete',
      'Normal Saw completed job: broken, condition: Failed',
      'Warning Saw a job that the controller did not create or forgot: stray',
      'Normal Active job went missing: lost',
    ],
  );
  t.deepEqual(
    decided.status.active?.map(({ name }) => name),
    ['runs', 'hidden'],
  );
  t.is(decided.status.lastSuccessfulTime, timestamp(START + 5000));
});

test('old runs are removed, the oldest first', t => {
  const jobs = [3, 1, 2].flatMap(minute => [
    job(`ok-${minute}`, 'Complete', START + minute * MINUTE_MS),
    job(`bad-${minute}`, 'Failed', START + minute * MINUTE_MS),
  ]);
  const names = (spec: Partial<CronJobSpec>) =>
    plan(cronJob({ suspend: true, ...spec }), START, jobs).remove.map(({ metadata }) => metadata?.name);
  t.deepEqual(names({}), ['bad-1', 'bad-2']);
  t.deepEqual(names({ successfulJobsHistoryLimit: 0, failedJobsHistoryLimit: 3 }), ['ok-1', 'ok-2', 'ok-3']);
});

test('whenever it is looked at, each due minute runs at most once, and one that is past the deadline never', t => {
  const schedule = fc.constantFrom('* * * * *', '*/7 * * * *', '@every 150s', '0,1,30 * * * *');
  const policy = fc.constantFrom('Allow', 'Forbid', 'Replace');
  const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.nat({ max: 2 })), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(
      schedule,
      policy,
      fc.option(fc.integer({ min: 10, max: 300 })),
      steps,
      (text, concurrency, deadline, all) => {
        const object = cronJob({
          schedule: text,
          concurrencyPolicy: concurrency,
          ...(deadline !== null && { startingDeadlineSeconds: deadline }),
        });
        let jobs: Job[] = [];
        let nowMs = START;
        const started: string[] = [];
        for (const [seconds, ended] of all) {
          nowMs += seconds * 1000;
          jobs = jobs.map((each, index) =>
            index < ended ? { ...each, status: { conditions: [{ type: 'Complete', status: 'True' }] } } : each,
          );
          const decided = plan(object, nowMs, jobs);
          const gone = new Set([
            ...decided.remove.map(({ metadata }) => metadata?.uid),
            ...(decided.run?.replaced ?? []).map(({ uid }) => uid),
          ]);
          jobs = jobs.filter(({ metadata }) => !gone.has(metadata?.uid));
          object.status = {
            ...decided.status,
            active: (decided.status.active ?? []).filter(({ uid }) => !gone.has(uid)),
          };
          if (decided.run) {
            const { scheduledMs } = decided.run;
            t.true(scheduledMs <= nowMs && (deadline === null || scheduledMs + deadline * 1000 >= nowMs));
            const name = decided.run.job.metadata?.name ?? '';
            const created = { ...decided.run.job, metadata: { ...decided.run.job.metadata, uid: `uid-${name}` } };
            started.push(String(scheduledMs));
            object.status = withRun(object.status, decided.run, created);
            jobs.push(created);
          }
          const running = jobs.filter(({ status }) => !status?.conditions?.length);
          if (concurrency !== 'Allow') t.true(running.length <= 1);
          const again = plan(object, nowMs, jobs);
          t.deepEqual([again.run, again.remove], [undefined, []]);
          t.deepEqual(again.status.lastScheduleTime, object.status.lastScheduleTime);
        }
        t.is(new Set(started).size, started.length);
      },
    ),
    { numRuns: 60 },
  );
});
