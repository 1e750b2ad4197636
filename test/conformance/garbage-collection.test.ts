/** What the conformance suite of Kubernetes v1.33 demands of garbage collection ([sig-api-machinery] Garbage collector). */
import test from 'ava';
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Deployment, OwnerReference, ReplicationController } from '../../control/api/generated/types.ts';
import type { DeleteOptions } from '../../control/client/client.ts';
import { type ControlPlane, createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';

const spec = { containers: [{ name: 'c', image: 'x' }] };
const controller = (name: string, replicas: number): ReplicationController => ({
  metadata: { name, namespace: NAMESPACE },
  spec: { replicas, selector: { app: name }, template: { metadata: { labels: { app: name } }, spec } },
});
const deployment: Deployment = {
  metadata: { name: 'd', namespace: NAMESPACE },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'd' } },
    template: { metadata: { labels: { app: 'd' } }, spec },
  },
};
const key = (name: string) => ({ namespace: NAMESPACE, name });
const remove = (plane: ControlPlane, name: string, options: DeleteOptions) =>
  plane.client.delete(kinds.replicationcontrollers, key(name), options);
const up = (plane: ControlPlane, name: string, count: number) =>
  plane.becomes(kinds.replicationcontrollers, name, 'up', ({ status }) => status?.readyReplicas === count);
const exists = async (plane: ControlPlane, name: string) =>
  (await plane.list(kinds.replicationcontrollers)).some(({ metadata }) => metadata?.name === name);

test('a Deployment takes its ReplicaSets and pods with it, or leaves both behind', async t => {
  const plane = await createControlPlane(t);
  const create = async () => {
    await plane.client.create(kinds.deployments, deployment);
    await plane.becomes(kinds.deployments, 'd', 'up', ({ status }) => status?.availableReplicas === 2);
  };
  await create();
  await plane.client.delete(kinds.deployments, key('d'), { propagationPolicy: 'Background' });
  await until(
    'all gone',
    async () => (await plane.list(kinds.replicasets)).length + (await plane.list(kinds.pods)).length === 0,
  );
  await create();
  await plane.client.delete(kinds.deployments, key('d'), { propagationPolicy: 'Orphan' });
  await until('the Deployment is gone', async () => (await plane.list(kinds.deployments)).length === 0);
  const [set] = await plane.list(kinds.replicasets);
  t.is(set?.metadata?.ownerReferences, undefined);
  t.deepEqual(
    (await plane.list(kinds.pods)).map(({ metadata }) => metadata?.ownerReferences?.[0]?.uid),
    Array(2).fill(set?.metadata?.uid),
  );
  // Whoever comes next takes them over.
  await create();
  t.is(
    (await plane.get(kinds.replicasets, set?.metadata?.name ?? '')).metadata?.ownerReferences?.[0]?.kind,
    'Deployment',
  );
});

test('a ReplicationController takes its pods with it in the background', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.replicationcontrollers, controller('rc', 2));
  await up(plane, 'rc', 2);
  await remove(plane, 'rc', { propagationPolicy: 'Background' });
  await until('no pods', async () => (await plane.list(kinds.pods)).length === 0);
  t.false(await exists(plane, 'rc'));
});

test('in the foreground it stays until the last pod is gone', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.replicationcontrollers, controller('rc', 10));
  await up(plane, 'rc', 10);
  const [held] = await plane.list(kinds.pods);
  const name = held?.metadata?.name ?? '';
  await plane.patch(kinds.pods, name, { metadata: { finalizers: ['example.com/hold'] } });
  await remove(plane, 'rc', { propagationPolicy: 'Foreground' });
  await until('one pod is left', async () => (await plane.list(kinds.pods)).length === 1);
  t.deepEqual((await plane.get(kinds.replicationcontrollers, 'rc')).metadata?.finalizers, ['foregroundDeletion']);
  await plane.patch(kinds.pods, name, { metadata: { finalizers: null } });
  await until('all gone', async () => !(await exists(plane, 'rc')));
  t.is((await plane.list(kinds.pods)).length, 0);
});

test('orphaned pods stay', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.replicationcontrollers, controller('rc', 10));
  await up(plane, 'rc', 10);
  await remove(plane, 'rc', { propagationPolicy: 'Orphan' });
  await until('the controller is gone', async () => !(await exists(plane, 'rc')));
  // What is collected after them would show that they were looked at.
  const lost = { apiVersion: 'v1', kind: 'ConfigMap', name: 'none', uid: 'none' };
  await plane.client.create(kinds.configmaps, { metadata: { ...key('lost'), ownerReferences: [lost] } });
  await until(
    'the lost one is gone',
    async () => !(await plane.list(kinds.configmaps)).some(({ metadata }) => metadata?.name === 'lost'),
  );
  const pods = await plane.list(kinds.pods);
  t.is(pods.length, 10);
  t.true(pods.every(({ metadata }) => !metadata?.ownerReferences && !metadata?.deletionTimestamp));
});

test('pods with a second owner outlive one that waits for its dependents', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.replicationcontrollers, controller('leaving', 10));
  const staying = await plane.client.create(kinds.replicationcontrollers, controller('staying', 0));
  await up(plane, 'leaving', 10);
  const second: OwnerReference = {
    apiVersion: 'v1',
    kind: 'ReplicationController',
    name: 'staying',
    uid: staying.metadata?.uid ?? '',
  };
  const pods = await plane.list(kinds.pods);
  const shared = pods.slice(0, 5).map(({ metadata }) => metadata?.name ?? '');
  for (const name of shared) {
    await plane.patch(
      kinds.pods,
      name,
      { metadata: { ownerReferences: [second] } },
      { type: 'application/strategic-merge-patch+json' },
    );
  }
  await remove(plane, 'leaving', { propagationPolicy: 'Foreground' });
  await until('it is gone', async () => !(await exists(plane, 'leaving')));
  const left = await plane.list(kinds.pods);
  t.deepEqual(left.map(({ metadata }) => metadata?.name).sort(), shared.sort());
  t.true(left.every(({ metadata }) => metadata?.ownerReferences?.length === 1 && !metadata.deletionTimestamp));
});

test('a circle of owners blocks nobody', async t => {
  const plane = await createControlPlane(t);
  const made = await Promise.all(
    [1, 2, 3].map(index => plane.client.create(kinds.pods, { metadata: key(`pod${index}`), spec })),
  );
  const own = (name: string, owner: number) => {
    const { metadata } = made[owner - 1] ?? {};
    const reference = {
      apiVersion: 'v1',
      kind: 'Pod',
      name: metadata?.name,
      uid: metadata?.uid,
      controller: true,
      blockOwnerDeletion: true,
    };
    return plane.patch(kinds.pods, name, { metadata: { ownerReferences: [reference] } });
  };
  await own('pod1', 3);
  await own('pod2', 1);
  await own('pod3', 2);
  await plane.client.delete(kinds.pods, key('pod1'), { propagationPolicy: 'Foreground' });
  await until('all gone', async () => (await plane.list(kinds.pods)).length === 0);
  t.pass();
});
