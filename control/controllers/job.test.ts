import test from 'ava';
import * as kinds from '../api/generated/kinds.ts';
import type { Job, JobSpec, Pod } from '../api/generated/types.ts';
import { ApiError } from '../api/status.ts';
import { timestamp } from '../client/clock.ts';
import { until } from '../client/testing/until.ts';
import { jobController } from './job.ts';
import { isTracked } from './job-pods.ts';
import { jobTrackingController } from './job-tracking.ts';
import { ttlController } from './job-ttl.ts';
import { type Bench, newBench } from './testing/bench.ts';
import { isKnownEvent, knownEvents } from './testing/known-events.ts';

const KEY = { namespace: 'n', name: 'j' };
const SELECTOR = { 'batch.kubernetes.io/controller-uid': 'j' };

async function create({ client }: Bench, spec: Partial<JobSpec> = {}): Promise<void> {
  await client.create(kinds.jobs, {
    metadata: { name: 'j', namespace: 'n' },
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 6,
      selector: { matchLabels: SELECTOR },
      template: { metadata: { labels: SELECTOR }, spec: { restartPolicy: 'Never', containers: [{ name: 'c' }] } },
      ...spec,
    },
  });
}
const podsOf = async ({ client }: Bench) => (await client.list(kinds.pods)).items;
const jobOf = ({ client }: Bench) => client.get(kinds.jobs, KEY);
const patchJob = ({ client }: Bench, spec: Partial<JobSpec>) =>
  client.patch(kinds.jobs, KEY, { type: 'application/merge-patch+json', body: { spec } });
async function end({ client, clock }: Bench, pod: Pod, phase: string, exitCode = 0): Promise<void> {
  const { namespace = '', name = '' } = pod.metadata ?? {};
  const terminated = { exitCode, finishedAt: timestamp(clock.now()) };
  const body = { status: { phase, containerStatuses: [{ name: 'c', state: { terminated } }] } };
  const patch = { type: 'application/merge-patch+json', body } as const;
  await client.patch(kinds.pods, { namespace, name }, patch, { subresource: 'status' });
}
const start = (bench: Bench) =>
  bench.start(context => [jobController(context), jobTrackingController(context), ttlController(context)]);
const conditionsOf = ({ status }: Job) => (status?.conditions ?? []).map(({ type }) => type);
const isFinished = async (bench: Bench) => conditionsOf(await jobOf(bench)).some(type => /Complete|Failed/.test(type));
async function podCount(bench: Bench, count: number): Promise<readonly Pod[]> {
  await until(`${count} pods`, async () => (await podsOf(bench)).length === count);
  return podsOf(bench);
}
const allKnown = (bench: Bench) => bench.events.filter(event => knownEvents && !isKnownEvent(event));

test('pods are tracked until the status holds their end; the events are those of Kubernetes', async t => {
  const bench = newBench(t);
  await start(bench);
  await create(bench, { completions: 2, parallelism: 2, ttlSecondsAfterFinished: 10 });
  const pods = await podCount(bench, 2);
  t.true(pods.every(isTracked));
  for (const pod of pods) await end(bench, pod, 'Succeeded');
  await until('it is complete', () => isFinished(bench));
  const { status } = await jobOf(bench);
  t.like(status, { succeeded: 2, ready: 0, terminating: 0, uncountedTerminatedPods: {} });
  t.true((await podsOf(bench)).every(pod => !isTracked(pod)));
  t.deepEqual(
    bench.events.map(({ reason }) => reason),
    ['SuccessfulCreate', 'SuccessfulCreate', 'Completed'],
  );
  t.deepEqual(allKnown(bench), []);
  await bench.clock.advance(11_000);
  await until('its time to live is over', async () => (await jobOf(bench)).metadata?.deletionTimestamp !== undefined);
});

const ENDS: readonly (readonly [string, Partial<JobSpec>, number, number])[] = [
  ['BackoffLimitExceeded', { backoffLimit: 0 }, 1, 1],
  [
    'PodFailurePolicy',
    { podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [1] } }] } },
    1,
    1,
  ],
  ['FailedIndexes', { completionMode: 'Indexed', backoffLimitPerIndex: 0, backoffLimit: 99 }, 1, 1],
  [
    'MaxFailedIndexesExceeded',
    {
      completionMode: 'Indexed',
      completions: 3,
      parallelism: 3,
      backoffLimitPerIndex: 0,
      maxFailedIndexes: 0,
      backoffLimit: 99,
    },
    3,
    1,
  ],
  ['DeadlineExceeded', { activeDeadlineSeconds: 3 }, 1, 0],
];
for (const [reason, spec, count, failures] of ENDS) {
  test(`fails with ${reason}`, async t => {
    const bench = newBench(t);
    await start(bench);
    await create(bench, spec);
    const pods = await podCount(bench, count);
    for (const pod of pods.slice(0, failures)) await end(bench, pod, 'Failed', 1);
    if (failures === 0) await bench.clock.advance(3000);
    await until('it has failed', () => isFinished(bench));
    t.deepEqual(conditionsOf(await jobOf(bench)), ['FailureTarget', 'Failed']);
    t.is((await jobOf(bench)).status?.failed, count);
    t.is(bench.events.at(-1)?.reason, reason);
    t.deepEqual(allKnown(bench), []);
    t.false((await podsOf(bench)).some(isTracked));
  });
}

