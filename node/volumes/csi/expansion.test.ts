/** Volumes that grow on the node, and what they hold: by a driver, for pods that begin and pods that run. */
import { status as grpc } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { until } from '../../../control/client/testing/until.ts';
import { type PersistentVolumeClaim, persistentvolumeclaims, persistentvolumes, secrets } from '../../api.ts';
import { Refusal } from '../../testing/grpc-server.ts';
import { VolumeError } from '../content.ts';
import { usedVolumes } from '../used-volumes.ts';
import { nodeCapability } from './messages.ts';
import { CsiBench, DRIVER } from './testing/bench.ts';

const isRoot = process.getuid?.() === 0;
const asRoot = (title: string, body: (t: ExecutionContext) => Promise<void>) =>
  isRoot ? test(title, body) : test.skip(`${title} (needs root)`, body);
const CLAIM = { namespace: 'ns', name: 'c' };
const GIB = 2 ** 30;

type ClaimStatus = NonNullable<PersistentVolumeClaim['status']>;

/** A claim of 1Gi, whose driver can enlarge it. */
async function begin(
  t: ExecutionContext,
  capabilities: readonly number[] = [nodeCapability.stageUnstageVolume, nodeCapability.expandVolume],
) {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver({ capabilities });
  await driver.makeVolume('vol-1', 'hello');
  await bench.client.create(secrets, { metadata: { name: 's', namespace: 'other' }, data: { key: 'c2VzYW1l' } });
  await bench.bind({
    capacity: { storage: '1Gi' },
    csi: { driver: DRIVER, volumeHandle: 'vol-1', nodeExpandSecretRef: { namespace: 'other', name: 's' } },
  });
  const tell = async (status: ClaimStatus) => {
    const claim = await bench.client.get(persistentvolumeclaims, CLAIM);
    await bench.client.update(
      persistentvolumeclaims,
      { ...claim, status: { phase: 'Bound', ...status } },
      { subresource: 'status' },
    );
  };
  await tell({ capacity: { storage: '1Gi' } });
  /** What an external resizer does. */
  const enlarge = async (storage: string) => {
    const volume = await bench.client.get(persistentvolumes, { name: 'pv' });
    await bench.client.update(persistentvolumes, { ...volume, spec: { ...volume.spec, capacity: { storage } } });
    await tell({
      capacity: { storage: '1Gi' },
      allocatedResources: { storage },
      allocatedResourceStatuses: { storage: 'NodeResizePending' },
      conditions: [{ type: 'FileSystemResizePending', status: 'True' }],
    });
  };
  const status = async () => (await bench.client.get(persistentvolumeclaims, CLAIM)).status;
  return { bench, driver, enlarge, tell, status };
}

const SUCCESS = 'FileSystemResizeSuccessful: MountVolume.NodeExpandVolume succeeded for volume "pv" node-1';

asRoot('a volume that grew while nobody used it is enlarged before the pod starts', async t => {
  const { bench, driver, enlarge, status } = await begin(t);
  await enlarge('2Gi');
  const pod = bench.pod('u1');
  await bench.mount(pod);
  t.deepEqual(driver.calls, ['NodeStageVolume vol-1', 'NodePublishVolume vol-1', 'NodeExpandVolume vol-1']);
  t.like(driver.expansions[0], {
    volumePath: await bench.path(pod),
    stagingTargetPath: driver.stages[0]?.stagingTargetPath,
    capacityRange: { requiredBytes: 2 * GIB },
    secrets: { key: 'sesame' },
  });
  const told = await status();
  t.deepEqual(told?.capacity, { storage: '2Gi' });
  t.is(told?.allocatedResourceStatuses, undefined);
  t.deepEqual(told?.conditions ?? [], []);
  t.deepEqual(bench.events, [`Pod ${SUCCESS}`, `PersistentVolumeClaim ${SUCCESS}`]);
  await bench.refresh(pod);
  await bench.agent.csi.expansion.close();
  t.is(driver.expansions.length, 1);
});

asRoot('one that grows under a pod is enlarged there, also by an agent that came after', async t => {
  const { bench, driver, enlarge, status } = await begin(t);
  const pod = bench.pod('u1');
  await bench.mount(pod);
  t.deepEqual(driver.expansions, []);
  await enlarge('2Gi');
  await bench.refresh(pod);
  await until('it is enlarged', async () => (await status())?.capacity?.storage === '2Gi');
  await bench.restartAgent();
  await enlarge('3Gi');
  await bench.refresh(pod);
  await until('it is enlarged once more', async () => (await status())?.capacity?.storage === '3Gi');
  t.deepEqual(
    driver.expansions.map(({ capacityRange }) => capacityRange?.requiredBytes),
    [2 * GIB, 3 * GIB],
  );
});

asRoot('another node was first: this one enlarges its own, and tells nothing', async t => {
  const { bench, driver, enlarge, tell, status } = await begin(t);
  const pod = bench.pod('u1');
  await bench.mount(pod);
  await enlarge('2Gi');
  await tell({ capacity: { storage: '2Gi' }, allocatedResources: { storage: '2Gi' } });
  const before = await status();
  await bench.refresh(pod);
  await until('it is enlarged', () => driver.expansions.length === 1);
  await bench.agent.csi.expansion.close();
  t.deepEqual(await status(), before);
});

