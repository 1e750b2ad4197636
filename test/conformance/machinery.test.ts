/**
 * What the conformance suite of Kubernetes v1.33 demands of the rest of the API's machinery ([sig-api-machinery] Watchers,
 * Namespaces, ResourceQuota, Discovery, AggregatedDiscovery, Table transformation, server version).
 */
import test, { type ExecutionContext } from 'ava';
import { encodeProtobuf } from '../../control/api/protobuf/testing/encode.ts';
import type { Answer, WatchFrame } from '../../control/apiserver/testing/harness.ts';
import { type ControlPlane, createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';

/** Whatever an answer holds. */
type Loose = Answer['body'];

const PATH = `/api/v1/namespaces/${NAMESPACE}`;
const MERGE = { 'content-type': 'application/merge-patch+json' };
const STRATEGIC = { 'content-type': 'application/strategic-merge-patch+json' };
/** How a Go client of built-in kinds speaks: it sends protobuf, and is content with JSON. */
const GO = {
  'content-type': 'application/vnd.kubernetes.protobuf',
  accept: 'application/vnd.kubernetes.protobuf,application/json',
};

/** A watch from the present on, or from a version, whose next events are told in short. */
async function watching(t: ExecutionContext, { api }: ControlPlane, path: string, from?: string) {
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const resourceVersion = from ?? (await api.call('GET', path)).body.metadata.resourceVersion;
  const options = { headers: { accept: GO.accept } };
  const frames: AsyncGenerator<WatchFrame> = api.watch(
    `${path}&watch=true&resourceVersion=${resourceVersion}`,
    stop.signal,
    options,
  );
  return async (count: number) => {
    const seen: string[] = [];
    for (let index = 0; index < count; index++) {
      const { value } = await frames.next();
      const { metadata, data } = value?.object ?? {};
      seen.push(`${value?.type} ${metadata?.name}${data ? ` ${data.mutation}` : ''}`);
    }
    return seen;
  };
}
const MAPS = `${PATH}/configmaps`;
const mapOf = (name: string, label: string, data?: object) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels: { 'watch-this-configmap': label } },
  ...(data && { data }),
});
const createMap = async ({ api }: ControlPlane, name: string, label: string) =>
  (await api.call('POST', MAPS, { body: encodeProtobuf(mapOf(name, label)), headers: GO })).body.metadata
    .resourceVersion;
const mutate = async ({ api }: ControlPlane, name: string, change: object) =>
  (await api.call('PATCH', `${MAPS}/${name}`, { body: change, headers: MERGE })).body.metadata.resourceVersion;
const step = (number: number) => ({ data: { mutation: String(number) } });
const select = (...labels: string[]) =>
  `labelSelector=${encodeURIComponent(`watch-this-configmap in (${labels.join(',')})`)}`;

test('watches by labels tell of what is made, changed and removed, each of its own', async t => {
  const plane = await createControlPlane(t, []);
  const a = await watching(t, plane, `${MAPS}?${select('a')}`);
  const b = await watching(t, plane, `${MAPS}?${select('b')}`);
  const both = await watching(t, plane, `${MAPS}?${select('a', 'b')}`);
  await createMap(plane, 'map-a', 'a');
  await mutate(plane, 'map-a', step(1));
  await mutate(plane, 'map-a', step(2));
  await plane.api.call('DELETE', `${MAPS}/map-a`);
  await createMap(plane, 'map-b', 'b');
  await plane.api.call('DELETE', `${MAPS}/map-b`);
  const ofA = ['ADDED map-a', 'MODIFIED map-a 1', 'MODIFIED map-a 2', 'DELETED map-a 2'];
  const ofB = ['ADDED map-b', 'DELETED map-b'];
  t.deepEqual(await a(4), ofA);
  t.deepEqual(await b(2), ofB);
  t.deepEqual(await both(6), [...ofA, ...ofB]);
});

