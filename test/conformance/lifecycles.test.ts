/**
 * What the conformance suite of Kubernetes v1.33 demands of budgets, jobs, ranges, volumes, leases and nodes whose status clients write
 * while controllers work on them ([sig-apps] DisruptionController, Job, CronJob, DaemonSet; [sig-network] ServiceCIDR;
 * [sig-storage] PersistentVolumes; [sig-node] Lease). Typed clients send protobuf, dynamic ones JSON.
 */
import test from 'ava';
import { encodeProtobuf } from '../../control/api/protobuf/testing/encode.ts';
import { createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';
import { GO, goClient, type Loose, RFC3339, STRATEGIC } from './go-client.ts';

const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;

const labels = { foo: 'bar' };
const podTemplate = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'pause' }] } };
const podOf = (name: string) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec: podTemplate.spec });
const budgetOf = (name: string, spec: object) => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name, labels: { e2e: 'x' } },
  spec: { selector: { matchLabels: labels }, ...spec },
});
const isReady = ({ metadata, status }: Loose) =>
  !metadata.deletionTimestamp &&
  (status.conditions ?? []).some((each: Loose) => each.type === 'Ready' && each.status === 'True');

test('DisruptionController: a budget is made, changed in both forms, listed and removed', async t => {
  const plane = await createControlPlane(t);
  const budgets = goClient(plane, `/apis/policy/v1/namespaces/${NAMESPACE}/poddisruptionbudgets`);
  const processed = (name: string) =>
    until('it is counted', async () => {
      const { metadata, status } = await budgets.get(name);
      return (status?.observedGeneration ?? 0) >= metadata.generation;
    });
  await budgets.create(budgetOf('foo', { minAvailable: '1%' }));
  await processed('foo');
  const updated = await budgets.update('foo', ({ spec }) => {
    spec.minAvailable = '2%';
  });
  t.is(updated.spec.minAvailable, '2%');
  await processed('foo');
  t.is((await budgets.patch('foo', { spec: { minAvailable: '3%' } })).spec.minAvailable, '3%');
  await processed('foo');
  await budgets.create(budgetOf('foo2', { minAvailable: 2 }));
  t.is(
    (await plane.api.call('GET', '/apis/policy/v1/poddisruptionbudgets?labelSelector=e2e%3Dx')).body.items.length,
    2,
  );
  await budgets.removeAll('?labelSelector=e2e%3Dx');
  t.is((await budgets.list()).items.length, 0);
});

test('DisruptionController: a status that clients write, of a map of times', async t => {
  const plane = await createControlPlane(t);
  const budgets = goClient(plane, `/apis/policy/v1/namespaces/${NAMESPACE}/poddisruptionbudgets`);
  const pods = goClient(plane, PODS);
  await budgets.create(budgetOf('foo', { minAvailable: 1 }));
  await pods.create(podOf('pod-0'));
  await until('it runs', async () => isReady(await pods.get('pod-0')));
  const now = RFC3339(Date.now());
  await budgets.update(
    'foo',
    object => {
      object.status.disruptedPods = { 'pod-0': now };
    },
    '/status',
  );
  t.is((await budgets.get('foo/status')).status.disruptedPods?.['pod-0'], now);
  const patched = await budgets.patch('foo/status', { status: { disruptedPods: null } });
  t.is(patched.status.disruptedPods, undefined);
});

test('DisruptionController: an eviction waits until the budget allows it', async t => {
  const plane = await createControlPlane(t);
  const budgets = goClient(plane, `/apis/policy/v1/namespaces/${NAMESPACE}/poddisruptionbudgets`);
  const sets = goClient(plane, `/apis/apps/v1/namespaces/${NAMESPACE}/replicasets`);
  const running = async () => ((await goClient(plane, PODS).list()).items as Loose[]).filter(isReady);
  await sets.create({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'rs' },
    spec: { replicas: 3, selector: { matchLabels: labels }, template: podTemplate },
  });
  await until('three run', async () => (await running()).length === 3);
  await budgets.create(budgetOf('foo', { minAvailable: 3 }));
  const isSettled = (allowed: number) =>
    until(`${allowed} allowed`, async () => {
      const { metadata, status } = await budgets.get('foo');
      return (
        status?.observedGeneration === metadata.generation &&
        status.disruptionsAllowed === allowed &&
        status.currentHealthy === 3
      );
    });
  const evict = async () => {
    const name = (await running())[0].metadata.name;
    return plane.api.call('POST', `${PODS}/${name}/eviction`, {
      body: encodeProtobuf({
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name, namespace: NAMESPACE },
      } as Loose),
      headers: GO,
    });
  };
  await isSettled(0);
  const refused = await evict();
  t.is(refused.status, 429);
  t.is(refused.body.reason, 'TooManyRequests');
  t.is(refused.body.details.causes[0].reason, 'DisruptionBudget');
  await budgets.update('foo', ({ spec }) => {
    spec.minAvailable = 2;
  });
  await isSettled(1);
  const allowed = (await budgets.get('foo')).status.conditions.find((each: Loose) => each.type === 'DisruptionAllowed');
  t.like(allowed, { status: 'True', reason: 'SufficientPods' });
  t.is((await evict()).status, 201);
  await until('three run again', async () => (await running()).length === 3);
  const none = await budgets.patch('foo', { spec: { maxUnavailable: 0, minAvailable: null } });
  t.deepEqual([none.spec.maxUnavailable, none.spec.minAvailable], [0, undefined]);
  await isSettled(0);
  t.is((await evict()).status, 429);
  await budgets.remove('foo');
  await until('it is allowed', async () => (await evict()).status === 201);
});

