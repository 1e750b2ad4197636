import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RestClient } from '../../control/client/rest.ts';
import { ManualClock } from '../../control/client/testing/manual-clock.ts';
import { MemoryApi } from '../../control/client/testing/memory-api.ts';
import { configmaps, type Pod, secrets, type Volume } from '../api.ts';
import { quiet } from '../testing/world.ts';
import { makePayload, VolumeError } from './content.ts';
import { LocalFolder } from './local-folder.ts';
import { VolumeManager } from './manager.ts';
import { Sources } from './sources.ts';

async function setup(t: ExecutionContext) {
  const dataDir = await mkdtemp(join(tmpdir(), 'raftsman-volumes-'));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const clock = new ManualClock();
  const client = new RestClient({ transport: new MemoryApi(clock), clock, userAgent: 'test' });
  const sources = new Sources({ client, clock });
  const localFolder = new LocalFolder(join(dataDir, 'storage'), 'node-1');
  const volumes = new VolumeManager({ dataDir, client, sources, localFolder, clock, logger: quiet, canMount: false });
  const make = (volume: Omit<Volume, 'name'>, more: Partial<NonNullable<Pod['spec']>> = {}): Pod => ({
    metadata: { name: 'web', namespace: 'ns', uid: 'u1', labels: { app: 'web', tier: 'front' } },
    spec: {
      containers: [{ name: 'app', resources: { limits: { memory: '64Mi' } } }],
      volumes: [{ name: 'v', ...volume }],
      ...more,
    },
  });
  const context = (pod: Pod) => ({
    pod,
    podIP: '10.42.0.2',
    hostIP: '192.0.2.1',
    hostIPs: ['192.0.2.1'],
    nodeName: 'node-1',
    allocatable: { cpuMilli: 1000, memoryBytes: 1000, storageBytes: 64 * 2 ** 30 },
  });
  const mount = (pod: Pod) => volumes.mount(pod, context(pod));
  const path = (pod: Pod, subPath = '') => volumes.pathOf(pod, { volume: 'v', container: 'app', index: 0, subPath });
  const refresh = (pod: Pod) => volumes.refresh(pod, context(pod));
  await client.create(configmaps, {
    metadata: { name: 'settings', namespace: 'ns' },
    data: { color: 'blue', size: 'xl' },
    binaryData: { raw: 'AAE=' },
  });
  await client.create(secrets, { metadata: { name: 'login', namespace: 'ns' }, data: { password: 'c2VzYW1l' } });
  return { dataDir, clock, client, volumes, make, mount, path, refresh };
}

test('a ConfigMap becomes files behind one link', async t => {
  const { make, mount, path } = await setup(t);
  const pod = make({ configMap: { name: 'settings', defaultMode: 0o440 } });
  await mount(pod);
  const root = await path(pod);
  t.deepEqual((await readdir(root)).filter(name => !name.startsWith('..')).sort(), ['color', 'raw', 'size']);
  t.is(await readFile(join(root, 'color'), 'utf8'), 'blue');
  t.deepEqual(await readFile(join(root, 'raw')), Buffer.from([0, 1]));
  t.is((await stat(join(root, 'color'))).mode & 0o777, 0o440);
  t.is(await readlink(join(root, 'color')), '..data/color');
});

test('a change swaps all files at once and leaves nothing of the old', async t => {
  const { make, mount, path, client, clock, refresh } = await setup(t);
  const pod = make({ configMap: { name: 'settings' } });
  await mount(pod);
  const root = await path(pod);
  const before = await readlink(join(root, '..data'));
  t.deepEqual(await refresh(pod), []);
  await client.update(configmaps, {
    metadata: { name: 'settings', namespace: 'ns' },
    data: { color: 'red', shape: 'round' },
  });
  await clock.advance(60_000);
  t.deepEqual(await refresh(pod), ['v']);
  t.is(await readFile(join(root, 'color'), 'utf8'), 'red');
  t.deepEqual((await readdir(root)).filter(name => !name.startsWith('..')).sort(), ['color', 'shape']);
  t.false((await readdir(root)).includes(before));
  // What vanishes from the API stays in the pods that have it.
  await client.delete(configmaps, { namespace: 'ns', name: 'settings' });
  await clock.advance(60_000);
  t.deepEqual(await refresh(pod), []);
  t.is(await readFile(join(root, 'color'), 'utf8'), 'red');
});

