import test from 'ava';
import {
  events as eventsKind,
  nodes as nodesKind,
  persistentvolumeclaims,
  persistentvolumes,
  pods as podsKind,
  storageclasses,
} from '../api/generated/kinds.ts';
import type { Pod, PodSpec } from '../api/generated/types.ts';
import { silentLogger } from '../client/logger.ts';
import { RestClient } from '../client/rest.ts';
import { systemClock } from '../client/system-clock.ts';
import { ManualClock } from '../client/testing/manual-clock.ts';
import { MemoryApi } from '../client/testing/memory-api.ts';
import { until } from '../client/testing/until.ts';
import { parseSchedulerConfiguration } from './configuration.ts';
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

test('without nodes there is nothing to be nominated for, and nothing is promised any more', async t => {
  const { stop, start, addPod, get, condition, client } = setup();
  await addPod('p');
  const patch = { type: 'application/merge-patch+json', body: { status: { nominatedNodeName: 'gone' } } } as const;
  await client.patch(podsKind, { namespace: 'n', name: 'p' }, patch, { subresource: 'status' });
  const running = start();
  await until('the condition', async () => condition(await get('p'))?.status === 'False');
  t.like(condition(await get('p')), { reason: 'Unschedulable', message: 'no nodes available to schedule pods' });
  t.is((await get('p')).status?.nominatedNodeName, undefined);
  stop.abort();
  await running;
});

test('an event has room for 1024 characters; the condition says all', async t => {
  const { stop, start, client, addPod, get, condition, eventsOf } = setup();
  for (let index = 0; index < 30; index++) {
    await client.create(nodesKind, {
      metadata: { name: `n${index}` },
      spec: { taints: [{ key: `a-taint-with-a-long-name-${index}`, value: 'x'.repeat(20), effect: 'NoSchedule' }] },
      status: { allocatable: { cpu: '8', memory: '32Gi', pods: '110' } },
    });
  }
  const running = start();
  await addPod('p');
  await until('the event', async () => (await eventsOf('p')).length === 1);
  const message = condition(await get('p'))?.message ?? '';
  t.true(message.endsWith('30 Preemption is not helpful for scheduling.'));
  t.is((await eventsOf('p'))[0]?.message, `${message.slice(0, 1020)} ...`);
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
  const { clock, api, stop, start, addNode, addPod, nodeOf, eventsOf } = setup();
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
  const told = (await eventsOf('p')).map(({ reason, message }) => [reason, message]);
  t.deepEqual(told[0], ['FailedScheduling', 'running Bind plugin "DefaultBinder": connection lost']);
  stop.abort();
  await running;
});

const asking = (cpu: string, more: Partial<PodSpec> = {}): Partial<PodSpec> => ({
  containers: [{ name: 'c', resources: { requests: { cpu } } }],
  ...more,
});

test('a pod of higher priority has others evicted, says so, and gets their place', async t => {
  const { clock, stop, start, addNode, addPod, get, nodeOf, condition, eventsOf, client } = setup();
  await addNode('a', '2');
  const running = start();
  await addPod('low', { ...asking('2'), priority: 1 });
  await until('low is placed', async () => (await nodeOf('low')) === 'a');
  // With a finalizer it stays a while, and what was written to it can be seen.
  await client.patch(
    podsKind,
    { namespace: 'n', name: 'low' },
    { type: 'application/merge-patch+json', body: { metadata: { finalizers: ['x.io/keep'] } } },
  );
  const high = await addPod('high', { ...asking('2'), priority: 5 });
  await until('low is leaving', async () => (await get('low')).metadata?.deletionTimestamp !== undefined);
  t.like(
    (await get('low')).status?.conditions?.find(({ type }) => type === 'DisruptionTarget'),
    {
      status: 'True',
      reason: 'PreemptionByScheduler',
      message: 'default-scheduler: preempting to accommodate a higher priority pod',
    },
  );
  t.is((await get('high')).status?.nominatedNodeName, 'a');
  t.is(condition(await get('high'))?.message, '0/1 nodes are available: 1 Insufficient cpu.');
  await until('the event', async () => (await eventsOf('low')).some(({ reason }) => reason === 'Preempted'));
  t.like(
    (await eventsOf('low')).find(({ reason }) => reason === 'Preempted'),
    {
      type: 'Normal',
      action: 'Preempting',
      message: `Preempted by pod ${high.metadata?.uid} on node a`,
      related: { kind: 'Pod', name: 'high' },
    },
  );
  // The room is promised: somebody who comes in between does not get it.
  await addPod('late', { ...asking('1'), priority: 1 });
  await client.patch(
    podsKind,
    { namespace: 'n', name: 'low' },
    { type: 'application/merge-patch+json', body: { metadata: { finalizers: null } } },
  );
  await until('high is placed', async () => {
    await clock.advance(1000);
    return (await nodeOf('high')) === 'a';
  });
  t.is(await nodeOf('late'), undefined);
  stop.abort();
  await running;
});