test('a watch starts where it is said to, and where another one ended', async t => {
  const plane = await createControlPlane(t, []);
  await createMap(plane, 'm', 'x');
  const first = await mutate(plane, 'm', step(1));
  await mutate(plane, 'm', step(2));
  await plane.api.call('DELETE', `${MAPS}/m`);
  const from = await watching(t, plane, `${MAPS}?${select('x')}`, first);
  t.deepEqual(await from(2), ['MODIFIED m 2', 'DELETED m 2']);

  const closed = await watching(t, plane, `${MAPS}?${select('y')}`);
  await createMap(plane, 'n', 'y');
  const last = await mutate(plane, 'n', step(1));
  t.deepEqual(await closed(2), ['ADDED n', 'MODIFIED n 1']);
  await mutate(plane, 'n', step(2));
  await plane.api.call('DELETE', `${MAPS}/n`);
  const restarted = await watching(t, plane, `${MAPS}?${select('y')}`, last);
  t.deepEqual(await restarted(2), ['MODIFIED n 2', 'DELETED n 2']);
});

test('an object that leaves the selection is told as deleted, and as added when it comes back', async t => {
  const plane = await createControlPlane(t, []);
  const next = await watching(t, plane, `${MAPS}?${select('in')}`);
  const label = (value: string) => ({ metadata: { labels: { 'watch-this-configmap': value } } });
  await createMap(plane, 'm', 'in');
  await mutate(plane, 'm', step(1));
  await mutate(plane, 'm', label('out'));
  t.deepEqual(await next(3), ['ADDED m', 'MODIFIED m 1', 'DELETED m 1']);
  await mutate(plane, 'm', step(2));
  await mutate(plane, 'm', label('in'));
  await mutate(plane, 'm', step(3));
  await plane.api.call('DELETE', `${MAPS}/m`);
  t.deepEqual(await next(3), ['ADDED m 2', 'MODIFIED m 3', 'DELETED m 3']);
});

test('watches from any of the versions seen tell the same in the same order', async t => {
  const plane = await createControlPlane(t, []);
  const list = (await plane.api.call('GET', MAPS)).body.metadata.resourceVersion;
  const versions: string[] = [list];
  for (let index = 0; index < 30; index++) {
    const name = `m${index % 5}`;
    if (index < 5) versions.push(await createMap(plane, name, 'x'));
    else versions.push(await mutate(plane, name, step(index)));
  }
  const read = async (version: string | undefined, count: number) =>
    (await watching(t, plane, `${MAPS}?${select('x')}`, version))(count);
  const all = await read(list, 30);
  for (const start of [1, 7, 20]) t.deepEqual(await read(versions[start], 30 - start), all.slice(start));
});

test('a namespace is labelled, updated, given a status and a finalizer, and takes along what it holds', async t => {
  const plane = await createControlPlane(t, ['a']);
  const path = '/api/v1/namespaces/x';
  const { api } = plane;
  await api.create('/api/v1/namespaces', { metadata: { name: 'x' } });
  const labelled = await api.call('PATCH', path, {
    body: { metadata: { labels: { testLabel: 'testValue' } } },
    headers: STRATEGIC,
  });
  t.is(labelled.body.metadata.labels.testLabel, 'testValue');
  labelled.body.metadata.labels.x = 'updated';
  t.is(
    (await api.call('PUT', path, { body: encodeProtobuf(labelled.body), headers: GO })).body.metadata.labels.x,
    'updated',
  );
  const condition = { type: 'StatusPatch', status: 'True', reason: 'E2E', message: 'Patched by an e2e test' };
  const told = await api.call('PATCH', `${path}/status`, {
    body: { metadata: { annotations: { 'e2e-patched-ns-status': 'x' } }, status: { conditions: [condition] } },
    headers: MERGE,
  });
  t.is(told.status, 200, told.text);
  t.like(told.body.status.conditions[0], condition);
  t.is(told.body.metadata.annotations['e2e-patched-ns-status'], 'x');
  told.body.status.conditions.push({ ...condition, type: 'StatusUpdate' });
  const updated = await api.call('PUT', `${path}/status`, { body: encodeProtobuf(told.body), headers: GO });
  t.is(updated.body.status.conditions.length, 2, updated.text);

  // A finalizer of its own: it is there, and goes, through the subresource.
  const now = (await api.call('GET', path)).body;
  now.spec.finalizers.push('e2e.example.com/fakeFinalizer');
  const held = await api.call('PUT', `${path}/finalize`, { body: encodeProtobuf(now), headers: GO });
  t.deepEqual(held.body.spec.finalizers, ['kubernetes', 'e2e.example.com/fakeFinalizer'], held.text);
  held.body.spec.finalizers.pop();
  const freed = await api.call('PUT', `${path}/finalize`, { body: encodeProtobuf(held.body), headers: GO });
  t.deepEqual(freed.body.spec.finalizers, ['kubernetes'], freed.text);

  await api.create(`${path}/pods`, {
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'nginx', image: 'pause' }] },
  } as Loose);
  await api.create(`${path}/services`, {
    metadata: { name: 's' },
    spec: { ports: [{ port: 80, targetPort: 80 }] },
  } as Loose);
  t.is((await api.call('DELETE', path)).status, 200);
  await until('it is gone', async () => (await api.call('GET', path)).status === 404);
  await api.create('/api/v1/namespaces', { metadata: { name: 'x' } });
  t.is((await api.call('GET', `${path}/pods/p`)).status, 404);
  t.is((await api.call('GET', `${path}/services/s`)).status, 404);
});

