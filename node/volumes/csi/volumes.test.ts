/** CSI volumes of pods: attached, staged, published; and taken back, whichever agent lives then and whatever the driver does. */
import { access, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { until } from '../../../control/client/testing/until.ts';
import { secrets, serviceaccounts } from '../../api.ts';
import { removeHoldings } from '../../removal.ts';
import { createFakeRuntime } from '../../runtime/fake.ts';
import { Refusal } from '../../testing/grpc-server.ts';
import { VolumeError } from '../content.ts';
import { isMountPoint } from '../mounts.ts';
import { accessMode, nodeCapability } from './messages.ts';
import { CsiBench, DRIVER } from './testing/bench.ts';

const isRoot = process.getuid?.() === 0;
const asRoot = (title: string, body: (t: ExecutionContext) => Promise<void>) =>
  isRoot ? test(title, body) : test.skip(`${title} (needs root)`, body);

const refusalOf = (t: ExecutionContext, work: Promise<unknown>) =>
  t.throwsAsync(work, { instanceOf: VolumeError }) as Promise<VolumeError>;
const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

asRoot('a claim: staged once, published to each pod, and taken back in the other order', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver();
  await driver.makeVolume('vol-1', 'hello');
  await bench.bind({
    mountOptions: ['noatime'],
    csi: { driver: DRIVER, volumeHandle: 'vol-1', fsType: 'ext4', volumeAttributes: { pool: 'p' } },
  });
  const [first, second] = [bench.pod('u1'), bench.pod('u2')];
  await bench.mount(first);
  await bench.mount(second);
  const path = await bench.path(first);
  t.is(path, join(bench.kubeletDir, 'pods/u1/volumes/kubernetes.io~csi/pv/mount'));
  t.is(await readFile(join(path, 'text'), 'utf8'), 'hello');
  t.deepEqual(driver.calls, ['NodeStageVolume vol-1', 'NodePublishVolume vol-1', 'NodePublishVolume vol-1']);
  const volumeCapability = {
    accessMode: { mode: accessMode.singleNodeWriter },
    mount: { fsType: 'ext4', mountFlags: ['noatime'], volumeMountGroup: '' },
  };
  t.like(driver.stages[0], { volumeContext: { pool: 'p' }, volumeCapability });
  t.like(driver.publishes[0], { volumeContext: { pool: 'p' }, volumeCapability, readonly: false, targetPath: path });
  t.is(driver.publishes[0]?.stagingTargetPath, driver.stages[0]?.stagingTargetPath);
  await writeFile(join(path, 'more'), 'kept');
  // All of it may be asked for again.
  await bench.mount(first);
  t.is(driver.calls.length, 3);

  await bench.unmount(first);
  t.is(driver.calls.slice(3).join(), 'NodeUnpublishVolume vol-1');
  t.is(await readFile(join(await bench.path(second), 'more'), 'utf8'), 'kept');
  await bench.unmount(second);
  t.is(driver.calls.slice(4).join(), 'NodeUnpublishVolume vol-1,NodeUnstageVolume vol-1');
  t.false(await exists(join(bench.kubeletDir, 'pods/u1')));
  t.false(await exists(join(driver.stages[0]?.stagingTargetPath ?? '', '..')));
  t.is(await readFile(join(driver.folderOf('vol-1'), 'more'), 'utf8'), 'kept');
  t.deepEqual(await readdir(join(bench.dataDir, 'pods')), []);
});

asRoot('a driver that does not stage, secrets, pod information, tokens and a claim that is read only', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver(
    { capabilities: [nodeCapability.singleNodeMultiWriter] },
    { attachRequired: false, podInfoOnMount: true, tokenRequests: [{ audience: 'vault' }, { audience: '' }] },
  );
  await driver.makeVolume('vol-1', 'hello');
  await bench.client.create(secrets, { metadata: { name: 's', namespace: 'other' }, data: { key: 'c2VzYW1l' } });
  await bench.client.create(serviceaccounts, { metadata: { name: 'robot', namespace: 'ns' } });
  const status = { token: 'jwt', expirationTimestamp: new Date(Date.now() + 3_600_000).toISOString() };
  bench.client.createSubresource = (async () => ({ status })) as never;
  await bench.bind({
    accessModes: ['ReadWriteOncePod'],
    csi: { driver: DRIVER, volumeHandle: 'vol-1', nodePublishSecretRef: { namespace: 'other', name: 's' } },
  });
  const pod = bench.pod('u1', { persistentVolumeClaim: { claimName: 'c', readOnly: true } });
  await bench.mount(pod);
  t.deepEqual(driver.calls, ['NodePublishVolume vol-1']);
  const [published] = driver.publishes;
  t.like(published, {
    stagingTargetPath: '',
    readonly: true,
    secrets: { key: 'sesame' },
    volumeCapability: { accessMode: { mode: accessMode.singleNodeSingleWriter } },
  });
  const { 'csi.storage.k8s.io/serviceAccount.tokens': tokens = '', ...context } = published?.volumeContext ?? {};
  t.deepEqual(context, {
    'csi.storage.k8s.io/pod.name': 'u1',
    'csi.storage.k8s.io/pod.namespace': 'ns',
    'csi.storage.k8s.io/pod.uid': 'u1',
    'csi.storage.k8s.io/serviceAccount.name': 'robot',
    'csi.storage.k8s.io/ephemeral': 'false',
  });
  const expirationTimestamp = status.expirationTimestamp.replace(/\.\d+Z$/, 'Z');
  t.deepEqual(JSON.parse(tokens), {
    vault: { token: 'jwt', expirationTimestamp },
    '': { token: 'jwt', expirationTimestamp },
  });
  await t.throwsAsync(writeFile(join(await bench.path(pod), 'x'), ''), { code: 'EROFS' });
  await bench.unmount(pod);
  t.is(driver.calls.slice(1).join(), 'NodeUnpublishVolume vol-1');
});

