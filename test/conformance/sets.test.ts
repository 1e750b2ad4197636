/** What the conformance suite of Kubernetes v1.33 demands of Deployments, ReplicaSets and ReplicationControllers, and of all sets ([sig-apps]). */
import test from 'ava';
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Kind, KubernetesObject } from '../../control/api/kind.ts';
import { encodeProtobuf } from '../../control/api/protobuf/testing/encode.ts';
import { type ControlPlane, createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';
import {
  daemonSet,
  deployment,
  imageOf,
  images,
  isReady,
  labels,
  metadata,
  podSpec,
  pods,
  setImage,
  statefulSet,
  template,
} from './sets-world.ts';

const scalable: readonly (readonly [Kind<KubernetesObject>, KubernetesObject])[] = [
  [kinds.statefulsets, statefulSet({ replicas: 1 })],
  [kinds.deployments, deployment({ replicas: 1 })],
  [kinds.replicasets, { metadata, spec: { ...podSpec(), replicas: 1 } } as KubernetesObject],
  [
    kinds.replicationcontrollers,
    { metadata, spec: { selector: labels, template: template('x:1'), replicas: 1 } } as KubernetesObject,
  ],
];
interface Scale extends KubernetesObject {
  spec?: { replicas?: number };
  status?: { replicas?: number; selector?: string };
}

test('all that has replicas has a working scale, which is told what is there', async t => {
  const plane = await createControlPlane(t);
  for (const [kind, object] of scalable) {
    await plane.client.create(kind, object);
    const scale = async () =>
      (await plane.client.get(kind, { namespace: NAMESPACE, name: 'x' }, { subresource: 'scale' })) as Scale;
    t.is((await scale()).spec?.replicas, 1);
    const wanted = { ...(await scale()), apiVersion: 'autoscaling/v1', kind: 'Scale', spec: { replicas: 2 } };
    const group = kind.group ? `apis/${kind.group}` : 'api';
    const { status } = await plane.client.transport.request({
      method: 'PUT',
      path: `/${group}/v1/namespaces/${NAMESPACE}/${kind.plural}/x/scale`,
      headers: { 'content-type': 'application/vnd.kubernetes.protobuf' },
      body: encodeProtobuf(wanted),
    });
    t.is(status, 200, kind.kind);
    await until(`${kind.kind}: two`, async () => (await scale()).status?.replicas === 2);
    await plane.patch(kind, 'x', { spec: { replicas: 3 } }, { subresource: 'scale' });
    await until(`${kind.kind}: three`, async () => (await scale()).status?.replicas === 3);
    t.is((await scale()).status?.selector, 'app=x');
    await plane.client.delete(kind, { namespace: NAMESPACE, name: 'x' }, { propagationPolicy: 'Foreground' });
    await until(
      `${kind.kind}: gone`,
      async () => (await plane.list(kind)).length === 0 && (await pods(plane)).length === 0,
    );
  }
});

/** A quota that holds from now on. */
async function limitPods(plane: ControlPlane, count: string): Promise<void> {
  await plane.client.create(kinds.resourcequotas, {
    metadata: { name: 'q', namespace: NAMESPACE },
    spec: { hard: { pods: count } },
  });
  await plane.becomes(kinds.resourcequotas, 'q', 'counted', ({ status }) => status?.hard?.pods === count);
}

interface Conditioned extends KubernetesObject {
  status?: { conditions?: { type: string; status: string; reason?: string }[] };
}

test('conditions that others put into a status stay there', async t => {
  const plane = await createControlPlane(t);
  const all = [...scalable, [kinds.daemonsets, daemonSet()] as const];
  for (const [kind, object] of all as readonly (readonly [Kind<Conditioned>, Conditioned])[]) {
    await plane.client.create(kind, object);
    await until(`${kind.kind}: a pod`, async () => (await pods(plane)).some(isReady));
    const added = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from e2e test' };
    await until(`${kind.kind}: the update`, async () => {
      const present = await plane.get(kind, 'x');
      const status = { ...present.status, conditions: [...(present.status?.conditions ?? []), added] };
      return plane.client.update(kind, { ...present, status }, { subresource: 'status' }).then(
        () => true,
        () => false,
      );
    });
    await plane.patch(kind, 'x', { metadata: { annotations: { touched: 'yes' } } });
    await plane.patch(kind, 'x', { spec: { minReadySeconds: 1 } });
    await plane.becomes(
      kind,
      'x',
      'seen',
      ({ status, metadata: meta }) =>
        (status as { observedGeneration?: number }).observedGeneration === meta?.generation,
    );
    const has = (name: string) => (each: Conditioned) =>
      each.status?.conditions?.some(({ type }) => type === name) ?? false;
    t.true(has('StatusUpdate')(await plane.get(kind, 'x')), kind.kind);
    await plane.patch(
      kind,
      'x',
      { status: { conditions: [{ type: 'StatusPatched', status: 'True' }] } },
      { subresource: 'status' },
    );
    await plane.becomes(kind, 'x', 'patched', has('StatusPatched'));
    await plane.client.deleteCollection(
      kind,
      { namespace: NAMESPACE, labelSelector: 'app=x' },
      { propagationPolicy: 'Background' },
    );
    await until(
      `${kind.kind}: gone`,
      async () => (await plane.list(kind)).length === 0 && (await pods(plane)).length === 0,
    );
  }
});

test('ReplicaSet and ReplicationController: a quota that refuses pods is a condition until it does not', async t => {
  const plane = await createControlPlane(t);
  await limitPods(plane, '2');
  for (const [kind, object] of scalable.slice(2) as readonly (readonly [Kind<Conditioned>, Conditioned])[]) {
    await plane.client.create(kind, {
      ...object,
      spec: { ...(object as { spec?: object }).spec, replicas: 3 },
    } as Conditioned);
    const failure = (each: Conditioned) => each.status?.conditions?.find(({ type }) => type === 'ReplicaFailure');
    await plane.becomes(kind, 'x', 'refused', each => failure(each)?.reason === 'FailedCreate');
    await plane.patch(kind, 'x', { spec: { replicas: 2 } });
    await plane.becomes(kind, 'x', 'content', each => failure(each) === undefined);
    await plane.client.delete(kind, { namespace: NAMESPACE, name: 'x' }, { propagationPolicy: 'Foreground' });
    await until(
      `${kind.kind}: gone`,
      async () => (await plane.list(kind)).length === 0 && (await pods(plane)).length === 0,
    );
  }
  t.pass();
});

test('Deployment: a rollout whose ReplicaSet’s pods are refused says so', async t => {
  const plane = await createControlPlane(t);
  await limitPods(plane, '1');
  await plane.client.create(kinds.deployments, deployment());
  await plane.becomes(kinds.deployments, 'x', 'refused', ({ status }) =>
    (status?.conditions ?? []).some(({ type, reason }) => type === 'ReplicaFailure' && reason === 'FailedCreate'),
  );
  t.pass();
});

test('Deployment: proportional scaling', async t => {
  const plane = await createControlPlane(t);
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } };
  await plane.client.create(kinds.deployments, deployment({ replicas: 10, strategy }));
  await plane.becomes(kinds.deployments, 'x', 'up', ({ status }) => status?.availableReplicas === 10);
  plane.health = pod => (imageOf(pod) === 'x:404' ? 'stuck' : 'ready');
  await setImage(plane, kinds.deployments, 'x:404');
  const sizes = async () =>
    (await plane.list(kinds.replicasets))
      .map(({ spec, status }) => `${spec?.template?.spec?.containers[0]?.image} ${spec?.replicas} ${status?.replicas}`)
      .sort()
      .join(', ');
  await until('the rollout stands', async () => (await sizes()) === 'x:1 8 8, x:404 5 5');
  await plane.patch(kinds.deployments, 'x', { spec: { replicas: 30 } });
  await until('both have grown', async () => (await sizes()) === 'x:1 20 20, x:404 13 13');
  t.pass();
});