test('room that was promised and is not any more wakes those it was kept from', async t => {
  const { clock, stop, start, addNode, addPod, get, nodeOf, condition, client } = setup();
  const merge = (name: string, body: object, subresource?: 'status') =>
    client.patch(
      podsKind,
      { namespace: 'n', name },
      { type: 'application/merge-patch+json', body },
      subresource ? { subresource } : {},
    );
  await addNode('a', '4');
  const running = start();
  await addPod('low', { ...asking('3'), priority: 1 });
  await until('low is placed', async () => (await nodeOf('low')) === 'a');
  await merge('low', { metadata: { finalizers: ['x.io/keep'] } });
  await addPod('high', { ...asking('4'), priority: 5 });
  await until('low is leaving', async () => (await get('low')).metadata?.deletionTimestamp !== undefined);
  // There is room for it beside the pod that is leaving, but that is promised.
  await addPod('late', { ...asking('1'), priority: 1 });
  await until('late was refused', async () => condition(await get('late'))?.status === 'False');
  await clock.advance(20_000);
  t.is(await nodeOf('late'), undefined);
  await merge('high', { status: { nominatedNodeName: null } }, 'status');
  await until('late is placed', async () => {
    await clock.advance(1000);
    return (await nodeOf('late')) === 'a';
  });
  stop.abort();
  await running;
});

const WAITING_CLASS = {
  metadata: { name: 'wait' },
  provisioner: 'x.io/p',
  volumeBindingMode: 'WaitForFirstConsumer',
};
const using = (claimName: string): Partial<PodSpec> => ({
  containers: [{ name: 'c' }],
  volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }],
});
const claim = (name: string) => ({
  metadata: { name, namespace: 'n' },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'wait',
    resources: { requests: { storage: '1Gi' } },
  },
});
const BOUND = { metadata: { annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } }, spec: { volumeName: 'pv' } };

test('a claim that waits is given a free volume of the node, and its pod is bound once the claim is', async t => {
  const { stop, start, addNode, addPod, nodeOf, client } = setup();
  for (const name of ['a', 'b']) await addNode(name);
  await client.create(storageclasses, WAITING_CLASS);
  await client.create(persistentvolumes, {
    metadata: { name: 'pv' },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'wait',
      nodeAffinity: {
        required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'name', operator: 'In', values: ['b'] }] }] },
      },
    },
    status: { phase: 'Available' },
  });
  const { metadata } = await client.create(persistentvolumeclaims, claim('c'));
  const running = start();
  await addPod('p', { ...using('c'), nodeSelector: { name: 'b' } });
  const volume = () => client.get(persistentvolumes, { name: 'pv' });
  await until('the volume is reserved', async () => (await volume()).spec?.claimRef !== undefined);
  t.like((await volume()).spec?.claimRef, {
    kind: 'PersistentVolumeClaim',
    namespace: 'n',
    name: 'c',
    uid: metadata?.uid,
  });
  t.is((await volume()).metadata?.annotations?.['pv.kubernetes.io/bound-by-controller'], 'yes');
  t.is(await nodeOf('p'), undefined);
  const patch = { type: 'application/merge-patch+json', body: BOUND } as const;
  await client.patch(persistentvolumeclaims, { namespace: 'n', name: 'c' }, patch);
  await until('p has a node', async () => (await nodeOf('p')) === 'b');
  stop.abort();
  await running;
});

