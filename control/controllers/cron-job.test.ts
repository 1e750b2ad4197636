import test from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { CronJob, CronJobSpec } from '../api/generated/types.ts';
import { ApiError } from '../api/status.ts';
import { timestamp } from '../client/clock.ts';
import { until } from '../client/testing/until.ts';
import { cronJobController } from './cron-job.ts';
import { type Bench, newBench } from './testing/bench.ts';
import { isKnownEvent, knownEvents } from './testing/known-events.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const MINUTE_MS = 60_000;
const KEY = { namespace: 'n', name: 'c' };

async function create(bench: Bench, spec: Partial<CronJobSpec> = {}): Promise<CronJob> {
  return await bench.client.create(kinds.cronjobs, {
    metadata: { name: 'c', namespace: 'n' },
    spec: { schedule: '* * * * *', jobTemplate: { spec: { template: {} } }, ...spec },
  });
}
const jobNames = async ({ client }: Bench) =>
  (await client.list(kinds.jobs)).items.map(({ metadata }) => metadata?.name ?? '');
async function finish({ client, clock }: Bench, name: string, type: 'Complete' | 'Failed'): Promise<void> {
  const now = timestamp(clock.now());
  const body = { status: { conditions: [{ type, status: 'True' }], startTime: now, completionTime: now } };
  const patch = { type: 'application/merge-patch+json', body } as const;
  await client.patch(kinds.jobs, { namespace: 'n', name }, patch, { subresource: 'status' });
}
const toMinute = (bench: Bench, minute: number) =>
  bench.clock.advance(START + minute * MINUTE_MS + 500 - bench.clock.now());
const nameOf = (minute: number) => `c-${START / MINUTE_MS + minute}`;

test('runs come, end and are cleared away; the events are those of Kubernetes', async t => {
  const bench = newBench(t, { nowMs: START });
  await bench.start(context => [cronJobController(context)]);
  await create(bench, { successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0 });
  await toMinute(bench, 1);
  await until('the first run', async () => (await jobNames(bench)).length === 1);
  await finish(bench, nameOf(1), 'Complete');
  await toMinute(bench, 2);
  await until('the second run', async () => (await jobNames(bench)).includes(nameOf(2)));
  await finish(bench, nameOf(2), 'Failed');
  await until('the failed one is removed', async () => !(await jobNames(bench)).includes(nameOf(2)));
  await toMinute(bench, 3);
  await until('the third run', async () => (await jobNames(bench)).includes(nameOf(3)));
  await finish(bench, nameOf(3), 'Complete');
  await until('one success is kept', async () => (await jobNames(bench)).join() === nameOf(3));
  const status = async () => (await bench.client.get(kinds.cronjobs, KEY)).status;
  await until('nothing is active', async () => (await status())?.active === undefined);
  t.deepEqual(await status(), {
    lastScheduleTime: timestamp(START + 3 * MINUTE_MS),
    lastSuccessfulTime: timestamp(START + 3 * MINUTE_MS),
  });
  const reasons = new Set(bench.events.map(({ reason }) => reason));
  t.deepEqual(reasons, new Set(['SuccessfulCreate', 'SawCompletedJob', 'SuccessfulDelete']));
  if (knownEvents) for (const event of bench.events) t.true(isKnownEvent(event), JSON.stringify(event));
});

test('Replace removes the run that is under way, Forbid waits for it', async t => {
  const bench = newBench(t, { nowMs: START });
  await bench.start(context => [cronJobController(context)]);
  await create(bench, { concurrencyPolicy: 'Replace' });
  await toMinute(bench, 1);
  await toMinute(bench, 2);
  await until('only the second is there', async () => (await jobNames(bench)).join() === nameOf(2));
  const body = { spec: { concurrencyPolicy: 'Forbid' } };
  await bench.client.patch(kinds.cronjobs, KEY, { type: 'application/merge-patch+json', body });
  await toMinute(bench, 4);
  t.deepEqual(await jobNames(bench), [nameOf(2)]);
  t.true(bench.events.some(({ reason }) => reason === 'JobAlreadyActive'));
  await bench.client.delete(kinds.jobs, { namespace: 'n', name: nameOf(2) });
  await until('what was missed runs', async () => (await jobNames(bench)).join() === nameOf(4));
  t.true(bench.events.some(({ reason }) => reason === 'MissingJob'));
  if (knownEvents) for (const event of bench.events) t.true(isKnownEvent(event), JSON.stringify(event));
});

