import test from 'ava';
import { events as eventsKind, nodes as nodesKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Pod, PodSpec } from '../api/generated/types.ts';
import { silentLogger } from '../client/logger.ts';
import { RestClient } from '../client/rest.ts';
import { systemClock } from '../client/system-clock.ts';
import { ManualClock } from '../client/testing/manual-clock.ts';
import { MemoryApi } from '../client/testing/memory-api.ts';
import { until } from '../client/testing/until.ts';
import { runScheduler } from './scheduler.ts';

function setup(clock = new ManualClock()) {
  const api = new MemoryApi(clock);
  const client = new RestClient({ transport: api, clock, userAgent: 'test' });
  const stop = new AbortController();
  const start = () =>
    runScheduler({ client, clock, random: () => 0.5, logger: silentLogger, signal: stop.signal, identity: 'master-1' });
  const addNode = (name: string, cpu = '8') =>
    client.create(nodesKind, {
      metadata: { name, labels: { name } },
      status: { allocatable: { cpu, memory: '32Gi', pods: '110' } },
    });
  const addPod = (name: string, spec: Partial<PodSpec> = {}) =>
    client.create(podsKind, { metadata: { name, namespace: 'n' }, spec: { containers: [{ name: 'c' }], ...spec } });
  const get = (name: string) => client.get(podsKind, { namespace: 'n', name });
  const nodeOf = async (name: string) => (await get(name)).spec?.nodeName;
  const condition = (pod: Pod) => pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  const eventsOf = async (name: string) =>
    (await client.list(eventsKind)).items.filter(({ involvedObject }) => involvedObject.name === name);
  return { clock, api, client, stop, start, addNode, addPod, get, nodeOf, condition, eventsOf };
}

test('binds a pod and says so', async t => {
  const { stop, start, addNode, addPod, nodeOf, eventsOf } = setup();
  await addNode('a');
  const running = start();
  await addPod('p');
  await until('p has a node', async () => (await nodeOf('p')) === 'a');
  await until('the event', async () => (await eventsOf('p')).length === 1);
  const [event] = await eventsOf('p');
  t.like(event, {
    reason: 'Scheduled',
    type: 'Normal',
    action: 'Binding',
    message: 'Successfully assigned n/p to a',
    reportingComponent: 'default-scheduler',
    reportingInstance: 'default-scheduler-master-1',
    source: {},
  });
  t.regex(event?.eventTime ?? '', /\.\d{6}Z$/);
  stop.abort();
  await running;
});

test('a pod that fits nowhere says why and is tried again when a node comes', async t => {
  const { clock, stop, start, addNode, addPod, get, nodeOf, condition, eventsOf } = setup();
  await addNode('small', '1');
  const running = start();
  await addPod('p', { containers: [{ name: 'c', resources: { requests: { cpu: '2' } } }] });
  await until('the condition', async () => condition(await get('p'))?.status === 'False');
  const message =
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.';
  t.like(condition(await get('p')), { reason: 'Unschedulable', message });
  await until('the event', async () => (await eventsOf('p')).some(({ reason }) => reason === 'FailedScheduling'));
  await addNode('large', '4');
  await until('p has a node', async () => {
    await clock.advance(1000);
    return (await nodeOf('p')) === 'large';
  });
  stop.abort();
  await running;
});

test('leaves alone pods that are gated, of another scheduler, or placed', async t => {
  const { stop, start, addNode, addPod, nodeOf, client } = setup();
  await addNode('a');
  await addPod('gated', { schedulingGates: [{ name: 'x.io/g' }] });
  await addPod('foreign', { schedulerName: 'mine' });
  const running = start();
  await addPod('ours');
  await until('ours has a node', async () => (await nodeOf('ours')) === 'a');
  t.is(await nodeOf('gated'), undefined);
  t.is(await nodeOf('foreign'), undefined);
  await client.patch(
    podsKind,
    { namespace: 'n', name: 'gated' },
    { type: 'application/merge-patch+json', body: { spec: { schedulingGates: null } } },
  );
  await until('the gate is gone', async () => (await nodeOf('gated')) === 'a');
  stop.abort();
  await running;
});

test('room that is taken counts at once: no node is given away twice', async t => {
  const { stop, start, addNode, addPod, client } = setup();
  for (const name of ['a', 'b']) await addNode(name, '2');
  const spec = { containers: [{ name: 'c', resources: { requests: { cpu: '1' } } }] };
  for (let index = 0; index < 10; index++) await addPod(`p${index}`, spec);
  const running = start();
  const placed = async () =>
    (await client.list(podsKind)).items.filter(({ spec: { nodeName } = {} as PodSpec }) => nodeName);
  await until('four pods are placed', async () => (await placed()).length >= 4);
  const perNode = Object.groupBy(await placed(), pod => pod.spec?.nodeName ?? '');
  t.deepEqual([perNode.a?.length, perNode.b?.length], [2, 2]);
  stop.abort();
  await running;
});

test('a refused binding is taken back and tried again', async t => {
  const { clock, api, stop, start, addNode, addPod, nodeOf } = setup();
  await addNode('a', '1');
  let refusals = 0;
  api.intercept = ({ path }) => {
    if (!path.endsWith('/binding') || refusals++ > 0) return undefined;
    throw new Error('connection lost');
  };
  const running = start();
  await addPod('p', { containers: [{ name: 'c', resources: { requests: { cpu: '1' } } }] });
  await until('p has a node', async () => {
    await clock.advance(500);
    return (await nodeOf('p')) === 'a';
  });
  t.true(refusals >= 2);
  stop.abort();
  await running;
});

test('schedules hundreds of pods a second (the goal is 300; a busy machine is given a third)', async t => {
  const { api, stop, start, addNode, addPod, client } = setup(systemClock as unknown as ManualClock);
  for (let index = 0; index < 50; index++) await addNode(`n${index}`, '64');
  const total = 1000;
  for (let index = 0; index < total; index++) await addPod(`p${index}`);
  const startedMs = performance.now();
  const running = start();
  const bound = () => api.requests.filter(({ path }) => path.endsWith('/binding')).length;
  await until('all are bound', () => bound() >= total, 60_000);
  const perSecond = total / ((performance.now() - startedMs) / 1000);
  t.log(`${Math.round(perSecond)} pods/s`);
  t.true(perSecond > 100, `${perSecond} pods/s`);
  t.is((await client.list(podsKind)).items.filter(({ spec }) => spec?.nodeName).length, total);
  stop.abort();
  await running;
});