const QUOTAS = `${PATH}/resourcequotas`;
const HARD = {
  pods: '5',
  services: '10',
  'services.nodeports': '1',
  'services.loadbalancers': '1',
  replicationcontrollers: '10',
  resourcequotas: '1',
  cpu: '1',
  memory: '500Mi',
  configmaps: '10',
  secrets: '10',
  persistentvolumeclaims: '10',
  'requests.storage': '10Gi',
  'requests.ephemeral-storage': '50Gi',
  'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '10',
  'gold.storageclass.storage.k8s.io/requests.storage': '10Gi',
  'requests.example.com/dongle': '3',
  'count/replicasets.apps': '5',
};
const createQuota = async ({ api }: ControlPlane, name: string, hard: object, scopes?: string[]) => {
  const body = {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name, labels: { e2e: name } },
    spec: { hard, ...(scopes && { scopes }) },
  };
  const { status, text } = await api.call('POST', QUOTAS, { body: encodeProtobuf(body), headers: GO });
  if (status !== 201) throw new Error(text);
};
const uses = ({ api }: ControlPlane, name: string, wanted: Readonly<Record<string, string>>) =>
  until(`${name} is used for ${JSON.stringify(wanted)}`, async () => {
    const { spec, status } = (await api.call('GET', `${QUOTAS}/${name}`)).body;
    const isTold =
      JSON.stringify(Object.entries(status.hard ?? {}).sort()) === JSON.stringify(Object.entries(spec.hard).sort());
    return isTold && Object.entries(wanted).every(([key, value]) => status.used?.[key] === value);
  });
const podOf = (name: string, requests: object = {}, limits: object = {}, more: object = {}) => ({
  metadata: { name },
  spec: { containers: [{ name: 'pause', image: 'pause', resources: { requests, limits } }], ...more },
});
const remove = ({ api }: ControlPlane, path: string) =>
  api.call('DELETE', `${PATH}/${path}`, { body: { gracePeriodSeconds: 0 } });

