/** A whole agent with a driver: from the pod's object to its container's mount, and to the end. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { until } from '../../../control/client/testing/until.ts';
import {
  attachmentName,
  csidrivers,
  csinodes,
  nodes,
  persistentvolumeclaims,
  persistentvolumes,
  volumeattachments,
} from '../../api.ts';
import { systemClock } from '../../clock.ts';
import { TestCsiDriver } from '../../testing/csi-driver.ts';
import { World } from '../../testing/world.ts';
import { isMountPoint, mountsBelow, unmount } from '../mounts.ts';

const isRoot = process.getuid?.() === 0;
const asRoot = (title: string, body: (t: ExecutionContext) => Promise<void>) =>
  isRoot ? test(title, body) : test.skip(`${title} (needs root)`, body);

asRoot('a pod on a claim waits for driver and attachment, runs, and leaves nothing behind', async t => {
  const world = await World.create();
  const kubeletDir = await mkdtemp(join(tmpdir(), 'csi-'));
  const driver = new TestCsiDriver({ kubeletDir });
  t.teardown(async () => {
    await world.close();
    await driver.stop();
    for (const point of await mountsBelow(kubeletDir)) await unmount(point);
    await rm(kubeletDir, { recursive: true, force: true });
  });
  const { client } = world;
  const options = { canMount: true, kubeletDir, clock: systemClock, timing: { socketsScanMs: 20, nodeObserveMs: 50 } };
  await world.startAgent(options);
  await until('the node has its CSINode', () =>
    client.get(csinodes, { name: 'node-1' }).then(
      () => true,
      () => false,
    ),
  );
  await client.create(csidrivers, { metadata: { name: driver.name }, spec: {} });
  const claim = await client.create(persistentvolumeclaims, {
    metadata: { name: 'c', namespace: 'default' },
    spec: { volumeName: 'pv' },
    status: { phase: 'Bound' },
  });
  await client.create(persistentvolumes, {
    metadata: { name: 'pv' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      csi: { driver: driver.name, volumeHandle: 'vol-1' },
      claimRef: { namespace: 'default', name: 'c', uid: claim.metadata?.uid ?? '' },
    },
  });
  await world.createPod('web', {
    containers: [{ name: 'app', image: 'app:1', volumeMounts: [{ name: 'v', mountPath: '/data' }] }],
    volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }],
  });
  await until('it is told that there is no driver', async () =>
    (await world.events('web')).includes(
      `FailedMount: MountVolume.SetUp failed for volume "pv" : driver name ${driver.name} not found in the list of registered CSI drivers`,
    ),
  );
  await driver.makeVolume('vol-1', 'hello');
  await driver.start();
  await until('the node says that it uses the volume', async () => {
    const { status } = await client.get(nodes, { name: 'node-1' });
    return status?.volumesInUse?.includes(`kubernetes.io/csi/${driver.name}^vol-1`) ?? false;
  });
  t.deepEqual(driver.calls, []);
  await client.create(volumeattachments, {
    metadata: { name: attachmentName({ driver: driver.name, handle: 'vol-1' }, 'node-1') },
    spec: { attacher: driver.name, nodeName: 'node-1', source: { persistentVolumeName: 'pv' } },
    status: { attached: true },
  });
  const pod = await world.untilPod('web', 'runs', ({ status }) => status?.phase === 'Running');
  const target = join(kubeletDir, 'pods', pod.metadata?.uid ?? '', 'volumes/kubernetes.io~csi/pv/mount');
  t.is(await readFile(join(target, 'text'), 'utf8'), 'hello');

  // The driver is away when the pod ends, and the agent with it: the next one sees to it.
  await driver.stop();
  await world.markDeleted('web', 0);
  await until('the containers are gone', async () => (await world.runtime.list()).length === 0);
  await world.agent?.close();
  t.true(await isMountPoint(target));
  await driver.start();
  await world.startAgent(options);
  await until('the volume is taken back', () => driver.calls.includes('NodeUnstageVolume vol-1'));
  t.deepEqual(driver.calls, [
    'NodeStageVolume vol-1',
    'NodePublishVolume vol-1',
    'NodeUnpublishVolume vol-1',
    'NodeUnstageVolume vol-1',
  ]);
  await until('the node lets it go', async () => {
    const { status } = await client.get(nodes, { name: 'node-1' });
    return (status?.volumesInUse ?? []).length === 0;
  });
});