asRoot('a pod’s own volume lives as long as the pod, where the driver has such', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver({}, { attachRequired: true, volumeLifecycleModes: ['Ephemeral'] });
  const pod = bench.pod('u1', { csi: { driver: DRIVER, volumeAttributes: { size: '1Gi' } } });
  await bench.mount(pod);
  const [published] = driver.publishes;
  t.regex(published?.volumeId ?? '', /^csi-[0-9a-f]{64}$/);
  t.like(published, { volumeContext: { size: '1Gi' }, stagingTargetPath: '' });
  t.is(await bench.path(pod), join(bench.kubeletDir, 'pods/u1/volumes/kubernetes.io~csi/v/mount'));
  t.true(await isMountPoint(await bench.path(pod)));
  await bench.unmount(pod);
  t.deepEqual(driver.calls, [`NodePublishVolume ${published?.volumeId}`, `NodeUnpublishVolume ${published?.volumeId}`]);
  await bench.bind();
  t.is(
    (await refusalOf(t, bench.mount(bench.pod('u2')))).message,
    `volume mode "Persistent" not supported by driver ${DRIVER} (only supports ["Ephemeral"])`,
  );
  const stranger = bench.pod('u3', { csi: { driver: 'none.example' } });
  t.is(
    (await refusalOf(t, bench.mount(stranger))).message,
    'volume mode "Ephemeral" not supported by driver none.example (no CSIDriver object)',
  );
});

asRoot('a driver that is not here: the pod waits, and has nothing to be taken back', async t => {
  const bench = await CsiBench.make(t);
  await bench.bind();
  const pod = bench.pod('u1');
  const { message, volume } = await refusalOf(t, bench.mount(pod));
  t.is(message, `driver name ${DRIVER} not found in the list of registered CSI drivers`);
  t.is(volume, 'pv');
  await bench.unmount(pod);
  t.deepEqual(await readdir(join(bench.dataDir, 'pods')), []);
});

asRoot('a volume that is to be attached is waited for, and told of as in use before', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver({}, {});
  await driver.makeVolume('vol-1', 'hello');
  await bench.bind();
  const inUse = `kubernetes.io/csi/${DRIVER}^vol-1`;
  bench.reported = [];
  const pod = bench.pod('u1');
  const mounting = bench.mount(pod);
  await until('it is to be reported', () => bench.agent.csi.volumes.inUse().includes(inUse));
  const asked = () => bench.api.requests.some(({ path }) => path.includes('/volumeattachments/csi-'));
  t.false(asked());
  bench.reported = [inUse];
  await until('the attachment is looked for', asked);
  t.deepEqual(driver.calls, []);
  await bench.attach({ device: '/dev/x' });
  await mounting;
  t.deepEqual(driver.stages[0]?.publishContext, { device: '/dev/x' });
  t.deepEqual(driver.publishes[0]?.publishContext, { device: '/dev/x' });
  await bench.restartAgent();
  t.deepEqual(bench.agent.csi.volumes.inUse(), [inUse], 'the next agent knows it too');
  await bench.unmount(pod);
  t.deepEqual(bench.agent.csi.volumes.inUse(), []);
});