test('Deployment: rollover, and ReplicaSets beyond the history go', async t => {
  const plane = await createControlPlane(t);
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  await plane.client.create(kinds.deployments, deployment({ replicas: 2, strategy, revisionHistoryLimit: 0 }));
  await plane.becomes(kinds.deployments, 'x', 'up', ({ status }) => status?.availableReplicas === 2);
  plane.health = pod => (imageOf(pod) === 'x:404' ? 'stuck' : 'ready');
  await setImage(plane, kinds.deployments, 'x:404');
  await until('the rollout stands', async () => (await images(plane)).includes('x:404'));
  await setImage(plane, kinds.deployments, 'x:3');
  await until('only the newest is left', async () => {
    const [only, ...others] = await plane.list(kinds.replicasets);
    return others.length === 0 && only?.status?.availableReplicas === 2 && (await images(plane)) === 'x:3 x:3';
  });
  t.pass();
});

test('Deployment: recreating never runs old and new together', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.deployments, deployment({ strategy: { type: 'Recreate' } }));
  await plane.becomes(kinds.deployments, 'x', 'up', ({ status }) => status?.availableReplicas === 2);
  await setImage(plane, kinds.deployments, 'x:2');
  await until('all are new', async () => {
    const all = await pods(plane);
    t.false(all.some(pod => imageOf(pod) === 'x:1') && all.some(pod => imageOf(pod) === 'x:2'));
    return all.length === 2 && all.every(pod => imageOf(pod) === 'x:2' && isReady(pod));
  });
});

test('ReplicaSet and ReplicationController: pods that match are adopted, those that no longer do are let go', async t => {
  const plane = await createControlPlane(t);
  for (const [kind, object] of scalable.slice(2)) {
    await plane.client.create(kinds.pods, {
      metadata: { name: 'stray', namespace: NAMESPACE, labels },
      spec: template('x:1').spec,
    });
    await plane.client.create(kind, object);
    const owner = async () => (await plane.get(kinds.pods, 'stray')).metadata?.ownerReferences?.[0];
    await until('adopted', async () => (await owner())?.kind === kind.kind);
    t.is((await pods(plane)).length, 1);
    await plane.patch(kinds.pods, 'stray', { metadata: { labels: { app: 'free' } } });
    await until('let go and replaced', async () => (await owner()) === undefined && (await pods(plane)).length === 1);
    await plane.client.delete(kind, { namespace: NAMESPACE, name: 'x' }, { propagationPolicy: 'Background' });
    await plane.client.delete(kinds.pods, { namespace: NAMESPACE, name: 'stray' }, { gracePeriodSeconds: 0 });
    await until('gone', async () => (await plane.list(kinds.pods)).length === 0);
  }
});
