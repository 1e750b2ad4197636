/** CSI volumes are attached where pods need them, to one node at a time, and let go only when the node has let go. */
import test, { type ExecutionContext } from 'ava';
import {
  volumeattachments as attachmentsKind,
  persistentvolumeclaims as claimsKind,
  csidrivers as driversKind,
  nodes as nodesKind,
  pods as podsKind,
  persistentvolumes as volumesKind,
} from '../api/generated/kinds.ts';
import type { CSIDriver, NodeStatus, Pod, Taint } from '../api/generated/types.ts';
import { until } from '../client/testing/until.ts';
import { attachmentName, inUseName, MANAGED_ATTACH } from '../client/volume-attachments.ts';
import { attachDetachController } from './attach-detach.ts';
import { holdsVolumes, multiAttachMessage } from './attach-detach-plan.ts';
import { FORCED_DETACH_MS } from './limits.ts';
import { newBench } from './testing/bench.ts';

const CSI = { driver: 'd.example', handle: 'vol-1' };
const IN_USE = inUseName(CSI);

async function world(
  t: ExecutionContext,
  { modes = ['ReadWriteOnce'], spec }: { modes?: string[]; spec?: CSIDriver['spec'] } = {},
) {
  const bench = newBench(t);
  const { client } = bench;
  for (const name of ['a', 'b']) {
    await client.create(nodesKind, {
      metadata: { name, annotations: { [MANAGED_ATTACH]: 'true' } },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    });
  }
  if (spec) await client.create(driversKind, { metadata: { name: CSI.driver }, spec });
  const claim = await client.create(claimsKind, {
    metadata: { name: 'c', namespace: 'ns' },
    spec: { volumeName: 'pv' },
  });
  await client.create(volumesKind, {
    metadata: { name: 'pv' },
    spec: {
      accessModes: modes,
      csi: { driver: CSI.driver, volumeHandle: CSI.handle },
      claimRef: { namespace: 'ns', name: 'c', uid: claim.metadata?.uid ?? '' },
    },
  });
  const createPod = (name: string, nodeName: string) =>
    client.create(podsKind, {
      metadata: { name, namespace: 'ns' },
      spec: { nodeName, containers: [], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] },
    });
  const deletePod = (name: string) => client.delete(podsKind, { namespace: 'ns', name });
  const attachedTo = async () =>
    (await client.list(attachmentsKind)).items.map(({ spec: { nodeName } }) => nodeName).sort();
  const attachesTo = (...names: string[]) =>
    until(`attached to ${names}`, async () => (await attachedTo()).join() === names.join());
  const report = async (name: string, status: Partial<NodeStatus>, taints: Taint[] = []) => {
    const node = await client.get(nodesKind, { name });
    await client.update(nodesKind, { ...node, spec: { taints } });
    const now = await client.get(nodesKind, { name });
    await client.update(nodesKind, { ...now, status: { ...now.status, ...status } }, { subresource: 'status' });
  };
  /** What an external attacher says. */
  const answer = async (nodeName: string, status: object) => {
    const attachment = await client.get(attachmentsKind, { name: attachmentName(CSI, nodeName) });
    await client.update(attachmentsKind, { ...attachment, status: status as never }, { subresource: 'status' });
  };
  await bench.start(context => [attachDetachController(context)]);
  return { ...bench, createPod, deletePod, attachedTo, attachesTo, report, answer };
}

test('a pod needs its volumes until it has ended, or is leaving and nothing of it runs', t => {
  const running = { name: 'c', state: { running: {} } };
  const ended = { name: 'd', state: { terminated: { exitCode: 0 } } };
  const pod = (phase: string, isLeaving: boolean, ...containerStatuses: object[]): Pod => ({
    metadata: { ...(isLeaving && { deletionTimestamp: '2026-01-01T00:00:00Z' }) },
    status: { phase, containerStatuses: containerStatuses as never },
  });
  t.true(holdsVolumes(pod('Pending', false)));
  t.true(holdsVolumes(pod('Running', false, ended)), 'it may start again');
  t.true(holdsVolumes(pod('Running', true, ended, running)));
  t.false(holdsVolumes(pod('Running', true, ended)));
  t.false(holdsVolumes(pod('Pending', true)));
  t.false(holdsVolumes(pod('Failed', false, running)));
});