asRoot('an agent that starts takes over what the one before it mounted, and what it had only begun', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver();
  await driver.makeVolume('vol-1', 'hello');
  await bench.bind();
  const [first, second] = [bench.pod('u1'), bench.pod('u2')];
  await bench.mount(first);
  driver.hanging.add('NodePublishVolume');
  const begun = bench.mount(second).catch((error: unknown) => error);
  await until('it is asked', () => driver.publishes.length === 2);
  await bench.agent.stop();
  t.true((await begun) instanceof VolumeError);
  driver.hanging.clear();
  await bench.restartAgent();
  const before = driver.calls.length;
  // The claim and the volume may have gone meanwhile: the records say all that is needed.
  bench.api.intercept = ({ path }) => {
    if (/persistentvolume/.test(path)) throw new Error('the API is away');
    return undefined;
  };
  await bench.mount(first);
  t.is(await readFile(join(await bench.path(first), 'text'), 'utf8'), 'hello');
  await bench.unmount(first);
  await bench.unmount(second);
  t.deepEqual(driver.calls.slice(before), [
    'NodeUnpublishVolume vol-1',
    'NodeUnpublishVolume vol-1',
    'NodeUnstageVolume vol-1',
  ]);
});

asRoot('a record that was spoilt keeps no agent from starting, and nothing from being mounted', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver();
  await driver.makeVolume('vol-1', 'hello');
  await bench.bind();
  const [spoilt, other] = [bench.pod('u1', { csi: { driver: DRIVER } }), bench.pod('u2')];
  await mkdir(join(bench.dataDir, 'pods/u1/csi'), { recursive: true });
  await writeFile(join(bench.dataDir, 'pods/u1/csi/v.json'), '{');
  await bench.restartAgent();
  await bench.mount(other);
  t.true(await isMountPoint(await bench.path(other)));
  await t.throwsAsync(bench.unmount(spoilt), { instanceOf: SyntaxError });
});

asRoot('after a start of the machine nothing is taken for mounted', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver();
  await driver.makeVolume('vol-1', 'hello');
  await bench.bind();
  const pod = bench.pod('u1');
  await bench.mount(pod);
  const files = [
    join(bench.dataDir, 'pods/u1/csi/pv.json'),
    join(driver.stages[0]?.stagingTargetPath ?? '', '../vol_data.json'),
  ];
  for (const file of files)
    await writeFile(file, (await readFile(file, 'utf8')).replace(/("\w+Boot":)"[^"]+"/, '$1"x"'));
  await bench.mount(pod);
  t.deepEqual(driver.calls.slice(2), ['NodeStageVolume vol-1', 'NodePublishVolume vol-1']);
  await bench.unmount(pod);
});

asRoot(
  'a driver that refuses is quoted, and asked again; one that refuses the end keeps the rest in place',
  async t => {
    const bench = await CsiBench.make(t);
    const driver = await bench.startDriver();
    await driver.makeVolume('vol-1', 'hello');
    await bench.bind();
    const pod = bench.pod('u1');
    driver.refused.set('NodeStageVolume', new Refusal(status.INTERNAL, 'bad disk'));
    const staging = await refusalOf(t, bench.mount(pod));
    t.is(staging.message, 'rpc error: code = Internal desc = bad disk');
    t.is(staging.operation, 'MountVolume.MountDevice');
    driver.refused.clear();
    driver.refused.set('NodePublishVolume', new Refusal(status.DEADLINE_EXCEEDED, 'slow'));
    const publishing = await refusalOf(t, bench.mount(pod));
    t.is(publishing.message, 'rpc error: code = DeadlineExceeded desc = slow');
    t.is(publishing.operation, 'MountVolume.SetUp');
    driver.refused.clear();
    await bench.mount(pod);
    t.is(await readFile(join(await bench.path(pod), 'text'), 'utf8'), 'hello');

    for (const call of ['NodeUnpublishVolume', 'NodeUnstageVolume'] as const) {
      driver.refused.set(call, new Refusal(status.INTERNAL, 'busy'));
      await t.throwsAsync(bench.unmount(pod), { message: 'rpc error: code = Internal desc = busy' });
      t.true(await exists(join(bench.dataDir, 'pods/u1')));
      driver.refused.clear();
    }
    await driver.stop();
    await until('it is not known any more', async () =>
      bench.unmount(pod).then(
        () => false,
        error => /not found in the list/.test(String(error)),
      ),
    );
    await driver.start();
    await bench.untilRegistered(driver);
    await bench.unmount(pod);
    t.deepEqual(await readdir(join(bench.dataDir, 'pods')), []);
  },
);

asRoot('a driver that hangs in one volume holds up no other, and lets the agent stop', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver(
    {},
    { attachRequired: false, volumeLifecycleModes: ['Persistent', 'Ephemeral'] },
  );
  await driver.makeVolume('vol-1', 'hello');
  await bench.bind();
  driver.hanging.add('NodeStageVolume');
  const hanging = bench.mount(bench.pod('u1')).catch((error: unknown) => error);
  await until('it hangs', () => driver.stages.length === 1);
  const other = bench.pod('u2', { csi: { driver: DRIVER } });
  await bench.mount(other);
  await bench.unmount(other);
  await bench.agent.csi.volumes.close();
  t.regex(String(await hanging), /code = Cancelled/);
});

