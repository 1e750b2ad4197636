/** What the conformance suite of Kubernetes v1.33 demands of DaemonSets and ControllerRevisions ([sig-apps]). */
import test from 'ava';
import * as kinds from '../../control/api/generated/kinds.ts';
import { createControlPlane, NAMESPACE } from '../helpers/control-plane.ts';
import { until } from '../helpers/run.ts';
import { daemonSet, imageOf, images, isReady, labels, pods, REVISION, setImage } from './sets-world.ts';

test('DaemonSet: failed pods are made anew, lost ones come back, selectors are followed', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.daemonsets, daemonSet());
  const areUp = async (count: number) => (await pods(plane)).length === count && (await pods(plane)).every(isReady);
  await until('one on each node', () => areUp(2));
  const [failing, lost] = await pods(plane);
  await plane.patch(
    kinds.pods,
    failing?.metadata?.name ?? '',
    { status: { phase: 'Failed' } },
    { subresource: 'status' },
  );
  await plane.client.delete(kinds.pods, { namespace: NAMESPACE, name: lost?.metadata?.name ?? '' });
  await until(
    'two others',
    async () =>
      (await areUp(2)) &&
      (await pods(plane)).every(
        ({ metadata: pod }) => pod?.uid !== failing?.metadata?.uid && pod?.uid !== lost?.metadata?.uid,
      ),
  );
  await plane.patch(kinds.daemonsets, 'x', { spec: { template: { spec: { nodeSelector: { color: 'blue' } } } } });
  await until('none fits', () => areUp(0));
  const paint = (color: string) =>
    plane.client.patch(
      kinds.nodes,
      { name: 'a' },
      { type: 'application/merge-patch+json', body: { metadata: { labels: { color } } } },
    );
  await paint('blue');
  await until('one fits', () => areUp(1));
  await paint('green');
  await until('none fits any more', () => areUp(0));
  await plane.patch(kinds.daemonsets, 'x', {
    spec: { template: { spec: { nodeSelector: { color: 'green' } } }, updateStrategy: { type: 'RollingUpdate' } },
  });
  await until('it follows', () => areUp(1));
  t.pass();
});

test('DaemonSet: a revision holds, to the byte, what Go makes of the template', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.daemonsets, daemonSet());
  const data = async () => (await plane.list(kinds.controllerrevisions, 'app=x'))[0]?.data;
  await until('a revision', async () => (await data()) !== undefined);
  // Keys in order, and each default there: the suite compares the text.
  const container =
    '{"image":"x:1","imagePullPolicy":"IfNotPresent","name":"c","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}';
  const spec = `{"containers":[${container}],"dnsPolicy":"ClusterFirst","restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}`;
  t.is(
    JSON.stringify(await data()),
    `{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"x"}},"spec":${spec}}}}`,
  );
});

test('DaemonSet: a rollback in the middle restarts nothing that still ran', async t => {
  const plane = await createControlPlane(t, ['a', 'b', 'c']);
  await plane.client.create(kinds.daemonsets, daemonSet());
  await until('all up', async () => (await pods(plane)).filter(isReady).length === 3);
  plane.health = pod => (imageOf(pod) === 'x:404' ? 'stuck' : 'ready');
  await setImage(plane, kinds.daemonsets, 'x:404');
  await until('the first new pod', async () => (await images(plane)).includes('x:404'));
  const kept = (await pods(plane)).filter(pod => imageOf(pod) === 'x:1').map(pod => pod.metadata?.uid);
  t.is(kept.length, 2);
  await setImage(plane, kinds.daemonsets, 'x:1');
  await until(
    'all are old again',
    async () => (await images(plane)) === 'x:1 x:1 x:1' && (await pods(plane)).every(isReady),
  );
  const after = (await pods(plane)).map(pod => pod.metadata?.uid);
  t.true(kept.every(uid => after.includes(uid)));
});

test('DaemonSet: a rolling update with surge never leaves a node without', async t => {
  const plane = await createControlPlane(t);
  const updateStrategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  await plane.client.create(kinds.daemonsets, daemonSet({ updateStrategy }));
  await until('all up', async () => (await pods(plane)).filter(isReady).length === 2);
  await setImage(plane, kinds.daemonsets, 'x:2');
  await until('all new', async () => {
    const all = await pods(plane);
    t.is(new Set(all.filter(isReady).map(({ spec }) => spec?.nodeName)).size, 2);
    return all.length === 2 && all.every(pod => imageOf(pod) === 'x:2' && isReady(pod));
  });
});

test('ControllerRevision: lifecycle', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.daemonsets, daemonSet());
  await until('all up', async () => (await pods(plane)).filter(isReady).length === 2);
  const uids = (await pods(plane)).map(pod => pod.metadata?.uid);
  const revisions = () => plane.list(kinds.controllerrevisions, 'app=x');
  const [initial] = await revisions();
  if (!initial) return t.fail();
  await plane.patch(kinds.controllerrevisions, initial.metadata?.name ?? '', {
    metadata: { labels: { mine: 'patched' } },
  });
  t.is((await plane.list(kinds.controllerrevisions, 'mine=patched')).length, 1);
  // A second revision of the same template, as the suite makes it.
  const { ownerReferences, annotations } = initial.metadata ?? {};
  await plane.client.create(kinds.controllerrevisions, {
    metadata: {
      name: 'x-second',
      namespace: NAMESPACE,
      labels: { ...labels, [REVISION]: 'second' },
      ...(annotations && { annotations }),
      ...(ownerReferences && { ownerReferences }),
    },
    data: initial.data,
    revision: initial.revision + 1,
  });
  t.is((await revisions()).length, 2);
  await plane.client.delete(kinds.controllerrevisions, { namespace: NAMESPACE, name: initial.metadata?.name ?? '' });
  t.is((await revisions()).length, 1);
  const [second] = await revisions();
  await plane.client.update(kinds.controllerrevisions, {
    ...second,
    metadata: { ...second?.metadata, labels: { ...second?.metadata?.labels, mine: 'updated' } },
    revision: second?.revision ?? 0,
  });
  await plane.patch(kinds.daemonsets, 'x', { spec: { template: { spec: { terminationGracePeriodSeconds: 1 } } } });
  await until('two revisions', async () => (await revisions()).length === 2);
  await plane.client.deleteCollection(kinds.controllerrevisions, {
    namespace: NAMESPACE,
    labelSelector: 'mine=updated',
  });
  await until('one revision', async () => (await revisions()).length === 1);
  t.is((await revisions())[0]?.revision, 3);
  await until('all replaced by now', async () =>
    (await pods(plane)).every(pod => isReady(pod) && !uids.includes(pod.metadata?.uid)),
  );
});
