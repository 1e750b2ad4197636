/** The thread itself, with its controllers, beside an API server on a store in memory. */
import { Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { Registry } from 'prom-client';
import { until } from '../../test/helpers/run.ts';
import { createHarness, type Harness } from '../apiserver/testing/harness.ts';
import type { Clock } from '../client/clock.ts';
import { systemClock } from '../client/system-clock.ts';
import { createClusterSecrets } from '../pki/files.ts';
import { LeaderFigures, LeaderThreadError, type LeaderThreadOptions, runLeaderThread } from './leader-thread.ts';

const DEPLOYMENT = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web' },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'x:1' }] } },
  },
};

/** Time is up as soon as the present turn is over. */
const impatient: Clock = {
  now: () => Date.now(),
  setTimeout: run => {
    const immediate = setImmediate(run);
    return () => clearImmediate(immediate);
  },
};

async function start(t: ExecutionContext, more: Partial<LeaderThreadOptions['order']> = {}, clock?: Clock) {
  const figures = new LeaderFigures(systemClock);
  const harness = await createHarness({
    withRoles: true,
    overrides: { registry: new Registry(), moreMetrics: () => figures.text() },
  });
  const { authority, serviceAccountKey } = await createClusterSecrets({ nowMs: Date.now() });
  const stop = new AbortController();
  const running = runLeaderThread({
    order: {
      term: 1,
      identity: 'a_1',
      master: 'a',
      logLevel: 'silent',
      schedulerConfiguration: undefined,
      controllers: {
        clusterCidr: '10.42.0.0/16',
        reservedPorts: [],
        balancesServices: true,
        routesIngresses: true,
        nodeHealth: {},
        legacyTokenUnusedMs: undefined,
      },
      signing: { authority, serviceAccountKey, issuer: 'https://issuer' },
      ...more,
    },
    apiServer: harness.server,
    ready: Promise.resolve(),
    signal: stop.signal,
    clock: clock ?? systemClock,
    defer: call => void setImmediate(call),
    figures,
  });
  t.teardown(async () => {
    stop.abort();
    await running.catch(() => {});
    await harness.close();
  });
  return { harness, stop, running };
}

const PODS = '/api/v1/namespaces/default/pods';
const podCount = async ({ call }: Harness): Promise<number> => (await call('GET', PODS)).body.items.length;

test('controllers and scheduler work in the thread, under the term, until the leadership is over', async t => {
  t.timeout(60_000);
  const { harness, stop, running } = await start(t);
  const frames = harness.watch(`${PODS}?watch=true`, stop.signal);
  await harness.create('/api/v1/nodes', {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n' },
    status: { allocatable: { cpu: '4', memory: '4Gi', pods: '10' }, conditions: [{ type: 'Ready', status: 'True' }] },
  } as never);
  await harness.create('/apis/apps/v1/namespaces/default/deployments', DEPLOYMENT as never);
  const bound = new Set<string>();
  for await (const { object } of frames) {
    if (object.spec.nodeName === 'n') bound.add(object.metadata.name);
    if (bound.size === DEPLOYMENT.spec.replicas) break;
  }
  const { text } = await harness.call('GET', '/metrics');
  t.regex(text, /^scheduler_schedule_attempts_total\{result="scheduled",profile="default-scheduler"\} 2$/m);
  t.regex(text, /^workqueue_depth\{name="deployment-controller"\} 0$/m);
  const { body: lease } = await harness.call(
    'GET',
    '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler',
  );
  t.is(lease.spec.holderIdentity, 'a_1');
  // Another leads: what this one would still do is refused.
  harness.store.setTerm(2);
  await harness.call('DELETE', `${PODS}/${[...bound][0]}?gracePeriodSeconds=0`);
  await until('a write that is refused', async () =>
    /^raftsman_fenced_writes_total [1-9]/m.test((await harness.call('GET', '/metrics')).text),
  );
  t.is(await podCount(harness), 1, 'nobody replaced it');
  stop.abort();
  await t.notThrowsAsync(running);
  t.notRegex((await harness.call('GET', '/metrics')).text, /^workqueue_depth/m, 'a master that does not lead has none');
});

test('a thread that ends by itself ends the leader’s work with the reason', async t => {
  t.timeout(60_000);
  const { running } = await start(t, { schedulerConfiguration: 'kind: Nonsense' });
  await t.throwsAsync(running, { instanceOf: LeaderThreadError, message: /kind: Invalid input/ });
});

test('a thread that does not stop in time is ended', async t => {
  t.timeout(60_000);
  const { stop, running } = await start(t, {}, impatient);
  stop.abort();
  await t.notThrowsAsync(running);
});

test('a scrape does without a thread that is too busy to answer, and without one that has ended', async t => {
  const worker = new Worker("require('node:worker_threads').parentPort.on('message', () => {})", { eval: true });
  t.teardown(() => worker.terminate());
  const figures = new LeaderFigures(impatient);
  t.is(await figures.text(), '');
  figures.follow(worker);
  t.is(await figures.text(), '');
  t.is(worker.listenerCount('message'), 0, 'nobody waits for what comes too late');
});