test('a claim without a volume is marked with the node; when that fails, the pod is tried anew', async t => {
  const { clock, stop, start, addNode, addPod, get, nodeOf, condition, client } = setup();
  await addNode('a');
  await client.create(storageclasses, WAITING_CLASS);
  await client.create(persistentvolumeclaims, claim('c'));
  const running = start();
  await addPod('p', using('c'));
  const key = { namespace: 'n', name: 'c' };
  const selected = async () =>
    (await client.get(persistentvolumeclaims, key)).metadata?.annotations?.['volume.kubernetes.io/selected-node'];
  await until('the claim is marked', async () => (await selected()) === 'a');
  const patch = (body: object) =>
    client.patch(persistentvolumeclaims, key, { type: 'application/merge-patch+json', body });
  // The provisioner gives up.
  await patch({ metadata: { annotations: { 'volume.kubernetes.io/selected-node': null } } });
  await until('the failure is told', async () => condition(await get('p'))?.reason === 'SchedulerError');
  t.is(
    condition(await get('p'))?.message,
    'running PreBind plugin "VolumeBinding": binding volumes: provisioning failed for PVC "c"',
  );
  await until('the claim is marked again', async () => {
    await clock.advance(1000);
    return (await selected()) === 'a';
  });
  await patch(BOUND);
  await until('p has a node', async () => (await nodeOf('p')) === 'a');
  stop.abort();
  await running;
});

test('several schedulers’ pods by one process, each by its own rules and under its own name', async t => {
  const { stop, addNode, addPod, nodeOf, eventsOf, client, clock } = setup();
  for (const name of ['a', 'b']) await addNode(name);
  const configuration = parseSchedulerConfiguration(`
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
  - {}
  - schedulerName: packing
    pluginConfig: [{ name: NodeResourcesFit, args: { scoringStrategy: { type: MostAllocated, resources: [{ name: cpu }] } } }]
`);
  const options = { client, clock, random: () => 0.5, logger: silentLogger, signal: stop.signal, identity: 'm' };
  const running = runScheduler({ ...options, configuration });
  await addPod('first', { ...asking('2'), nodeSelector: { name: 'a' } });
  await until('first has a node', async () => (await nodeOf('first')) === 'a');
  await addPod('spread', asking('2'));
  await until('spread has a node', async () => (await nodeOf('spread')) === 'b');
  await addPod('more', { ...asking('1'), nodeSelector: { name: 'a' } });
  await until('more has a node', async () => (await nodeOf('more')) === 'a');
  await addPod('packed', { ...asking('2'), schedulerName: 'packing' });
  await until('packed has a node', async () => (await nodeOf('packed')) === 'a');
  await until('the event', async () => (await eventsOf('packed')).length === 1);
  t.is((await eventsOf('packed'))[0]?.reportingComponent, 'packing');
  stop.abort();
  await running;
});

// First and alone: it takes the thread that the others' deadlines need.
test.serial('schedules hundreds of pods a second of one core, the API of this test counted in', async t => {
  const { api, stop, start, addNode, addPod, client } = setup(systemClock as unknown as ManualClock);
  for (let index = 0; index < 50; index++) await addNode(`n${index}`, '64');
  const total = 1000;
  for (let index = 0; index < total; index++) await addPod(`p${index}`);
  const before = process.threadCpuUsage();
  const running = start();
  const bound = () => api.requests.filter(({ path }) => path.endsWith('/binding')).length;
  await until('all are bound', () => bound() >= total, 60_000);
  const { user, system } = process.threadCpuUsage(before);
  const perSecond = (total / (user + system)) * 1_000_000;
  t.log(`${Math.round(perSecond)} pods/s`);
  t.true(perSecond > 100, `${perSecond} pods/s`);
  t.is((await client.list(podsKind)).items.filter(({ spec }) => spec?.nodeName).length, total);
  stop.abort();
  await running;
});