test('a quota follows services, secrets, config maps, controllers and sets', async t => {
  const plane = await createControlPlane(t, []);
  const { configmaps = '' } = { configmaps: String((await plane.api.call('GET', MAPS)).body.items.length) };
  const more = String(Number(configmaps) + 1);
  await createQuota(plane, 'test-quota', { ...HARD, configmaps: more });
  await uses(plane, 'test-quota', { resourcequotas: '1', configmaps, secrets: '0', services: '0' });
  const service = (name: string, type: string) =>
    plane.api.call('POST', `${PATH}/services`, {
      body: { metadata: { name }, spec: { type, ports: [{ port: 80, targetPort: 80 }] } },
    });
  t.is((await service('test-service', 'ClusterIP')).status, 201);
  t.is((await service('test-service-np', 'NodePort')).status, 201);
  const refused = await service('test-service-lb', 'LoadBalancer');
  t.is(refused.status, 403);
  t.regex(refused.body.message, /exceeded quota: test-quota/);
  await uses(plane, 'test-quota', { services: '2', 'services.nodeports': '1', 'services.loadbalancers': '0' });
  await remove(plane, 'services/test-service');
  await remove(plane, 'services/test-service-np');
  await uses(plane, 'test-quota', { services: '0', 'services.nodeports': '0' });

  await plane.api.create(`${PATH}/secrets`, { metadata: { name: 's' }, data: { 'data-1': 'dmFsdWUtMQ==' } } as Loose);
  await plane.api.create(MAPS, { metadata: { name: 'c' }, data: { a: 'b' } } as Loose);
  const template = { metadata: { labels: { name: 'x' } }, spec: { containers: [{ name: 'x', image: 'x' }] } };
  await plane.api.create(`${PATH}/replicationcontrollers`, {
    metadata: { name: 'rc' },
    spec: { replicas: 0, selector: { name: 'x' }, template },
  } as Loose);
  const sets = `/apis/apps/v1/namespaces/${NAMESPACE}/replicasets`;
  await plane.api.create(sets, {
    metadata: { name: 'rs' },
    spec: { replicas: 0, selector: { matchLabels: { name: 'x' } }, template },
  } as Loose);
  await uses(plane, 'test-quota', {
    secrets: '1',
    configmaps: more,
    replicationcontrollers: '1',
    'count/replicasets.apps': '1',
  });
  for (const path of ['secrets/s', 'configmaps/c', 'replicationcontrollers/rc']) await remove(plane, path);
  await plane.api.call('DELETE', `${sets}/rs`);
  await uses(plane, 'test-quota', {
    secrets: '0',
    configmaps,
    replicationcontrollers: '0',
    'count/replicasets.apps': '0',
  });
});

test('a quota follows what pods ask for, extended resources too', async t => {
  const plane = await createControlPlane(t, []);
  await createQuota(plane, 'test-quota', HARD);
  await uses(plane, 'test-quota', { resourcequotas: '1' });
  const dongle = { 'example.com/dongle': '2' };
  const requests = { cpu: '500m', memory: '252Mi', 'ephemeral-storage': '30Gi', ...dongle };
  const create = (name: string, asked: object, limits: object = {}) =>
    plane.api.call('POST', `${PATH}/pods`, { body: podOf(name, asked, limits) });
  const made = await create('test-pod', requests, dongle);
  t.is(made.status, 201, made.text);
  const used = {
    pods: '1',
    cpu: '500m',
    memory: '252Mi',
    'requests.ephemeral-storage': '30Gi',
    'requests.example.com/dongle': '2',
  };
  await uses(plane, 'test-quota', used);
  t.is((await create('fail-pod', { cpu: '600m', memory: '100Mi' })).status, 403);
  t.is(
    (await create('fail-extended', { cpu: '500m', memory: '100Mi', 'ephemeral-storage': '30Gi', ...dongle }, dongle))
      .status,
    403,
  );
  const changed = structuredClone(made.body);
  changed.spec.containers[0].resources.requests = { cpu: '100m', memory: '100Mi', 'ephemeral-storage': '10Gi' };
  t.not((await plane.api.call('PUT', `${PATH}/pods/test-pod`, { body: changed })).status, 200);
  await uses(plane, 'test-quota', used);
  await remove(plane, 'pods/test-pod');
  await uses(plane, 'test-quota', {
    pods: '0',
    cpu: '0',
    memory: '0',
    'requests.ephemeral-storage': '0',
    'requests.example.com/dongle': '0',
  });
});

