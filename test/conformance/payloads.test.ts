/**
 * Payloads of the conformance suite of Kubernetes v1.33 that are odd in something: names in the wrong case, times that are zero, status
 * written beside running controllers ([sig-apps] ReplicaSet; [sig-network] Services; [sig-node] Node Lifecycle, Ephemeral Containers,
 * Pods; [sig-api-machinery] API priority and fairness, Namespaces; [sig-auth] SelfSubjectReview).
 */
import test from 'ava';
import { createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';
import { goClient, type Loose, STRATEGIC } from './go-client.ts';

const CORE = `/api/v1/namespaces/${NAMESPACE}`;
const containers = [{ name: 'c', image: 'pause' }];
const typesOf = ({ status }: Loose) => (status.conditions ?? []).map(({ type }: Loose) => type);

test('ReplicaSet: replaced and patched; a name in the wrong case is unknown', async t => {
  const plane = await createControlPlane(t);
  const path = `/apis/apps/v1/namespaces/${NAMESPACE}/replicasets`;
  const sets = goClient(plane, path);
  await sets.create({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'test-rs', labels: { a: 'b' } },
    spec: {
      replicas: 1,
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers } },
    },
  });
  const has = (replicas: number) =>
    until(`${replicas} are ready`, async () => (await sets.get('test-rs')).status.readyReplicas === replicas);
  await has(1);
  await sets.update('test-rs', ({ spec }) => {
    spec.replicas = 2;
  });
  await has(2);
  const { status, headers, body } = await plane.api.call('PATCH', `${path}/test-rs`, {
    body: {
      metadata: { labels: { 'test-rs': 'patched' } },
      spec: {
        replicas: 3,
        template: { spec: { TerminationGracePeriodSeconds: 0, containers: [{ name: 'c', image: 'other' }] } },
      },
    },
    headers: STRATEGIC,
  });
  t.is(status, 200);
  t.is(headers.warning?.toString(), '299 - "unknown field \\"spec.template.spec.TerminationGracePeriodSeconds\\""');
  t.is(body.metadata.labels['test-rs'], 'patched');
  t.deepEqual(
    [body.spec.template.spec.containers.length, body.spec.template.spec.terminationGracePeriodSeconds],
    [1, 30],
  );
  await has(3);
});

test('Services: a status with an address and a condition without a time', async t => {
  const services = goClient(await createControlPlane(t), `${CORE}/services`);
  await services.create({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', labels: { 'test-service-static': 'true' } },
    spec: {
      type: 'LoadBalancer',
      loadBalancerClass: 'example.com/internal-vip',
      ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 80 }],
    },
  });
  const told = await services.patch('s/status', {
    metadata: { annotations: { patchedstatus: 'true' } },
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }] } },
  });
  t.is(told.metadata.annotations.patchedstatus, 'true');
  t.deepEqual(told.status.loadBalancer.ingress, [{ ip: '203.0.113.1', ipMode: 'VIP' }]);
  const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from e2e test' };
  const retold = await services.update(
    's',
    ({ status }) => {
      status.conditions = [condition];
    },
    '/status',
  );
  t.deepEqual(retold.status.conditions, [{ ...condition, lastTransitionTime: null }]);
  const labelled = await services.patch('s', { metadata: { labels: { 'test-service': 'patched' } } }, STRATEGIC);
  t.deepEqual(labelled.status, retold.status);
});

test('Node: made by a client, whose conditions have no times', async t => {
  const plane = await createControlPlane(t);
  const nodes = goClient(plane, '/api/v1/nodes');
  const name = 'e2e-fake-node';
  const condition = { type: 'Ready', status: 'True', reason: 'E2E', message: 'Set from e2e test' };
  const made = await nodes.create({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: { unschedulable: true },
    status: { phase: 'Running', conditions: [condition] },
  });
  t.like(made.status.conditions[0], { ...condition, lastHeartbeatTime: null, lastTransitionTime: null });
  const patched = await nodes.patch(name, { metadata: { labels: { fake: 'patched' } } }, STRATEGIC);
  t.is(patched.metadata.labels.fake, 'patched');
  t.is((await nodes.list('?labelSelector=fake%3Dpatched')).items.length, 1);
  const updated = await nodes.update(name, ({ metadata }) => {
    metadata.labels.fake = 'updated';
  });
  t.is(updated.metadata.labels.fake, 'updated');
  await nodes.remove(name);
  await until('it is gone', async () => (await plane.api.call('GET', `/api/v1/nodes/${name}`)).status === 404);
});