test('Job: suspended, labelled, let go, done and removed; its status is what clients write', async t => {
  const plane = await createControlPlane(t);
  const jobs = goClient(plane, `/apis/batch/v1/namespaces/${NAMESPACE}/jobs`);
  const pods = goClient(plane, PODS);
  const spec = {
    suspend: true,
    parallelism: 2,
    completions: 2,
    backoffLimit: 6,
    template: { spec: { ...podTemplate.spec, restartPolicy: 'Never' } },
  };
  await jobs.create({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j', labels: { e2e: 'j' } }, spec });
  const patched = await jobs.patch('j', { metadata: { labels: { j: 'patched' } } }, STRATEGIC);
  t.is(patched.metadata.labels.j, 'patched');
  await until('it is told to be suspended', async () =>
    ((await jobs.get('j')).status.conditions ?? []).some((each: Loose) => each.type === 'Suspended'),
  );
  const custom = (lastTransitionTime: string) => ({ type: 'CustomConditionType', status: 'True', lastTransitionTime });
  const timeOf = ({ status }: Loose) =>
    (status.conditions ?? []).find((each: Loose) => each.type === 'CustomConditionType')?.lastTransitionTime;
  const first = '2026-01-01T00:00:00Z';
  const told = await jobs.patch('j/status', {
    metadata: { annotations: { patchedstatus: 'true' } },
    status: { conditions: [custom(first)] },
  });
  t.deepEqual([told.metadata.annotations.patchedstatus, timeOf(told)], ['true', first]);
  const second = '2026-01-01T00:00:01Z';
  const retold = await jobs.update(
    'j',
    ({ status }) => {
      for (const each of status.conditions) if (each.type === 'CustomConditionType') each.lastTransitionTime = second;
    },
    '/status',
  );
  t.is(timeOf(retold), second);
  const released = await jobs.update('j', object => {
    object.spec.suspend = false;
    object.metadata.annotations = { ...object.metadata.annotations, updated: 'true' };
  });
  t.false(released.spec.suspend);
  await until('two run', async () => ((await pods.list()).items as Loose[]).filter(isReady).length === 2);
  t.is(timeOf(await jobs.get('j/status')), second);
  for (const { metadata } of (await pods.list()).items) {
    await pods.patch(`${metadata.name}/status`, { status: { phase: 'Succeeded' } });
  }
  await until('it is complete', async () =>
    ((await jobs.get('j')).status.conditions ?? []).some((each: Loose) => each.type === 'Complete'),
  );
  await jobs.remove('j', { propagationPolicy: 'Foreground' });
  await until(
    'it is gone',
    async () => (await plane.api.call('GET', '/apis/batch/v1/jobs?labelSelector=e2e%3Dj')).body.items.length === 0,
  );
});

test('CronJob: the time of its last run is what clients write, where none is due', async t => {
  const plane = await createControlPlane(t);
  const cronJobs = goClient(plane, `/apis/batch/v1/namespaces/${NAMESPACE}/cronjobs`);
  const jobTemplate = { spec: { template: { spec: { ...podTemplate.spec, restartPolicy: 'OnFailure' } } } };
  await cronJobs.create({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'c' },
    spec: {
      schedule: '* */1 * * ?',
      concurrencyPolicy: 'Allow',
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 0,
      jobTemplate,
    },
  });
  const first = RFC3339(Date.now());
  const told = await cronJobs.patch('c/status', {
    metadata: { annotations: { patchedstatus: 'true' } },
    status: { lastScheduleTime: first },
  });
  t.deepEqual([told.metadata.annotations.patchedstatus, told.status.lastScheduleTime], ['true', first]);
  const second = RFC3339(Date.now() + 1_000);
  const retold = await cronJobs.update(
    'c',
    ({ status }) => {
      status.lastScheduleTime = second;
    },
    '/status',
  );
  t.is(retold.status.lastScheduleTime, second);
});

test('ServiceCIDR: what others say in its conditions stays beside its own', async t => {
  const plane = await createControlPlane(t);
  const ranges = goClient(plane, '/apis/networking.k8s.io/v1/servicecidrs');
  await ranges.create({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'x', labels: { special: 'yes' } },
    spec: { cidrs: ['10.196.196.0/24'] },
  });
  const typesOf = ({ status }: Loose) => (status.conditions ?? []).map(({ type }: Loose) => type).sort();
  await until('it is ready', async () => typesOf(await ranges.get('x')).includes('Ready'));
  const told = await ranges.update(
    'x',
    ({ status }) => {
      const lastTransitionTime = RFC3339(Date.now());
      status.conditions.push({
        type: 'StatusUpdate',
        status: 'True',
        reason: 'E2E',
        message: 'set',
        lastTransitionTime,
      });
    },
    '/status',
  );
  t.deepEqual(typesOf(told), ['Ready', 'StatusUpdate']);
  t.is(
    (await ranges.patch('x', { metadata: { annotations: { patched: 'true' } } })).metadata.annotations.patched,
    'true',
  );
  t.deepEqual(typesOf(await ranges.get('x/status')), ['Ready', 'StatusUpdate']);
  await ranges.removeAll('?labelSelector=special%3Dyes');
  // No address was given out of it; it goes when no other master can be about to.
  t.truthy((await ranges.get('x')).metadata.deletionTimestamp);
});