test('suspended, resumed, and with fewer at once', async t => {
  const bench = newBench(t);
  await start(bench);
  await create(bench, { parallelism: 3, completions: 3, suspend: true });
  await until('it is suspended', async () => conditionsOf(await jobOf(bench)).includes('Suspended'));
  await patchJob(bench, { suspend: false });
  await podCount(bench, 3);
  await patchJob(bench, { parallelism: 1 });
  await podCount(bench, 1);
  await patchJob(bench, { suspend: true });
  await podCount(bench, 0);
  t.is((await jobOf(bench)).status?.failed, undefined);
  t.deepEqual(
    new Set(bench.events.map(({ reason }) => reason)),
    new Set(['Suspended', 'SuccessfulCreate', 'Resumed', 'SuccessfulDelete']),
  );
  t.deepEqual(allKnown(bench), []);
});

test('counts stay exact when the controller is replaced wherever a write fails', async t => {
  for (let writes = 0; writes < 14; writes++) {
    const bench = newBench(t);
    const first = await start(bench);
    await create(bench, { completions: 3, parallelism: 3, backoffLimit: 5 });
    const [one, two, three] = await podCount(bench, 3);
    if (!one || !two || !three) return t.fail();
    let left = writes;
    const isOwn = (path: string, method: string) => method !== 'GET' && /jobs\/j\/status|\/pods/.test(path);
    bench.api.intercept = ({ path, method, body }) =>
      isOwn(path, method) && !String(body).includes('containerStatuses') && left-- <= 0
        ? new ApiError('InternalError', 'no')
        : undefined;
    await end(bench, one, 'Succeeded');
    await end(bench, two, 'Failed', 1);
    await bench.clock.advance(5);
    await first.stop();
    bench.api.intercept = undefined;
    await start(bench);
    await end(bench, three, 'Succeeded');
    await bench.clock.advance(20_000);
    const last = (await podCount(bench, 4)).find(({ status }) => !status?.phase);
    if (!last) return t.fail();
    await end(bench, last, 'Succeeded');
    await until('it is complete', () => isFinished(bench));
    t.like((await jobOf(bench)).status, { succeeded: 3, failed: 1, uncountedTerminatedPods: {} }, `${writes} writes`);
  }
});

test('a pod that was counted and let go of is not replaced because the watch of Jobs is behind', async t => {
  const bench = newBench(t);
  await start(bench);
  await create(bench);
  const [pod] = await podCount(bench, 1);
  if (!pod) return t.fail();
  await until('the Job counts it', async () => (await jobOf(bench)).status?.active === 1);
  await bench.clock.advance(1000);
  bench.api.hold('jobs');
  await end(bench, pod, 'Succeeded');
  await until('it is let go of', async () => !(await podsOf(bench)).some(isTracked));
  await bench.clock.advance(5000);
  t.is((await podsOf(bench)).length, 1);
  bench.api.resume('jobs');
  await until('it is complete', () => isFinished(bench));
});

test('orphans are taken in and tracked, strangers are let go of, and a Job that is gone holds nothing', async t => {
  const bench = newBench(t);
  const { client } = bench;
  await start(bench);
  await create(bench, { completions: 2, parallelism: 2 });
  const [one, two] = await podCount(bench, 2);
  const nameOf = (pod: Pod | undefined) => ({ namespace: 'n', name: pod?.metadata?.name ?? '' });
  const merge = (pod: Pod | undefined, metadata: object) =>
    client.patch(kinds.pods, nameOf(pod), { type: 'application/merge-patch+json', body: { metadata } });
  const get = (pod: Pod | undefined) => client.get(kinds.pods, nameOf(pod));
  await merge(one, { ownerReferences: null });
  await until('it is adopted again', async () => (await get(one)).metadata?.ownerReferences?.length === 1);
  await until('and tracked', async () => isTracked(await get(one)));
  await merge(two, { labels: null });
  await until('it is released', async () => {
    const pod = await get(two);
    return pod.metadata?.ownerReferences === undefined && !isTracked(pod);
  });
  await until('it is replaced', async () => (await podsOf(bench)).length === 3);
  await client.delete(kinds.jobs, KEY);
  await until('no pod is tracked', async () => !(await podsOf(bench)).some(isTracked));
  t.is((await podsOf(bench)).length, 3);
});

test('a Job of another manager is not touched', async t => {
  const bench = newBench(t);
  await start(bench);
  await create(bench, { managedBy: 'example.com/other' });
  await bench.clock.advance(1000);
  t.deepEqual([await podsOf(bench), (await jobOf(bench)).status], [[], undefined]);
});

test('a full namespace is told of', async t => {
  const bench = newBench(t);
  const message = 'pods "j-x" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1';
  bench.api.intercept = ({ method, path }) =>
    method === 'POST' && path.endsWith('/pods') ? new ApiError('Forbidden', message) : undefined;
  await start(bench);
  await create(bench);
  await until('it is told', () => bench.events.length > 0);
  t.is(bench.events[0]?.reason, 'FailedCreate');
  t.deepEqual(allKnown(bench), []);
});