test('Pods: ephemeral containers by patch and by PUT, a status, and a deletion of this very pod', async t => {
  const plane = await createControlPlane(t);
  const pods = goClient(plane, `${CORE}/pods`);
  await pods.create({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers } });
  await until('it runs', async () => (await pods.get('p')).status.phase === 'Running');
  t.is((await pods.get('p')).metadata.generation, 1);
  const debuggers = 'p/ephemeralcontainers';
  const one = { spec: { ephemeralContainers: [{ name: 'debugger', image: 'busybox', stdin: true, tty: true }] } };
  t.is((await pods.patch(debuggers, one, STRATEGIC)).metadata.generation, 2);
  t.is((await pods.get(debuggers)).spec.ephemeralContainers.length, 1);
  const other = { name: 'debugger2', image: 'x', imagePullPolicy: 'IfNotPresent', terminationMessagePolicy: 'File' };
  await pods.update('p', ({ spec }) => spec.ephemeralContainers.push(other), '/ephemeralcontainers');
  const both = await pods.get(debuggers);
  t.deepEqual([both.spec.ephemeralContainers.length, both.metadata.generation], [2, 3]);
  const status = { message: 'Patched by e2e test', reason: 'E2E' };
  t.like((await pods.patch('p/status', { status }, STRATEGIC)).status, status);
  const options = (uid: string) => ({ gracePeriodSeconds: 0, preconditions: { uid } });
  await t.throwsAsync(pods.remove('p', options('another')), { message: /does not match the UID in record/ });
  await pods.remove('p', options(both.metadata.uid));
  t.is((await plane.api.call('GET', `${CORE}/pods/p`)).status, 404);
});

test('API priority and fairness: conditions without times stay beside the server’s own', async t => {
  const plane = await createControlPlane(t);
  const group = '/apis/flowcontrol.apiserver.k8s.io/v1';
  const meta = { apiVersion: 'flowcontrol.apiserver.k8s.io/v1', metadata: { name: 'e2e' } };
  const kinds = {
    prioritylevelconfigurations: {
      ...meta,
      kind: 'PriorityLevelConfiguration',
      spec: { type: 'Limited', limited: { nominalConcurrencyShares: 2, limitResponse: { type: 'Reject' } } },
    },
    flowschemas: {
      ...meta,
      kind: 'FlowSchema',
      spec: {
        matchingPrecedence: 10_000,
        priorityLevelConfiguration: { name: 'global-default' },
        distinguisherMethod: { type: 'ByUser' },
      },
    },
  };
  for (const [plural, object] of Object.entries(kinds)) {
    const client = goClient(plane, `${group}/${plural}`);
    await client.create(object);
    const failed = (type: string) => ({ type, status: 'False', reason: 'E2E' });
    const patched = await client.patch('e2e/status', { status: { conditions: [failed('PatchStatusFailed')] } });
    t.true(typesOf(patched).includes('PatchStatusFailed'), plural);
    const updated = await client.update(
      'e2e',
      ({ status }) => {
        status.conditions = [...(status.conditions ?? []), failed('StatusUpdateFailed')];
      },
      '/status',
    );
    t.true(typesOf(updated).includes('StatusUpdateFailed'), plural);
    const read = typesOf(await client.get('e2e/status'));
    t.true(
      ['PatchStatusFailed', 'StatusUpdateFailed'].every(type => read.includes(type)),
      plural,
    );
  }
});

test('Namespaces: conditions that clients write', async t => {
  const namespaces = goClient(await createControlPlane(t), '/api/v1/namespaces');
  await namespaces.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'e2e-ns' } });
  const condition = { type: 'StatusPatch', status: 'True', reason: 'E2E', message: 'Patched by an e2e test' };
  const patched = await namespaces.patch('e2e-ns/status', {
    metadata: { annotations: { testpatchstatus: 'true' } },
    status: { conditions: [condition] },
  });
  t.is(patched.metadata.annotations.testpatchstatus, 'true');
  t.deepEqual([patched.status.phase, typesOf(patched)], ['Active', ['StatusPatch']]);
  const added = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Updated by an e2e test' };
  const updated = await namespaces.update('e2e-ns', ({ status }) => status.conditions.push(added), '/status');
  t.deepEqual(typesOf(updated), ['StatusPatch', 'StatusUpdate']);
});

test('SelfSubjectReview: who asks is told who it is', async t => {
  const reviews = goClient(await createControlPlane(t), '/apis/authentication.k8s.io/v1/selfsubjectreviews');
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const { status } = await reviews.create(review);
  t.is(status.userInfo.username, 'admin');
  t.true(status.userInfo.groups.includes('system:masters'));
});
