/** Claims on a node: local volumes are made, kept, removed, and never lead out of their folder. */
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { LOCAL_PROVISIONER } from '../../control/api/local-volumes.ts';
import { PROVISIONED_BY } from '../../control/api/volume-binding.ts';
import { RestClient } from '../../control/client/rest.ts';
import { systemClock } from '../../control/client/system-clock.ts';
import { MemoryApi } from '../../control/client/testing/memory-api.ts';
import { until } from '../../control/client/testing/until.ts';
import {
  hasReason,
  LOCAL_FINALIZER,
  LOCAL_LABEL,
  LOCAL_NODE,
  type PersistentVolume,
  type Pod,
  persistentvolumeclaims,
  persistentvolumes,
} from '../api.ts';
import { quiet } from '../testing/world.ts';
import { VolumeError } from './content.ts';
import { LocalFolder, LocalFolderError } from './local-folder.ts';
import { LocalReclaim } from './local-reclaim.ts';
import { VolumeManager } from './manager.ts';
import { Sources } from './sources.ts';

async function setup(t: ExecutionContext) {
  const dataDir = await mkdtemp(join(tmpdir(), 'raftsman-local-'));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const clock = systemClock;
  const client = new RestClient({ transport: new MemoryApi(clock), clock, userAgent: 'test' });
  const folder = new LocalFolder(join(dataDir, 'storage'), 'node-1');
  const common = { client, clock, logger: quiet };
  const sources = new Sources(common);
  const volumes = new VolumeManager({ ...common, dataDir, sources, localFolder: folder, canMount: false });
  const stop = new AbortController();
  const reclaim = new LocalReclaim({ ...common, random: () => 0.5, folder });
  const running = reclaim.run(stop.signal);
  t.teardown(async () => {
    stop.abort();
    await running;
    await reclaim.close();
  });
  const mount = (pod: Pod) =>
    volumes.mount(pod, {
      pod,
      podIP: '',
      hostIP: '',
      hostIPs: [],
      nodeName: 'node-1',
      allocatable: { cpuMilli: 1000, memoryBytes: 1000, storageBytes: 64 * 2 ** 30 },
    });
  const path = (pod: Pod) => volumes.pathOf(pod, { volume: 'v', container: 'app', index: 0, subPath: '' });
  return { dataDir, folder, client, volumes, mount, path };
}
type Setup = Awaited<ReturnType<typeof setup>>;

const localVolume = (
  path: string,
  more: Partial<PersistentVolume['spec']> = {},
  node = 'node-1',
): PersistentVolume => ({
  metadata: {
    name: 'pv',
    uid: 'u-pv',
    labels: { [LOCAL_LABEL]: 'true' },
    annotations: { [PROVISIONED_BY]: LOCAL_PROVISIONER, [LOCAL_NODE]: node },
    finalizers: [LOCAL_FINALIZER],
  },
  spec: { local: { path }, persistentVolumeReclaimPolicy: 'Delete', ...more },
});
const podOf = (uid: string, more: Partial<NonNullable<Pod['spec']>> = {}): Pod => ({
  metadata: { name: uid, namespace: 'ns', uid },
  spec: { containers: [], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }], ...more },
});

/** A bound claim `c`, and its volume. */
async function bind({ client }: Setup, volume: PersistentVolume): Promise<void> {
  const claim = await client.create(persistentvolumeclaims, {
    metadata: { name: 'c', namespace: 'ns' },
    spec: { volumeName: 'pv' },
    status: { phase: 'Bound' },
  });
  const claimRef = { namespace: 'ns', name: 'c', uid: claim.metadata?.uid ?? '' };
  await client.create(persistentvolumes, {
    ...volume,
    spec: { ...volume.spec, claimRef },
    status: { phase: 'Bound' },
  });
}