test('scopes choose the pods that a quota counts', async t => {
  const plane = await createControlPlane(t, []);
  const hard = {
    pods: '5',
    'requests.cpu': '1',
    'requests.memory': '500Mi',
    'limits.cpu': '2',
    'limits.memory': '1Gi',
  };
  const requests = { cpu: '500m', memory: '200Mi' };
  const limits = { cpu: '1', memory: '400Mi' };
  const none = { pods: '0', 'requests.cpu': '0', 'requests.memory': '0', 'limits.cpu': '0', 'limits.memory': '0' };
  const some = {
    pods: '1',
    'requests.cpu': '500m',
    'requests.memory': '200Mi',
    'limits.cpu': '1',
    'limits.memory': '400Mi',
  };
  await createQuota(plane, 'terminating', hard, ['Terminating']);
  await createQuota(plane, 'not-terminating', hard, ['NotTerminating']);
  await createQuota(plane, 'best-effort', { pods: '5' }, ['BestEffort']);
  await createQuota(plane, 'not-best-effort', hard, ['NotBestEffort']);
  const create = async (name: string, ...rest: [object?, object?, object?]) => {
    const { status, text } = await plane.api.call('POST', `${PATH}/pods`, { body: podOf(name, ...rest) });
    t.is(status, 201, text);
  };
  await uses(plane, 'terminating', { pods: '0' });
  await create('long', requests, limits);
  await uses(plane, 'not-terminating', some);
  await uses(plane, 'not-best-effort', some);
  await uses(plane, 'terminating', none);
  await uses(plane, 'best-effort', { pods: '0' });
  await remove(plane, 'pods/long');
  await uses(plane, 'not-terminating', none);
  await create('short', requests, limits, { activeDeadlineSeconds: 3600 });
  await uses(plane, 'terminating', some);
  await uses(plane, 'not-terminating', none);
  await remove(plane, 'pods/short');
  await remove(plane, 'resourcequotas/not-terminating');
  await remove(plane, 'resourcequotas/terminating');
  await create('effortless');
  await uses(plane, 'best-effort', { pods: '1' });
  await uses(plane, 'not-best-effort', { pods: '0' });
});

test('a quota is updated, patched, listed and removed, and its status is put right', async t => {
  const plane = await createControlPlane(t, []);
  const { api } = plane;
  await createQuota(plane, 'q', { cpu: '500m', memory: '500Mi' });
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const frames = api.watch(`${QUOTAS}?watch=true&labelSelector=e2e%3Dq`, stop.signal);
  const told = async (cpu: string, memory: string) => {
    for await (const { object } of { [Symbol.asyncIterator]: () => ({ next: () => frames.next() }) }) {
      if (object.status?.hard?.cpu === cpu && object.status.hard.memory === memory) return;
    }
  };
  const unconditional = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'q', labels: { e2e: 'q' } } };
  const replaced = await api.call('PUT', `${QUOTAS}/q`, {
    body: encodeProtobuf({ ...unconditional, spec: { hard: { cpu: '500m', memory: '500Mi' } } } as Loose),
    headers: GO,
  });
  t.is(replaced.status, 200, replaced.text);
  await until('its status is written', async () => {
    const now = (await api.call('GET', `${QUOTAS}/q`)).body;
    now.status = { hard: now.spec.hard };
    return (await api.call('PUT', `${QUOTAS}/q/status`, { body: now })).status === 200;
  });
  await told('500m', '500Mi');
  const wide = await api.call('PATCH', `${QUOTAS}/q`, {
    body: { spec: { hard: { cpu: '1', memory: '1Gi' } } },
    headers: STRATEGIC,
  });
  t.deepEqual(wide.body.spec.hard, { cpu: '1', memory: '1Gi' });
  const status = (hard: object) =>
    api.call('PATCH', `${QUOTAS}/q/status`, { body: { status: { hard } }, headers: STRATEGIC });
  t.is((await status({ cpu: '1', memory: '1Gi' })).status, 200);
  await told('1', '1Gi');
  t.deepEqual((await api.call('GET', `${QUOTAS}/q/status`)).body.status.hard, { cpu: '1', memory: '1Gi' });
  t.deepEqual((await status({ cpu: '2', memory: '2Gi' })).body.status.hard, { cpu: '2', memory: '2Gi' });
  await told('2', '2Gi');
  await until(
    'its status is put right',
    async () => (await api.call('GET', `${QUOTAS}/q`)).body.status.hard.cpu === '1',
  );
  t.is((await api.call('GET', '/api/v1/resourcequotas?labelSelector=e2e%3Dq')).body.items.length, 1);
  t.is((await api.call('DELETE', `${QUOTAS}?labelSelector=e2e%3Dq`)).status, 200);
  t.is((await api.call('GET', `${QUOTAS}/q`)).status, 404);
});