asRoot('groups: given by the agent, by the driver, or by nobody', async t => {
  for (const [policy, fsType, capabilities, expected] of [
    ['ReadWriteOnceWithFSType', 'ext4', [], 4711],
    ['ReadWriteOnceWithFSType', '', [], 0],
    ['File', '', [], 4711],
    ['None', 'ext4', [], 0],
    ['File', 'ext4', [nodeCapability.volumeMountGroup], 0],
  ] as const) {
    const bench = await CsiBench.make(t);
    const driver = await bench.startDriver({ capabilities }, { attachRequired: false, fsGroupPolicy: policy });
    await driver.makeVolume('vol-1', 'hello');
    await bench.bind({ csi: { driver: DRIVER, volumeHandle: 'vol-1', fsType } });
    const pod = bench.pod('u1', {}, { securityContext: { fsGroup: 4711 } });
    await bench.mount(pod);
    const what = `${policy} ${fsType} ${capabilities}`;
    t.is((await stat(join(await bench.path(pod), 'text'))).gid, expected, what);
    const group = capabilities.length > 0 ? '4711' : '';
    t.is(driver.publishes[0]?.volumeCapability?.mount?.volumeMountGroup, group, what);
    await bench.unmount(pod);
  }
});

asRoot('a part of a volume is unmounted before the volume is taken back', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver();
  await driver.makeVolume('vol-1', 'hello');
  await bench.bind();
  const pod = bench.pod('u1');
  await bench.mount(pod);
  t.true(await isMountPoint(await bench.path(pod, 'part')));
  await bench.unmount(pod);
  t.deepEqual(driver.calls.slice(2), ['NodeUnpublishVolume vol-1', 'NodeUnstageVolume vol-1']);
  t.deepEqual(await readdir(driver.folderOf('vol-1')).then(names => names.sort()), ['part', 'text']);
});

asRoot('a driver that wants it is asked again from time to time, with what is new', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver({}, { attachRequired: false, requiresRepublish: true });
  await driver.makeVolume('vol-1', 'hello');
  await bench.bind();
  const pod = bench.pod('u1');
  await bench.mount(pod);
  const context = {
    pod,
    podIP: '',
    hostIP: '',
    hostIPs: [],
    nodeName: 'node-1',
    allocatable: { cpuMilli: 1, memoryBytes: 1, storageBytes: 64 * 2 ** 30 },
  };
  await bench.agent.volumes.refresh(pod, context);
  await until('it is published again', () => driver.publishes.length === 2);
  t.is(driver.stages.length, 1);
  await bench.unmount(pod);
  await bench.agent.volumes.refresh(pod, context);
  await bench.agent.csi.volumes.close();
  t.is(driver.publishes.length, 2, 'one that was taken back stays so');
});

asRoot('a driver that publishes no device for a block volume is told of', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver();
  await driver.makeVolume('vol-1', 'hello');
  await bench.bind({ volumeMode: 'Block' });
  const pod = bench.pod('u1');
  const { message, operation } = await refusalOf(t, bench.mount(pod));
  t.regex(message, /the driver published no block device at .*\/volumeDevices\/publish\/pv\/u1/);
  t.is(operation, 'MapVolume.SetUpDevice');
  t.deepEqual(driver.publishes[0]?.volumeCapability?.block, {});
  await bench.unmount(pod);
  t.deepEqual(driver.calls.slice(2), ['NodeUnpublishVolume vol-1', 'NodeUnstageVolume vol-1']);
});

asRoot('a node that leaves its machine unmounts all of it, without any driver', async t => {
  const bench = await CsiBench.make(t);
  const driver = await bench.startDriver();
  await driver.makeVolume('vol-1', 'hello');
  await bench.bind();
  const pod = bench.pod('u1');
  await bench.mount(pod);
  const target = await bench.path(pod);
  await bench.agent.stop();
  await driver.stop();
  const runtime = createFakeRuntime({ nodeName: 'node-1' });
  await runtime.start();
  const network = { close: async () => {} };
  await removeHoldings({ dataDir: bench.dataDir, runtime, network, services: [], policies: undefined });
  t.false(await exists(target));
  t.false(await exists(driver.stages[0]?.stagingTargetPath ?? ''));
  t.is(await readFile(join(driver.folderOf('vol-1'), 'text'), 'utf8'), 'hello');
});