test('data outlives its pods, and goes with the volume', async t => {
  const at = await setup(t);
  const { folder, client, volumes, mount, path } = at;
  await bind(at, localVolume(join(folder.path, 'pv_ns_c')));
  const first = podOf('u1');
  await mount(first);
  t.is(await path(first), join(folder.path, 'pv_ns_c'));
  t.is((await stat(await path(first))).mode & 0o777, 0o777);
  await writeFile(join(await path(first), 'data'), 'kept');
  await volumes.unmount('u1');
  const second = podOf('u2');
  await mount(second);
  t.is(await readFile(join(await path(second), 'data'), 'utf8'), 'kept');
  await client.delete(persistentvolumes, { name: 'pv' });
  t.deepEqual(await readdir(folder.path), ['pv_ns_c'], 'a bound volume keeps its data, whoever deletes it');
  const going = await client.get(persistentvolumes, { name: 'pv' });
  await client.update(persistentvolumes, { ...going, status: { phase: 'Released' } }, { subresource: 'status' });
  await until('the volume is gone', () =>
    client.get(persistentvolumes, { name: 'pv' }).then(
      () => false,
      error => hasReason(error, 'NotFound'),
    ),
  );
  t.deepEqual(await readdir(folder.path), []);
});

test('a volume that is to be retained loses its object only, and another node’s is left alone', async t => {
  const { folder, client } = await setup(t);
  await mkdir(join(folder.path, 'a'), { recursive: true });
  const kept = localVolume(join(folder.path, 'a'), { persistentVolumeReclaimPolicy: 'Retain' });
  await client.create(persistentvolumes, kept);
  const foreign = localVolume(join(folder.path, 'a'), {}, 'node-2');
  await client.create(persistentvolumes, { ...foreign, metadata: { ...foreign.metadata, name: 'other' } });
  await client.delete(persistentvolumes, { name: 'other' });
  await client.delete(persistentvolumes, { name: 'pv' });
  await until('the object is gone', async () => (await client.list(persistentvolumes)).items.length === 1);
  t.deepEqual(await readdir(folder.path), ['a']);
});

test('a pod does not start on a claim that is not its to use', async t => {
  const at = await setup(t);
  const { folder, client, mount } = at;
  await bind(at, localVolume(join(folder.path, 'pv_ns_c')));
  const claim = await client.get(persistentvolumeclaims, { namespace: 'ns', name: 'c' });
  const fails = async (pod: Pod) => (await t.throwsAsync(mount(pod), { instanceOf: VolumeError })).message;
  const volume = await client.get(persistentvolumes, { name: 'pv' });
  await client.update(persistentvolumes, {
    ...volume,
    spec: { ...volume.spec, claimRef: { namespace: 'ns', name: 'c', uid: 'x' } },
  });
  t.is(await fails(podOf('u1')), 'error processing PVC ns/c: PV pv is bound to another claim');
  await client.update(persistentvolumeclaims, { ...claim, status: { phase: 'Lost' } }, { subresource: 'status' });
  t.is(await fails(podOf('u1')), 'error processing PVC ns/c: PVC is not bound');
  await client.create(persistentvolumeclaims, {
    metadata: { name: 'u1-v', namespace: 'ns' },
    status: { phase: 'Bound' },
  });
  const ephemeral = podOf('u1', { volumes: [{ name: 'v', ephemeral: {} }] });
  t.is(await fails(ephemeral), 'error processing PVC ns/u1-v: PVC was not created for pod (pod is not owner)');
});

test('other volumes behind a claim: hostPath, local, and what is not there', async t => {
  const at = await setup(t);
  const { dataDir, client, mount, path } = at;
  await bind(at, { metadata: { name: 'pv' }, spec: { local: { path: join(dataDir, 'disk') } } });
  let count = 0;
  const fails = async () => (await t.throwsAsync(mount(podOf(`f${count++}`)), { instanceOf: VolumeError })).message;
  t.is(await fails(), `path "${join(dataDir, 'disk')}" does not exist`);
  await mkdir(join(dataDir, 'disk'));
  await mount(podOf('u1'));
  t.is(await path(podOf('u1')), join(dataDir, 'disk'));
  const change = async (source: object) => {
    const { spec: { local: _local, hostPath: _host, iscsi: _iscsi, ...spec } = {}, ...rest } = await client.get(
      persistentvolumes,
      {
        name: 'pv',
      },
    );
    await client.update(persistentvolumes, { ...rest, spec: { ...spec, ...source } });
  };
  const device = () => at.volumes.devicePathOf(podOf('u1'), 'v');
  await t.throwsAsync(device(), { message: 'volume v has volumeMode Filesystem, but is specified in volumeDevices' });
  await change({ hostPath: { path: join(dataDir, 'made'), type: 'DirectoryOrCreate' } });
  await mount(podOf('u2'));
  t.is(await path(podOf('u2')), join(dataDir, 'made'));
  await change({ iscsi: { targetPortal: 'x', iqn: 'y', lun: 0 } });
  t.is(await fails(), 'volumes of type iscsi are not supported by this node');
  await change({ hostPath: { path: '/' }, volumeMode: 'Block' });
  t.is(await fails(), 'block volumes of type hostPath are not supported by this node');
  await change({ local: { path: join(dataDir, 'disk') }, volumeMode: 'Block' });
  t.is(await fails(), `path "${join(dataDir, 'disk')}" is not a block device`);
});