test('PersistentVolumes: a volume and its claim, patched, updated, their status written, and removed', async t => {
  const plane = await createControlPlane(t);
  const volumes = goClient(plane, '/api/v1/persistentvolumes');
  const claims = goClient(plane, `/api/v1/namespaces/${NAMESPACE}/persistentvolumeclaims`);
  const selected = '?labelSelector=e2e%3Dpv';
  const volume = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'pv', labels: { e2e: 'pv' } },
    spec: {
      persistentVolumeReclaimPolicy: 'Retain',
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'e2e',
      csi: { driver: 'e2e-driver-1', volumeHandle: 'e2e-status-conformance' },
    },
  };
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'pvc', labels: { e2e: 'pv' } },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'e2e',
      resources: { requests: { storage: '1Gi' } },
      selector: { matchLabels: { e2e: 'pv' } },
    },
  };
  await volumes.create(volume);
  await claims.create(claim);
  await until('they are bound', async () => (await claims.get('pvc')).status.phase === 'Bound');
  t.is((await volumes.list(selected)).items.length, 1);
  t.is((await plane.api.call('GET', `/api/v1/persistentvolumeclaims${selected}`)).body.items.length, 1);
  for (const each of [volumes, claims]) {
    const name = each === volumes ? 'pv' : 'pvc';
    const patched = await each.patch(name, { metadata: { labels: { [name]: 'patched' } } });
    t.is(patched.metadata.labels[name], 'patched');
    const read = await each.get(`${name}/status`);
    t.is(read.status.phase, 'Bound');
    const message = (text: string) =>
      each === volumes
        ? { message: text, reason: 'E2E' }
        : {
            conditions: [
              {
                type: 'StatusPatched',
                status: 'True',
                reason: text,
                message: 'Set by e2e test',
                lastTransitionTime: RFC3339(0),
              },
            ],
          };
    const says = ({ status }: Loose) => (each === volumes ? status.message : status.conditions?.[0]?.reason);
    t.is(says(await each.patch(`${name}/status`, { status: message('patched') })), 'patched');
    const updated = await each.update(name, object => Object.assign(object.status, message('updated')), '/status');
    t.is(says(updated), 'updated');
    t.is(says(await each.get(`${name}/status`)), 'updated');
    const labelled = await each.update(name, ({ metadata }) => {
      metadata.labels[name] = 'updated';
    });
    t.is(labelled.metadata.labels[name], 'updated');
  }
  await claims.remove('pvc');
  await until('the claim is gone', async () => (await claims.list(selected)).items.length === 0);
  await until('the volume is released', async () => (await volumes.get('pv')).status.phase === 'Released');
  await volumes.removeAll(selected);
  await until('the volume is gone', async () => (await volumes.list(selected)).items.length === 0);
});

test('Lease: times to the microsecond, of the first year too', async t => {
  const plane = await createControlPlane(t);
  const leases = goClient(plane, `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`);
  const spec = {
    holderIdentity: 'holder',
    leaseDurationSeconds: 30,
    acquireTime: '0001-01-01T00:00:02.000000Z',
    renewTime: '0001-01-01T00:00:05.000000Z',
    leaseTransitions: 0,
  };
  const made = await leases.create({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'l', labels: { deletecollection: 'true' } },
    spec,
  });
  t.deepEqual(made.spec, spec);
  const changed = {
    holderIdentity: 'holder2',
    leaseDurationSeconds: 60,
    acquireTime: '0001-01-01T00:00:50.000000Z',
    renewTime: '0001-01-01T00:01:10.000001Z',
    leaseTransitions: 1,
  };
  const updated = await leases.update('l', object => Object.assign(object, { spec: changed }));
  t.deepEqual(updated.spec, changed);
  const patched = await leases.patch(
    'l',
    { spec: { holderIdentity: 'holder3', renewTime: '0001-01-01T00:01:20.000000Z' } },
    STRATEGIC,
  );
  t.deepEqual(patched.spec, { ...changed, holderIdentity: 'holder3', renewTime: '0001-01-01T00:01:20.000000Z' });
  await leases.removeAll('?labelSelector=deletecollection%3Dtrue');
  t.is((await leases.list()).items.length, 0);
});