asRoot(
  'a driver that cannot: the claim is told why, and the pod waits; once it is known that it never can, it starts',
  async t => {
    const { bench, driver, enlarge, status } = await begin(t);
    await enlarge('2Gi');
    const pod = bench.pod('u1');
    driver.refused.set('NodeExpandVolume', new Refusal(grpc.INTERNAL, 'resize2fs'));
    const message = 'Expander.NodeExpand failed to expand the volume : rpc error: code = Internal desc = resize2fs';
    const error = await t.throwsAsync(bench.mount(pod), { instanceOf: VolumeError, message });
    t.is((error as VolumeError).operation, 'MountVolume.NodeExpandVolume');
    const failed = await status();
    t.deepEqual(failed?.allocatedResourceStatuses, { storage: 'NodeResizeInProgress' });
    t.like(failed?.conditions?.[1], { type: 'NodeResizeError', message: `failed to expand pvc with ${message}` });
    driver.refused.set('NodeExpandVolume', new Refusal(grpc.OUT_OF_RANGE, 'too large'));
    await t.throwsAsync(bench.mount(pod), { instanceOf: VolumeError, message: /too large/ });
    t.deepEqual((await status())?.allocatedResourceStatuses, { storage: 'NodeResizeInfeasible' });
    await bench.mount(pod);
    t.is(driver.expansions.length, 2);
  },
);

asRoot('one that cannot while the volume is used: the pod runs, and the driver is not asked again', async t => {
  const { bench, driver, enlarge, status } = await begin(t);
  await enlarge('2Gi');
  const pod = bench.pod('u1');
  driver.refused.set('NodeExpandVolume', new Refusal(grpc.FAILED_PRECONDITION, 'in use'));
  await bench.mount(pod);
  t.is((await status())?.conditions?.at(-1)?.type, 'NodeResizeError');
  await bench.refresh(pod);
  await bench.agent.csi.expansion.close();
  t.is(driver.expansions.length, 1);
  driver.refused.clear();
  await bench.unmount(pod);
  await bench.mount(bench.pod('u2'));
  t.deepEqual((await status())?.capacity, { storage: '2Gi' });
});

asRoot(
  'a running pod is told of a failure; a volume that is read only, and a driver that cannot at all, are left alone',
  async t => {
    const { bench, driver, enlarge } = await begin(t);
    const pod = bench.pod('u1');
    await bench.mount(pod);
    await enlarge('2Gi');
    driver.refused.set('NodeExpandVolume', new Refusal(grpc.UNAVAILABLE, 'away'));
    await bench.refresh(pod);
    await until('the pod is told', () => bench.events.length > 0);
    t.deepEqual(bench.events, [
      'Pod VolumeResizeFailed: NodeExpandVolume.NodeExpandVolume failed for volume "pv" : Expander.NodeExpand failed to expand the volume : rpc error: code = Unavailable desc = away',
    ]);
    bench.events.length = 0;
    await bench.mount(bench.pod('u2', { persistentVolumeClaim: { claimName: 'c', readOnly: true } }));
    const refused =
      'FileSystemResizeFailed: MountVolume.NodeExpandVolume failed for volume "pv" requested read-only file system';
    t.deepEqual(bench.events, [`Pod ${refused}`, `PersistentVolumeClaim ${refused}`]);
    t.is(driver.expansions.length, 1);

    const other = await begin(t, []);
    await other.enlarge('2Gi');
    await other.bench.mount(other.bench.pod('u1'));
    t.deepEqual(other.driver.expansions, []);
  },
);

asRoot('what a volume holds is asked once a minute, and of drivers that count it', async t => {
  const { bench, driver } = await begin(t, [nodeCapability.getVolumeStats]);
  const pod = bench.pod('u1');
  await bench.mount(pod);
  const { volumes, csi } = bench.agent;
  const read = () => usedVolumes([{ uid: 'u1', pod }], { volumes, stats: csi.stats });
  const [found] = await read();
  t.like(found, { podUid: 'u1', namespace: 'ns', name: 'v', claim: 'c' });
  const { capacityBytes = 0, usedBytes = 0, inodes = -1 } = found?.figures ?? {};
  t.true(capacityBytes > usedBytes && usedBytes > 0 && inodes >= 0);
  t.deepEqual(await read(), [found]);
  t.is(driver.calls.filter(call => call.startsWith('NodeGetVolumeStats')).length, 1);

  const other = await begin(t, []);
  const another = other.bench.pod('u1');
  await other.bench.mount(another);
  const { agent } = other.bench;
  t.deepEqual(await usedVolumes([{ uid: 'u1', pod: another }], { volumes: agent.volumes, stats: agent.csi.stats }), []);
});

asRoot('a driver that does not answer leaves its volumes out, and keeps no one waiting', async t => {
  const { bench, driver } = await begin(t, [nodeCapability.getVolumeStats]);
  const pod = bench.pod('u1');
  await bench.mount(pod);
  driver.hanging.add('NodeGetVolumeStats');
  const { volumes, csi } = bench.agent;
  t.deepEqual(await usedVolumes([{ uid: 'u1', pod }], { volumes, stats: csi.stats }), []);
  t.is(driver.calls.at(-1), 'NodeGetVolumeStats vol-1');
});