test('no path of a volume leads out of the folder', async t => {
  const { dataDir, folder } = await setup(t);
  await mkdir(join(dataDir, 'precious'));
  await mkdir(folder.path);
  const paths = [
    join(dataDir, 'precious'),
    `${folder.path}/../precious`,
    `${folder.path}/..`,
    `${folder.path}/.`,
    `${folder.path}/a/b`,
    `${folder.path}//a`,
    folder.path,
    '/',
    '',
    'a',
  ];
  for (const path of paths) {
    await t.throwsAsync(folder.make(localVolume(path)), { instanceOf: LocalFolderError }, path);
    await t.throwsAsync(folder.remove(localVolume(path)), { instanceOf: LocalFolderError }, path);
  }
  await symlink(join(dataDir, 'precious'), join(folder.path, 'link'));
  await t.throwsAsync(folder.make(localVolume(join(folder.path, 'link'))), { instanceOf: LocalFolderError });
  await folder.remove(localVolume(join(folder.path, 'link')));
  t.true((await stat(join(dataDir, 'precious'))).isDirectory());
  await t.throwsAsync(folder.make(localVolume(join(folder.path, 'a'), {}, 'node-2')), { instanceOf: LocalFolderError });
});

test('links in a volume are removed, not what they point at', async t => {
  const { dataDir, folder } = await setup(t);
  const path = await folder.make(localVolume(join(folder.path, 'a')));
  await writeFile(join(dataDir, 'precious'), 'kept');
  await symlink(dataDir, join(path, 'up'));
  await symlink(join(dataDir, 'precious'), join(path, 'file'));
  await folder.remove(localVolume(path));
  await folder.remove(localVolume(path));
  t.is(await readFile(join(dataDir, 'precious'), 'utf8'), 'kept');
  t.deepEqual(await readdir(folder.path), []);
});

test('fsGroup owns a local volume; links are left alone', async t => {
  if (process.getuid?.() !== 0) {
    t.pass('needs root');
    return;
  }
  const at = await setup(t);
  const { dataDir, folder, mount } = at;
  await bind(at, localVolume(join(folder.path, 'a')));
  await mkdir(join(folder.path, 'a/deep'), { recursive: true, mode: 0o700 });
  await writeFile(join(folder.path, 'a/deep/file'), '', { mode: 0o600 });
  await writeFile(join(dataDir, 'precious'), '', { mode: 0o600 });
  await symlink(join(dataDir, 'precious'), join(folder.path, 'a/link'));
  await mount(podOf('u1', { securityContext: { fsGroup: 1234 } }));
  const seen = async (path: string) => {
    const { gid, mode } = await lstat(path);
    return `${gid} ${(mode & 0o7777).toString(8)}`;
  };
  t.regex(await seen(join(folder.path, 'a')), /^1234 27/);
  t.is(await seen(join(folder.path, 'a/deep')), '1234 2770');
  t.is(await seen(join(folder.path, 'a/deep/file')), '1234 660');
  t.is(await seen(join(dataDir, 'precious')), '0 600');
  await writeFile(join(folder.path, 'a/deep/late'), '', { mode: 0o600 });
  await mount(podOf('u2', { securityContext: { fsGroup: 1234, fsGroupChangePolicy: 'OnRootMismatch' } }));
  t.is(await seen(join(folder.path, 'a/deep/late')), '1234 600', 'the root was right already');
});
