/** What the conformance suite of Kubernetes v1.33 demands of DaemonSets and ControllerRevisions ([sig-apps]). */
import test from 'ava';
import * as kinds from '../../control/api/generated/kinds.ts';
import { templateHash } from '../../control/controllers/template-hash.ts';
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

test('ControllerRevision: one that is deleted comes back at once, and one of no owner is taken over', async t => {
  const plane = await createControlPlane(t);
  await plane.client.create(kinds.daemonsets, daemonSet());
  await until('all up', async () => (await pods(plane)).filter(isReady).length === 2);
  const revisions = () => plane.list(kinds.controllerrevisions, 'app=x');
  const [initial] = await revisions();
  const name = initial?.metadata?.name ?? '';
  await plane.client.delete(kinds.controllerrevisions, { namespace: NAMESPACE, name });
  await until('another under its name', async () => {
    const [present] = await revisions();
    return present?.metadata?.name === name && present.metadata.uid !== initial?.metadata?.uid;
  });
  await plane.client.create(kinds.controllerrevisions, {
    metadata: { name: 'orphan', namespace: NAMESPACE, labels: { ...labels, [REVISION]: 'orphan' } },
    data: { spec: { template: { $patch: 'replace' } } },
    revision: 7,
  });
  // The template of today has the highest number.
  await until('taken over', async () => {
    const present = await revisions();
    return (
      present.every(({ metadata }) => metadata?.ownerReferences?.[0]?.kind === 'DaemonSet') &&
      present
        .map(({ revision }) => revision)
        .sort()
        .join() === '7,8'
    );
  });
  // A revision of another set is none of this one's.
  await plane.patch(kinds.controllerrevisions, 'orphan', { metadata: { ownerReferences: null, labels: { app: 'y' } } });
  t.is((await revisions()).length, 1);
});

test('ControllerRevision: lifecycle', async t => {
  const plane = await createControlPlane(t);
  const { client } = plane;
  await client.create(kinds.daemonsets, daemonSet());
  await until('all up', async () => (await pods(plane)).filter(isReady).length === 2);
  const uids = (await pods(plane)).map(pod => pod.metadata?.uid);
  const revisions = () => plane.list(kinds.controllerrevisions, 'app=x');
  const everywhere = await client.list(kinds.controllerrevisions, { labelSelector: 'app=x' });
  const [initial] = everywhere.items;
  if (!initial || everywhere.items.length !== 1) return t.fail();
  const initialName = initial.metadata?.name ?? '';
  const set = await plane.get(kinds.daemonsets, 'x');
  t.like(initial.metadata?.ownerReferences?.[0], { kind: 'DaemonSet', uid: set.metadata?.uid });
  const patched = await plane.patch(
    kinds.controllerrevisions,
    initialName,
    { metadata: { labels: { [initialName]: 'patched' } } },
    { type: 'application/strategic-merge-patch+json' },
  );
  t.is(patched.metadata?.labels?.[initialName], 'patched');
  // A second one of the same data, under the name that the template with another grace period would have.
  const template = set.spec?.template;
  const hash = templateHash(
    template && {
      ...template,
      spec: { ...template.spec, containers: template.spec?.containers ?? [], terminationGracePeriodSeconds: 1 },
    },
    set.status?.collisionCount ?? 0,
  );
  const name = `x-${hash}`;
  await client.create(kinds.controllerrevisions, {
    metadata: {
      name,
      namespace: NAMESPACE,
      labels: { ...template?.metadata?.labels, [REVISION]: hash },
      ...(set.metadata?.annotations && { annotations: set.metadata.annotations }),
      ...(initial.metadata?.ownerReferences && { ownerReferences: initial.metadata.ownerReferences }),
    },
    data: initial.data,
    revision: initial.revision + 1,
  });
  t.is((await revisions()).length, 2);
  await client.delete(kinds.controllerrevisions, { namespace: NAMESPACE, name: initialName });
  await until('one revision', async () => (await revisions()).length === 1);
  const [second] = await revisions();
  if (second?.metadata?.name !== name) return t.fail();
  const labelled = { ...second.metadata, labels: { ...second.metadata.labels, [name]: 'updated' } };
  const updated = await client.update(kinds.controllerrevisions, { ...second, metadata: labelled });
  t.is(updated.metadata?.labels?.[name], 'updated');
  await plane.patch(
    kinds.daemonsets,
    'x',
    { spec: { template: { spec: { terminationGracePeriodSeconds: 1 } } }, updateStrategy: { type: 'RollingUpdate' } },
    { type: 'application/strategic-merge-patch+json' },
  );
  await until('two revisions', async () => (await revisions()).length === 2);
  await client.deleteCollection(kinds.controllerrevisions, {
    namespace: NAMESPACE,
    labelSelector: `${name}=updated`,
  });
  await until('one revision', async () => (await revisions()).length === 1);
  const [last] = await revisions();
  t.is(last?.revision, 3);
  t.not(last?.metadata?.name, name);
  t.is((await plane.get(kinds.daemonsets, 'x')).status?.collisionCount, 1);
  await until('all replaced by now', async () =>
    (await pods(plane)).every(pod => isReady(pod) && !uids.includes(pod.metadata?.uid)),
  );
});