test('a run whose status was not written is neither forgotten nor started twice', async t => {
  const bench = newBench(t, { nowMs: START });
  const first = await bench.start(context => [cronJobController(context)]);
  bench.api.intercept = ({ method, path }) =>
    method === 'PUT' && path.endsWith('/status') ? new ApiError('ServiceUnavailable', 'no') : undefined;
  await create(bench);
  await toMinute(bench, 1);
  await until('the run is there', async () => (await jobNames(bench)).length === 1);
  await first.stop();
  bench.api.intercept = undefined;
  await bench.start(context => [cronJobController(context)]);
  const status = async () => (await bench.client.get(kinds.cronjobs, KEY)).status;
  await until('it is noted', async () => (await status())?.active?.length === 1);
  t.is((await status())?.lastScheduleTime, timestamp(START + MINUTE_MS));
  t.deepEqual(await jobNames(bench), [nameOf(1)]);
});

test('an old view in the cache starts nothing again', async t => {
  const bench = newBench(t, { nowMs: START });
  await create(bench);
  await bench.start(context => [cronJobController(context)]);
  // From here on the cache stands still; another leader starts this minute's run, and it ends and is removed.
  bench.api.intercept = ({ path }) =>
    path.includes('watch=true') ? new ApiError('ServiceUnavailable', 'no') : undefined;
  bench.api.interrupt();
  await bench.clock.advance(1000);
  const object = await bench.client.get(kinds.cronjobs, KEY);
  const status = { lastScheduleTime: timestamp(START + MINUTE_MS) };
  await bench.client.update(kinds.cronjobs, { ...object, status }, { subresource: 'status' });
  await toMinute(bench, 1);
  t.deepEqual(await jobNames(bench), []);
});

test('a namespace full to its quota is told of, and tried again', async t => {
  const bench = newBench(t, { nowMs: START });
  await bench.start(context => [cronJobController(context)]);
  const refusal = `jobs.batch "${nameOf(1)}" is forbidden: exceeded quota: nojobs, requested: count/jobs.batch=1, used: count/jobs.batch=7, limited: count/jobs.batch=0`;
  bench.api.intercept = ({ method, path }) =>
    method === 'POST' && path.endsWith('/jobs') ? new ApiError('Forbidden', refusal, { code: 403 }) : undefined;
  await create(bench);
  await toMinute(bench, 1);
  await until('it is told', () => bench.events.some(({ reason }) => reason === 'FailedCreate'));
  const told = bench.events.map(({ component, kind, type, reason, message }) => [
    component,
    kind,
    type,
    reason,
    message,
  ]);
  t.deepEqual(told[0], ['cronjob-controller', 'CronJob', 'Warning', 'FailedCreate', `Error creating job: ${refusal}`]);
  t.true(told.every(([, , , reason]) => reason === 'FailedCreate'));
  t.deepEqual(await jobNames(bench), []);
  if (knownEvents) for (const event of bench.events) t.true(isKnownEvent(event), JSON.stringify(event));
  bench.api.intercept = undefined;
  await bench.clock.advance(20_000);
  await until('it is made in the end', async () => (await jobNames(bench)).join() === nameOf(1));
  await until('that is told too', () => bench.events.some(({ reason }) => reason === 'SuccessfulCreate'));
  t.is(bench.events.at(-1)?.message, `Created job ${nameOf(1)}`);
  const { status } = await bench.client.get(kinds.cronjobs, KEY);
  t.deepEqual(
    [status?.active?.map(({ name }) => name), status?.lastScheduleTime],
    [[nameOf(1)], timestamp(START + MINUTE_MS)],
  );
});
