/** What the conformance suite of Kubernetes v1.33 demands of StatefulSets ([sig-apps]). */
import test from 'ava';
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Pod, StatefulSet } from '../../control/api/generated/types.ts';
import { type ControlPlane, createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';
import {
  images,
  isReady,
  isSettled,
  labels,
  partition,
  podSpec,
  pods,
  revisionOf,
  setImage,
  statefulSet,
  template,
} from './sets-world.ts';

test('StatefulSet: rolling updates and roll backs of template modifications', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.statefulsets, statefulSet());
  await plane.becomes(kinds.statefulsets, 'x', 'up', isSettled);
  const first = (await plane.get(kinds.statefulsets, 'x')).status;
  t.is(first?.currentRevision, first?.updateRevision);
  // Pod 1 breaks; the update goes on to it, and no further before it works.
  plane.health = pod => (pod.metadata?.name === 'x-1' ? 'running' : 'ready');
  await plane.settle();
  await plane.becomes(kinds.statefulsets, 'x', 'broken', ({ status }) => status?.readyReplicas === 2);
  await setImage(plane, kinds.statefulsets, 'x:2');
  await plane.becomes(
    kinds.statefulsets,
    'x',
    'told of',
    ({ status }) => status?.updateRevision !== first?.updateRevision,
  );
  t.is(await images(plane), 'x:1 x:1 x:1', 'an ordered set waits for the broken pod');
  plane.health = () => 'ready';
  await plane.settle();
  const done = ({ status }: StatefulSet) =>
    status?.currentRevision === status?.updateRevision && status?.updatedReplicas === 3;
  await plane.becomes(kinds.statefulsets, 'x', 'rolled', done);
  t.is(await images(plane), 'x:2 x:2 x:2');
  // Back: the first revision again, not a third.
  await setImage(plane, kinds.statefulsets, 'x:1');
  await plane.becomes(
    kinds.statefulsets,
    'x',
    'rolled back',
    set => done(set) && set.status?.updateRevision === first?.updateRevision,
  );
  t.is(await images(plane), 'x:1 x:1 x:1');
  t.deepEqual((await plane.list(kinds.controllerrevisions)).map(({ revision }) => revision).sort(), [2, 3]);
});

test('StatefulSet: canary updates and phased rolling updates', async t => {
  const plane = await createControlPlane(t);
  const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition: 3 } };
  await plane.client.create(kinds.statefulsets, statefulSet({ updateStrategy }));
  await plane.becomes(kinds.statefulsets, 'x', 'up', isSettled);
  await setImage(plane, kinds.statefulsets, 'x:2');
  await plane.becomes(
    kinds.statefulsets,
    'x',
    'told of',
    ({ status }) => status?.currentRevision !== status?.updateRevision,
  );
  t.is(await images(plane), 'x:1 x:1 x:1', 'the partition is beyond all pods');
  const { status } = await plane.get(kinds.statefulsets, 'x');
  await partition(plane, 2);
  await until('the canary', async () => (await images(plane)) === 'x:1 x:1 x:2' && (await pods(plane)).every(isReady));
  t.deepEqual((await pods(plane)).map(revisionOf), [
    status?.currentRevision,
    status?.currentRevision,
    status?.updateRevision,
  ]);
  const before = (await pods(plane)).map(pod => pod.metadata?.uid);
  for (const name of ['x-0', 'x-2']) await plane.client.delete(kinds.pods, { namespace: NAMESPACE, name });
  await until('both back', async () => {
    const all = await pods(plane);
    return (
      all.length === 3 &&
      all.every(isReady) &&
      all[0]?.metadata?.uid !== before[0] &&
      all[2]?.metadata?.uid !== before[2]
    );
  });
  t.is(await images(plane), 'x:1 x:1 x:2', 'each comes back at its side of the partition');
  for (const [value, expected] of [
    [1, 'x:1 x:2 x:2'],
    [0, 'x:2 x:2 x:2'],
  ] as const) {
    await partition(plane, value);
    await until(
      `partition ${value}`,
      async () => (await images(plane)) === expected && (await pods(plane)).every(isReady),
    );
  }
  await plane.becomes(
    kinds.statefulsets,
    'x',
    'complete',
    set => set.status?.currentRevision === set.status?.updateRevision,
  );
  t.is((await plane.get(kinds.statefulsets, 'x')).status?.currentRevision, status?.updateRevision);
});

/** Names of pods in the order in which they were made, or went. */
function follow(plane: ControlPlane): { readonly made: string[]; readonly gone: string[]; stop(): void } {
  const [made, gone, stopping]: [string[], string[], AbortController] = [[], [], new AbortController()];
  void (async () => {
    for await (const { type, object } of plane.client.watch(kinds.pods, {
      namespace: NAMESPACE,
      resourceVersion: '0',
      signal: stopping.signal,
    })) {
      const name = (object as Pod).metadata?.name ?? '';
      if (type === 'ADDED') made.push(name);
      if (type === 'DELETED') gone.push(name);
    }
  })().catch(() => {});
  return { made, gone, stop: () => stopping.abort() };
}