test('chosen keys under chosen paths, with chosen modes', async t => {
  const { make, mount, path } = await setup(t);
  const pod = make({ secret: { secretName: 'login', items: [{ key: 'password', path: 'a/b/pass', mode: 0o400 }] } });
  await mount(pod);
  const file = join(await path(pod), 'a/b/pass');
  t.is(await readFile(file, 'utf8'), 'sesame');
  t.is((await stat(file)).mode & 0o777, 0o400);
});

test('what is missing, and what may be', async t => {
  const { make, mount, path } = await setup(t);
  const fails = async (volume: Omit<Volume, 'name'>) =>
    (await t.throwsAsync(mount(make(volume)), { instanceOf: VolumeError })).message;
  t.is(await fails({ configMap: { name: 'none' } }), 'configmap "none" not found');
  t.is(await fails({ secret: { secretName: 'none' } }), 'secret "none" not found');
  t.is(
    await fails({ configMap: { name: 'settings', items: [{ key: 'none', path: 'x' }] } }),
    'references non-existent config key: none',
  );
  t.is(await fails({ configMap: { name: 'settings', items: [{ key: 'color', path: '../x' }] } }), 'invalid path: ../x');
  t.is(await fails({ nfs: { server: 'a', path: '/' } }), 'volumes of type nfs need an agent that runs as root');
  t.is(await fails({ csi: { driver: 'a' } }), 'volumes of type csi need an agent that runs as root');
  t.is(await fails({ rbd: { image: 'a', monitors: [] } }), 'volumes of type rbd are not supported by this node');
  t.is(
    await fails({ emptyDir: { medium: 'HugePages' } }),
    'volumes of type emptyDir with medium HugePages are not supported by this node',
  );
  t.is(
    await fails({ persistentVolumeClaim: { claimName: 'none' } }),
    'error processing PVC ns/none: failed to fetch PVC from API server: persistentvolumeclaims "none" not found',
  );
  t.regex(
    await fails({ projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }),
    /token for service account ns\/default/,
  );
  const optional = make({ configMap: { name: 'none', optional: true } });
  await mount(optional);
  t.deepEqual(
    (await readdir(await path(optional))).filter(name => !name.startsWith('..')),
    [],
  );
});

