/** What the conformance suite of Kubernetes v1.33 demands of the scheduler and of limit ranges ([sig-scheduling]). */
import test from 'ava';
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Pod, ReplicaSet } from '../../control/api/generated/types.ts';
import type { KubernetesObject } from '../../control/api/kind.ts';
import { hasReason } from '../../control/api/status.ts';
import { type ControlPlane, createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';

const RESOURCE = 'scheduling.k8s.io/foo';
const HOST = 'kubernetes.io/hostname';

interface Wish {
  readonly amount?: string;
  readonly priority?: string;
  readonly node?: string;
  readonly cpu?: string;
}
const wished = ({ amount, priority, node, cpu }: Wish): NonNullable<Pod['spec']> => {
  const requests = { ...(amount && { [RESOURCE]: amount }), ...(cpu && { cpu }) };
  return {
    containers: [{ name: 'c', image: 'pause', resources: { requests, limits: requests } }],
    ...(priority && { priorityClassName: priority }),
    ...(node && { nodeSelector: { [HOST]: node } }),
  };
};
const createPod = (plane: ControlPlane, name: string, wish: Wish, metadata: object = {}, namespace = NAMESPACE) =>
  plane.client.create(kinds.pods, { metadata: { name, namespace, ...metadata }, spec: wished(wish) });
const runs = (plane: ControlPlane, name: string) =>
  plane.becomes(kinds.pods, name, 'runs', ({ status }) => status?.phase === 'Running');
const isGoing = async (plane: ControlPlane, name: string) => {
  try {
    return (await plane.get(kinds.pods, name)).metadata?.deletionTimestamp !== undefined;
  } catch (error) {
    if (hasReason(error, 'NotFound')) return true;
    throw error;
  }
};
const tellsUnschedulable = (plane: ControlPlane, name: string) =>
  plane.becomes(
    kinds.pods,
    name,
    'is unschedulable',
    ({ status, spec }) =>
      !spec?.nodeName &&
      (status?.conditions ?? []).some(({ type, reason }) => type === 'PodScheduled' && reason === 'Unschedulable'),
  );
/** As an agent tells it once somebody has written it into the capacity. */
const advertise = (plane: ControlPlane, name: string, amount: string) =>
  plane.client.patch(
    kinds.nodes,
    { name },
    {
      type: 'application/strategic-merge-patch+json',
      body: { status: { capacity: { [RESOURCE]: amount }, allocatable: { [RESOURCE]: amount } } },
    },
    { subresource: 'status' },
  );
async function withPriorities(plane: ControlPlane, priorities: Readonly<Record<string, number>>) {
  for (const [name, value] of Object.entries(priorities))
    await plane.client.create(kinds.priorityclasses, { metadata: { name }, value });
}
const LEVELS = { low: 1, medium: 100, high: 1000 };

for (const [what, preemptor] of [
  ['a pod of high priority', { name: 'preemptor', namespace: NAMESPACE, priority: 'high' }],
  ['a critical pod of the system', { name: 'critical', namespace: 'kube-system', priority: 'system-cluster-critical' }],
] as const) {
  test(`${what} takes the place of one of low priority, and of no other`, async t => {
    const plane = await createControlPlane(t, ['a', 'b']);
    await withPriorities(plane, LEVELS);
    for (const node of ['a', 'b']) await advertise(plane, node, '3');
    await createPod(plane, 'pod-a', { amount: '2', priority: 'low', node: 'a' });
    await createPod(plane, 'pod-b', { amount: '2', priority: 'medium', node: 'b' });
    await runs(plane, 'pod-a');
    await runs(plane, 'pod-b');
    const { name, namespace, priority } = preemptor;
    await createPod(plane, name, { amount: '2', priority }, {}, namespace);
    await until(
      'the preemptor runs',
      async () => (await plane.client.get(kinds.pods, { namespace, name })).status?.phase === 'Running',
    );
    t.true(await isGoing(plane, 'pod-a'));
    t.false(await isGoing(plane, 'pod-b'));
  });
}

test('a pod that makes room says why it goes', async t => {
  const plane = await createControlPlane(t, ['a']);
  await withPriorities(plane, LEVELS);
  await advertise(plane, 'a', '1');
  await createPod(plane, 'victim', { amount: '1', priority: 'low' }, { finalizers: ['example.com/test-finalizer'] });
  await runs(plane, 'victim');
  await createPod(plane, 'preemptor', { amount: '1', priority: 'high' });
  await plane.becomes(kinds.pods, 'victim', 'is going', ({ metadata }) => metadata?.deletionTimestamp !== undefined);
  const { status } = await plane.get(kinds.pods, 'victim');
  t.like(
    status?.conditions?.find(({ type }) => type === 'DisruptionTarget'),
    { status: 'True', reason: 'PreemptionByScheduler' },
  );
  await plane.patch(kinds.pods, 'victim', { metadata: { finalizers: null } });
});

test('of three ReplicaSets only as many pods make room as are needed', async t => {
  const plane = await createControlPlane(t, ['a']);
  await withPriorities(plane, { p1: 1, p2: 2, p3: 3, p4: 4 });
  await advertise(plane, 'a', '1000');
  const seen = [new Set<string>(), new Set<string>(), new Set<string>()];
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const frames = plane.api.watch(`/api/v1/namespaces/${NAMESPACE}/pods?watch=true`, stop.signal);
  const watching = (async () => {
    for await (const { type, object } of frames) {
      const index = Number(/^rs-pod(\d)-/.exec(object.metadata.name)?.[1]) - 1;
      if (type === 'ADDED') seen[index]?.add(object.metadata.uid);
    }
  })().catch(() => {});
  for (const [index, amount] of ['200', '300', '450'].entries()) {
    const name = `pod${index + 1}`;
    const set: ReplicaSet = {
      metadata: { name: `rs-${name}`, namespace: NAMESPACE },
      spec: {
        replicas: 1,
        selector: { matchLabels: { name } },
        template: { metadata: { labels: { name } }, spec: wished({ amount, priority: `p${index + 1}`, node: 'a' }) },
      },
    };
    await plane.client.create(kinds.replicasets, set);
    await plane.becomes(kinds.replicasets, `rs-${name}`, 'is up', ({ status }) => status?.availableReplicas === 1);
  }
  await createPod(plane, 'pod4', { amount: '500', priority: 'p4', node: 'a' });
  await plane.becomes(kinds.pods, 'pod4', 'has a node', ({ spec }) => spec?.nodeName === 'a');
  await until('the others were made again', () => seen[0]?.size === 2 && seen[1]?.size === 2);
  await tellsUnschedulable(plane, [...(await plane.list(kinds.pods, 'name=pod1'))].at(-1)?.metadata?.name ?? '');
  t.deepEqual(
    seen.map(({ size }) => size),
    [2, 2, 1],
  );
  stop.abort();
  await watching;
});

test('a priority class keeps its value and may change its description', async t => {
  const { api } = await createControlPlane(t, []);
  const path = '/apis/scheduling.k8s.io/v1/priorityclasses';
  const made = await api.create<{ value: number; metadata: { name: string } }>(path, {
    metadata: { name: 'p1' },
    value: 1,
  });
  const headers = { 'content-type': 'application/strategic-merge-patch+json' };
  const patch = (body: object) => api.call('PATCH', `${path}/p1`, { body, headers });
  t.is((await patch({ value: 10 })).status, 422);
  t.is((await api.call('PUT', `${path}/p1`, { body: { ...made, value: 10 } })).status, 422);
  t.is((await patch({ description: 'one' })).status, 200);
  const now = (await api.call('GET', `${path}/p1`)).body;
  t.is((await api.call('PUT', `${path}/p1`, { body: { ...now, description: 'two' } })).status, 200);
  t.like((await api.call('GET', `${path}/p1`)).body, { value: 1, description: 'two' });
  t.is((await api.call('DELETE', `${path}/p1`, { body: { gracePeriodSeconds: 0 } })).status, 200);
});

test('what a node has not is not promised', async t => {
  const plane = await createControlPlane(t, ['a', 'b']);
  // 64 CPUs each; pods that want most of each node, then one that wants half a node.
  await createPod(plane, 'filler-a', { cpu: '44800m', node: 'a' });
  await createPod(plane, 'filler-b', { cpu: '44800m', node: 'b' });
  await runs(plane, 'filler-a');
  await runs(plane, 'filler-b');
  await createPod(plane, 'additional', { cpu: '32' });
  await tellsUnschedulable(plane, 'additional');
  t.is((await plane.get(kinds.pods, 'additional')).spec?.nodeName, undefined);
});

test('a node selector is kept: no node without the label, the node with it', async t => {
  const plane = await createControlPlane(t, ['a', 'b']);
  const create = (name: string, nodeSelector: Record<string, string>) =>
    plane.client.create(kinds.pods, {
      metadata: { name, namespace: NAMESPACE },
      spec: { ...wished({}), nodeSelector },
    });
  await create('restricted', { label: 'nonempty' });
  await tellsUnschedulable(plane, 'restricted');
  await plane.client.patch(
    kinds.nodes,
    { name: 'b' },
    { type: 'application/merge-patch+json', body: { metadata: { labels: { 'kubernetes.io/e2e-x': '42' } } } },
  );
  await create('with-labels', { 'kubernetes.io/e2e-x': '42' });
  await runs(plane, 'with-labels');
  t.is((await plane.get(kinds.pods, 'with-labels')).spec?.nodeName, 'b');
});

test('a host port is taken on every address when one pod has it on all', async t => {
  const plane = await createControlPlane(t, ['a']);
  const create = (name: string, hostIP?: string) =>
    plane.client.create(kinds.pods, {
      metadata: { name, namespace: NAMESPACE },
      spec: {
        containers: [
          {
            name: 'c',
            image: 'agnhost',
            ports: [{ containerPort: 8080, hostPort: 54322, protocol: 'TCP', ...(hostIP && { hostIP }) }],
          },
        ],
        nodeSelector: { [HOST]: 'a' },
      },
    });
  await create('pod4');
  await runs(plane, 'pod4');
  t.is((await plane.get(kinds.pods, 'pod4')).spec?.containers[0]?.ports?.[0]?.hostIP, undefined);
  await create('pod5', '192.0.2.7');
  await tellsUnschedulable(plane, 'pod5');
});

const limits = (cpu: string, memory: string, disk: string) => ({
  ...(cpu && { cpu }),
  ...(memory && { memory }),
  ...(disk && { 'ephemeral-storage': disk }),
});

test('a limit range gives defaults, refuses what lies outside, and can be changed and removed', async t => {
  const plane = await createControlPlane(t, []);
  const item = {
    type: 'Container',
    min: limits('50m', '100Mi', '100Gi'),
    max: limits('500m', '500Mi', '500Gi'),
    default: limits('500m', '500Mi', '500Gi'),
    defaultRequest: limits('100m', '200Mi', '200Gi'),
    maxLimitRequestRatio: {},
  };
  const path = `/api/v1/namespaces/${NAMESPACE}`;
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const frames = plane.api.watch(`${path}/limitranges?watch=true&labelSelector=time%3Dnow`, stop.signal);
  const made = await plane.api.create<{ metadata: object; spec: { limits: (typeof item)[] } }>(`${path}/limitranges`, {
    metadata: { name: 'limit-range', labels: { time: 'now' } },
    spec: { limits: [item] },
  });
  t.is((await frames.next()).value?.type, 'ADDED');
  t.like(made.spec.limits[0], { default: item.default, defaultRequest: item.defaultRequest });
  const create = (name: string, requests: object, limit: object = {}) =>
    plane.api.call('POST', `${path}/pods`, {
      body: {
        metadata: { name },
        spec: { containers: [{ name: 'c', image: 'pause', resources: { requests, limits: limit } }] },
      },
    });
  const resources = async (name: string) =>
    (await plane.api.call('GET', `${path}/pods/${name}`)).body.spec.containers[0].resources;
  t.is((await create('pod-no-resources', {})).status, 201);
  t.deepEqual(await resources('pod-no-resources'), { requests: item.defaultRequest, limits: item.default });
  const partial = await create('pod-partial', limits('', '150Mi', '150Gi'), limits('300m', '', ''));
  t.is(partial.status, 201, partial.text);
  t.deepEqual(await resources('pod-partial'), {
    requests: limits('300m', '150Mi', '150Gi'),
    limits: limits('300m', '500Mi', '500Gi'),
  });
  const small = limits('10m', '50Mi', '50Gi');
  const large = limits('600m', '600Mi', '600Gi');
  t.not((await create('pfpod', small)).status, 201);
  t.not((await create('pfpod', large)).status, 201);
  const min = limits('9m', '49Mi', '49Gi');
  const changed = { ...made, spec: { limits: [{ ...made.spec.limits[0], min }] } };
  const updated = await plane.api.call('PUT', `${path}/limitranges/limit-range`, { body: changed });
  t.deepEqual(updated.body.spec.limits[0].min, min);
  t.is((await create('pfpod', small)).status, 201);
  t.not((await create('pfpod2', large)).status, 201);
  await plane.api.call('DELETE', `${path}/limitranges/limit-range`, { body: { gracePeriodSeconds: 30 } });
  t.is((await plane.api.call('GET', `${path}/limitranges`)).body.items.length, 0);
  t.is((await create('pfpod2', large)).status, 201);
});

test('limit ranges of all namespaces are listed; one is patched and removed by a selector', async t => {
  const plane = await createControlPlane(t, []);
  await plane.client.create(kinds.namespaces, { metadata: { name: 'other' } });
  const item = { type: 'Container', min: limits('50m', '100Mi', '100Gi'), max: limits('500m', '500Mi', '500Gi') };
  const body = { metadata: { name: 'lr', labels: { 'e2e-test': 'lr', lr: 'created' } }, spec: { limits: [item] } };
  const pathOf = (namespace: string) => `/api/v1/namespaces/${namespace}/limitranges`;
  const made = await plane.api.create(pathOf(NAMESPACE), body);
  await plane.api.create(pathOf('other'), body);
  const count = async (selector: string) =>
    (await plane.api.call('GET', `/api/v1/limitranges?labelSelector=${encodeURIComponent(selector)}`)).body.items
      .length;
  t.is(await count('e2e-test=lr'), 2);
  const { creationTimestamp } = (made as KubernetesObject).metadata ?? {};
  const min = limits('9m', '49Mi', '49Gi');
  const patched = await plane.api.call('PATCH', `${pathOf(NAMESPACE)}/lr`, {
    body: {
      metadata: { creationTimestamp, labels: { lr: 'patched' } },
      spec: { limits: [{ ...item, min }] },
    },
    headers: { 'content-type': 'application/strategic-merge-patch+json' },
  });
  t.is(patched.body.metadata.labels.lr, 'patched', patched.text);
  t.deepEqual(patched.body.spec.limits[0].min, min);
  t.is((await plane.api.call('DELETE', `${pathOf(NAMESPACE)}?labelSelector=lr%3Dpatched`)).status, 200);
  t.is(await count('lr=patched'), 0);
  t.is(await count('e2e-test=lr'), 1);
});