test('each group has its preferred version among its versions, and each version its resources', async t => {
  const { api } = await createControlPlane(t, []);
  const { groups } = (await api.call('GET', '/apis', { headers: { accept: GO.accept } })).body;
  for (const { name } of groups) {
    const group = (await api.call('GET', `/apis/${name}`)).body;
    t.is(group.name, name);
    t.true(
      group.versions.some(({ groupVersion }: Loose) => groupVersion === group.preferredVersion.groupVersion),
      name,
    );
  }
  const wanted = {
    'apiregistration.k8s.io/v1': 'apiservices',
    'apps/v1': 'deployments',
    'events.k8s.io/v1': 'events',
    'authentication.k8s.io/v1': 'tokenreviews',
    'authorization.k8s.io/v1': 'subjectaccessreviews',
    'autoscaling/v2': 'horizontalpodautoscalers',
    'batch/v1': 'jobs',
    'certificates.k8s.io/v1': 'certificatesigningrequests',
    'networking.k8s.io/v1': 'ingresses',
    'policy/v1': 'poddisruptionbudgets',
    'rbac.authorization.k8s.io/v1': 'clusterroles',
    'storage.k8s.io/v1': 'csinodes',
    'admissionregistration.k8s.io/v1': 'validatingwebhookconfigurations',
    'apiextensions.k8s.io/v1': 'customresourcedefinitions',
    'scheduling.k8s.io/v1': 'priorityclasses',
    'coordination.k8s.io/v1': 'leases',
    'node.k8s.io/v1': 'runtimeclasses',
    'discovery.k8s.io/v1': 'endpointslices',
    'flowcontrol.apiserver.k8s.io/v1': 'flowschemas',
  };
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  const { items } = (await api.call('GET', '/apis', { headers: { accept } })).body;
  for (const [groupVersion, resource] of Object.entries(wanted)) {
    const { body } = await api.call('GET', `/apis/${groupVersion}`);
    t.is(body.groupVersion, groupVersion);
    t.true(
      body.resources.some(({ name }: Loose) => name === resource),
      groupVersion,
    );
    const [group, version] = groupVersion.split('/');
    const found = items
      .find(({ metadata }: Loose) => metadata.name === group)
      ?.versions.find((each: Loose) => each.version === version)
      ?.resources.some((each: Loose) => each.resource === resource);
    t.true(found, `aggregated ${groupVersion}`);
  }
  const core = (await api.call('GET', '/api', { headers: { accept } })).body.items[0];
  t.true(core.versions[0].resources.some(({ resource }: Loose) => resource === 'namespaces'));
});

test('what has no metadata is no table, and the version of the server is a number', async t => {
  const { api } = await createControlPlane(t, []);
  const answer = await api.call('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { namespace: NAMESPACE, verb: 'get', resource: 'pods' } },
    },
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
  });
  t.is(answer.status, 406);
  const { major, minor } = (await api.call('GET', '/version')).body;
  t.is(major, '1');
  t.regex(minor, /^\d+$/);
});

test('the suite finds the nodes that it may use, before anything else', async t => {
  const { api } = await createControlPlane(t, ['a', 'b', 'c']);
  await api.call('PATCH', '/api/v1/nodes/c', { body: { spec: { unschedulable: true } }, headers: MERGE });
  const selector = encodeURIComponent('spec.unschedulable=false');
  const { items } = (await api.call('GET', `/api/v1/nodes?resourceVersion=0&fieldSelector=${selector}`)).body;
  t.deepEqual(
    items.map(({ metadata }: Loose) => metadata.name),
    ['a', 'b'],
  );
  t.true(items.every(({ spec }: Loose) => !spec.taints?.length));
  t.is((await api.call('GET', '/api/v1/namespaces/default/services/kubernetes')).status, 200);
  const system = '/api/v1/namespaces/kube-system';
  t.true(Array.isArray((await api.call('GET', `${system}/pods`)).body.items));
  t.is((await api.call('GET', `${system}/replicationcontrollers`)).status, 200);
  t.is((await api.call('GET', '/apis/apps/v1/namespaces/kube-system/daemonsets')).status, 200);
});