test('several sources in one projected volume', async t => {
  const { make, mount, path } = await setup(t);
  const pod = make({
    projected: {
      sources: [
        { configMap: { name: 'settings', items: [{ key: 'color', path: 'color' }] } },
        { secret: { name: 'login' } },
        {
          downwardAPI: {
            items: [
              { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
              { path: 'memory', resourceFieldRef: { containerName: 'app', resource: 'limits.memory', divisor: '1Mi' } },
            ],
          },
        },
      ],
    },
  });
  await mount(pod);
  const root = await path(pod);
  const text = (name: string) => readFile(join(root, name), 'utf8');
  t.deepEqual(await Promise.all(['color', 'password', 'labels', 'memory'].map(text)), [
    'blue',
    'sesame',
    'app="web"\ntier="front"',
    '64',
  ]);
});

test('CVE-2017-1002101: subPath stays inside the volume, also behind links', async t => {
  const { make, mount, path, dataDir } = await setup(t);
  const pod = make({ emptyDir: {} });
  await mount(pod);
  const root = await path(pod);
  t.is((await stat(root)).mode & 0o777, 0o777);
  t.is(await path(pod, 'a/b'), join(root, 'a/b'));
  t.is((await stat(join(root, 'a'))).mode & 0o777, 0o777, 'what is made is as open as the volume');
  t.true((await stat(join(root, 'a/b'))).isDirectory());
  await mkdir(join(dataDir, 'outside'));
  await symlink(join(dataDir, 'outside'), join(root, 'way-out'));
  await t.throwsAsync(path(pod, 'way-out'), { instanceOf: VolumeError });
  await t.throwsAsync(path(pod, 'way-out/deeper'), { instanceOf: VolumeError });
  await t.throwsAsync(path(pod, '../other'), {
    instanceOf: VolumeError,
    message: "unable to provision SubPath `../other`: must not contain '..'",
  });
  await t.throwsAsync(path(pod, '/tmp'), {
    instanceOf: VolumeError,
    message: 'error SubPath `/tmp` must not be an absolute path',
  });
  await symlink('../../../outside', join(root, 'way-up'));
  await t.throwsAsync(path(pod, 'way-up'), { message: /leads out of its folder/ });
  await symlink('loop', join(root, 'loop'));
  await t.throwsAsync(path(pod, 'loop/x'), { message: /has too many links/ });
  await symlink('a/../a/./b', join(root, 'within'));
  t.is(await path(pod, 'within'), join(root, 'a/b'), 'links inside are followed');
  t.deepEqual(await readdir(join(dataDir, 'outside')), []);
});

test('CVE-2024-10220, CVE-2025-1767: a gitRepo is not fetched, from nowhere', async t => {
  const { make, mount } = await setup(t);
  for (const repository of ['https://example.com/a.git', '/etc', 'ext::sh -c id']) {
    await t.throwsAsync(mount(make({ gitRepo: { repository } })), {
      instanceOf: VolumeError,
      message: /volumes of type gitRepo are not supported by this node/,
    });
  }
});

test('hostPath is what its type asks for', async t => {
  const { make, mount, path, dataDir } = await setup(t);
  const file = join(dataDir, 'file');
  await writeFile(file, '');
  const wants = (type: string, where: string) => make({ hostPath: { path: where, type } });
  await mount(wants('File', file));
  t.is(await path(wants('File', file)), file);
  await t.throwsAsync(mount(wants('Directory', file)), {
    message: `hostPath type check failed: ${file} is not a directory`,
  });
  await t.throwsAsync(mount(wants('Socket', join(dataDir, 'none'))), { message: /is not a socket file/ });
  await mount(wants('DirectoryOrCreate', join(dataDir, 'x/y')));
  t.true((await stat(join(dataDir, 'x/y'))).isDirectory());
  await mount(wants('FileOrCreate', join(dataDir, 'x/z')));
  t.true((await stat(join(dataDir, 'x/z'))).isFile());
  await t.throwsAsync(mount(wants('FileOrCreate', join(dataDir, 'none/z'))), { message: /ENOENT/ });
  await mount(wants('', file));
  t.true((await stat(file)).isFile());
  await mount(wants('', join(dataDir, 'y/nothing')));
  t.true((await stat(join(dataDir, 'y/nothing'))).isDirectory(), 'as runtimes do');
});

test('unmount removes the pod and nothing else', async t => {
  const { make, mount, volumes, dataDir } = await setup(t);
  await writeFile(join(dataDir, 'precious'), 'kept');
  const pod = make({ hostPath: { path: dataDir } });
  await mount(pod);
  await symlink(dataDir, join(volumes.podDir('u1'), 'link'));
  await volumes.unmount('u1');
  await volumes.unmount('u1');
  t.deepEqual(await readdir(join(dataDir, 'pods')), []);
  t.is(await readFile(join(dataDir, 'precious'), 'utf8'), 'kept');
  t.throws(() => volumes.podDir('../etc'), { instanceOf: RangeError });
});

test('what containers made of the mode of their volume stays, also for the next agent', async t => {
  const { make, mount, path } = await setup(t);
  const pod = make({ emptyDir: {} });
  await mount(pod);
  await chmod(await path(pod), 0o700);
  await mount(pod);
  t.is((await stat(await path(pod))).mode & 0o777, 0o700);
});

test('a token is its user’s alone where all containers run as one', async t => {
  const projected = { sources: [{ serviceAccountToken: { path: 'token' } }] };
  const tokenOf = (pod: Pod) =>
    makePayload(
      { name: 'v', projected },
      { configMap: () => undefined, secret: () => undefined, token: () => 'secret' },
      {
        pod,
        podIP: '',
        hostIP: '',
        hostIPs: [],
        nodeName: 'n',
        allocatable: { cpuMilli: 1, memoryBytes: 1, storageBytes: 64 * 2 ** 30 },
      },
    ).get('token');
  const podOf = (securityContext: object, ...own: object[]): Pod => ({
    metadata: { name: 'p' },
    spec: { securityContext, containers: own.map((each, at) => ({ name: `c${at}`, securityContext: each })) },
  });
  t.like(tokenOf(podOf({}, {})), { mode: 0o644 });
  t.like(tokenOf(podOf({ runAsUser: 1000 }, {}, {})), { mode: 0o600, owner: 1000 });
  t.like(tokenOf(podOf({ runAsUser: 1000 }, {}, { runAsUser: 2 })), { mode: 0o644 });
  t.like(tokenOf(podOf({ fsGroup: 5 }, {})), { mode: 0o600 });
});