test('StatefulSet: scaling happens in predictable order and halts if any pod is unhealthy', async t => {
  const plane = await createControlPlane(t);
  const seen = follow(plane);
  plane.health = () => 'running';
  await plane.client.create(kinds.statefulsets, statefulSet());
  await plane.becomes(kinds.statefulsets, 'x', 'one pod', ({ status }) => status?.replicas === 1);
  plane.health = pod => (pod.metadata?.name === 'x-1' ? 'running' : 'ready');
  await plane.settle();
  await plane.becomes(kinds.statefulsets, 'x', 'two pods', ({ status }) => status?.replicas === 2);
  t.deepEqual(
    (await pods(plane)).map(pod => pod.metadata?.name),
    ['x-0', 'x-1'],
  );
  plane.health = () => 'ready';
  await plane.settle();
  await plane.becomes(kinds.statefulsets, 'x', 'up', isSettled);
  t.deepEqual(seen.made, ['x-0', 'x-1', 'x-2']);
  plane.health = pod => (pod.metadata?.name === 'x-0' ? 'running' : 'ready');
  await plane.settle();
  await plane.becomes(kinds.statefulsets, 'x', 'broken', ({ status }) => status?.readyReplicas === 2);
  await plane.patch(kinds.statefulsets, 'x', { spec: { replicas: 0 } }, { subresource: 'scale' });
  await plane.becomes(
    kinds.statefulsets,
    'x',
    'seen',
    set => set.status?.observedGeneration === set.metadata?.generation,
  );
  // Nothing below zero is broken any more, for none is wanted: the highest may go.
  await until('all gone', async () => (await pods(plane)).length === 0);
  t.deepEqual(seen.gone, ['x-2', 'x-1', 'x-0']);
  seen.stop();
});

test('StatefulSet: burst scaling runs to completion even with unhealthy pods', async t => {
  const plane = await createControlPlane(t);
  plane.health = () => 'running';
  await plane.client.create(kinds.statefulsets, statefulSet({ podManagementPolicy: 'Parallel' }));
  await plane.becomes(kinds.statefulsets, 'x', 'all there', ({ status }) => status?.replicas === 3);
  await plane.patch(kinds.statefulsets, 'x', { spec: { replicas: 0 } });
  await plane.becomes(kinds.statefulsets, 'x', 'all gone', ({ status }) => status?.replicas === 0);
  t.pass();
});

test('StatefulSet: an evicted pod is made anew', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.statefulsets, statefulSet({ replicas: 1 }));
  await plane.becomes(kinds.statefulsets, 'x', 'up', isSettled);
  const uid = (await plane.get(kinds.pods, 'x-0')).metadata?.uid;
  await plane.patch(kinds.pods, 'x-0', { status: { phase: 'Failed', reason: 'Evicted' } }, { subresource: 'status' });
  await until('another', async () => {
    const [pod] = await pods(plane);
    return pod !== undefined && pod.metadata?.uid !== uid && isReady(pod);
  });
  t.pass();
});

test('StatefulSet: claims stay, or go with the set or the pod, as the policy says', async t => {
  const plane = await createControlPlane(t);
  const volumeClaimTemplates = [
    {
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
    },
  ];
  // Nobody provides volumes here: pods that are already bound need none.
  const mounting = { ...template('x:1').spec.containers[0], volumeMounts: [{ name: 'data', mountPath: '/data' }] };
  const onNode = { ...podSpec(), template: { metadata: { labels }, spec: { containers: [mounting], nodeName: 'a' } } };
  const persistentVolumeClaimRetentionPolicy = { whenScaled: 'Delete', whenDeleted: 'Delete' };
  await plane.client.create(
    kinds.statefulsets,
    statefulSet({ ...onNode, replicas: 2, volumeClaimTemplates, persistentVolumeClaimRetentionPolicy }),
  );
  await plane.becomes(kinds.statefulsets, 'x', 'up', isSettled);
  const claims = async () =>
    (await plane.list(kinds.persistentvolumeclaims)).map(
      claim =>
        `${claim.metadata?.name} ${claim.metadata?.ownerReferences?.map(({ kind, name }) => `${kind} ${name}`).join()}`,
    );
  t.deepEqual(await claims(), ['data-x-0 StatefulSet x', 'data-x-1 StatefulSet x']);
  await plane.patch(kinds.statefulsets, 'x', { spec: { replicas: 1 } });
  await until('one claim', async () => (await claims()).join() === 'data-x-0 StatefulSet x');
  await plane.patch(kinds.statefulsets, 'x', {
    spec: { persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete', whenDeleted: 'Retain' } },
  });
  await until('a free claim', async () => (await claims()).join() === 'data-x-0 undefined');
  await plane.client.delete(
    kinds.statefulsets,
    { namespace: NAMESPACE, name: 'x' },
    { propagationPolicy: 'Background' },
  );
  await until('no pods', async () => (await pods(plane)).length === 0);
  t.deepEqual(await claims(), ['data-x-0 undefined']);
});