test('attached for the first pod, told of, and detached when the last has gone and the node has let go', async t => {
  const { client, events, createPod, deletePod, attachedTo, attachesTo, report, answer } = await world(t, {
    spec: { attachRequired: true },
  });
  await createPod('one', 'a');
  await attachesTo('a');
  const { items } = await client.list(attachmentsKind);
  t.is(items[0]?.metadata?.name, attachmentName(CSI, 'a'));
  t.deepEqual(items[0]?.spec, { attacher: 'd.example', nodeName: 'a', source: { persistentVolumeName: 'pv' } });
  await answer('a', { attached: false, attachError: { time: '2026-01-01T00:00:00Z', message: 'no room' } });
  await until('the failure is told', () => events.length === 1);
  await answer('a', { attached: true });
  await until('the success is told', () => events.length === 2);
  t.deepEqual(
    events.map(({ component, name, type, reason, message }) => [component, name, type, reason, message]),
    [
      [
        'attachdetach-controller',
        'one',
        'Warning',
        'FailedAttachVolume',
        'AttachVolume.Attach failed for volume "pv" : no room',
      ],
      [
        'attachdetach-controller',
        'one',
        'Normal',
        'SuccessfulAttachVolume',
        'AttachVolume.Attach succeeded for volume "pv" ',
      ],
    ],
  );
  await createPod('two', 'a');
  await report('a', { volumesInUse: [IN_USE] });
  await deletePod('one');
  await deletePod('two');
  await createPod('other', 'b');
  await until('the other waits', () => events.some(({ name }) => name === 'other'));
  t.deepEqual(await attachedTo(), ['a'], 'the node still has it');
  await report('a', { volumesInUse: [] });
  await attachesTo('b');
});

test('a volume for one node is not given to two, and everybody who waits is told once', async t => {
  const { clock, events, createPod, deletePod, attachedTo, attachesTo } = await world(t);
  await createPod('one', 'a');
  await attachesTo('a');
  await createPod('two', 'b');
  await until('it is told', () => events.length === 1);
  t.like(events[0], {
    name: 'two',
    type: 'Warning',
    reason: 'FailedAttachVolume',
    message: 'Multi-Attach error for volume "pv" Volume is already used by pod(s) one',
  });
  await createPod('three', 'b');
  await until('the third is told too', () => events.length === 2);
  await clock.advance(60_000);
  t.deepEqual(await attachedTo(), ['a']);
  t.is(events.length, 2);
  await deletePod('one');
  await attachesTo('b');
});

test('a volume that may be shared is attached to each node; one that needs no attaching to none', async t => {
  const shared = await world(t, { modes: ['ReadWriteMany'] });
  await shared.createPod('one', 'a');
  await shared.createPod('two', 'b');
  await shared.attachesTo('a', 'b');
  const free = await world(t, { spec: { attachRequired: false } });
  await free.createPod('one', 'a');
  await free.clock.advance(1000);
  t.deepEqual(await free.attachedTo(), []);
});

test('a node that is silent gets its time, unless it is out of service or gone', async t => {
  const { client, clock, createPod, deletePod, attachedTo, attachesTo, report } = await world(t);
  const silent = { volumesInUse: [IN_USE], conditions: [{ type: 'Ready', status: 'Unknown' }] };
  const lose = async (name: string) => {
    await createPod(name, 'a');
    await attachesTo('a');
    await report('a', silent);
    await deletePod(name);
  };
  await lose('one');
  for (let passed = 0; passed < FORCED_DETACH_MS - 2000; passed += 1000) await clock.advance(1000);
  t.deepEqual(await attachedTo(), ['a']);
  for (let passed = 0; passed < 4000; passed += 1000) await clock.advance(1000);
  await attachesTo();
  await lose('two');
  await report('a', silent, [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }]);
  await attachesTo();
  await report('a', silent);
  await lose('three');
  await client.delete(nodesKind, { name: 'a' });
  await attachesTo();
});

test('a pod that has ended needs nothing', async t => {
  const { client, createPod, attachedTo, attachesTo } = await world(t);
  const pod = await createPod('one', 'a');
  await attachesTo('a');
  await client.update(podsKind, { ...pod, status: { phase: 'Succeeded' } }, { subresource: 'status' });
  await attachesTo();
  t.deepEqual(await attachedTo(), []);
});

test('what pods that wait are told of the others', t => {
  const pod = (namespace: string, name: string) => ({ metadata: { namespace, name } });
  const error = 'Multi-Attach error for volume "v" Volume is already';
  t.is(multiAttachMessage('v', 'ns', []), `${error} exclusively attached to one node and can't be attached to another`);
  t.is(multiAttachMessage('v', 'ns', [pod('x', 'p')]), `${error} used by 1 pod(s) in different namespaces`);
  t.is(
    multiAttachMessage('v', 'ns', [pod('ns', 'q'), pod('ns', 'p'), pod('x', 'p')]),
    `${error} used by pod(s) p, q and 1 pod(s) in different namespaces`,
  );
});
