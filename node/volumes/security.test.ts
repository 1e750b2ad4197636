/** What hostile pods tried on others' kubelets, by the number under which it became known. */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Pod } from '../api.ts';
import { makeContainerSpec } from '../pods/container-spec.ts';
import { writeAtomically } from './atomic-directory.ts';
import { makePayload, VolumeError } from './content.ts';
import { isMountPoint, mountsBelow, unmount } from './mounts.ts';
import { openBelow, pathOfHandle, UnsafePathError } from './safe-path.ts';
import { prepareSubPath } from './sub-path.ts';

async function folderOf(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-hostile-'));
  t.teardown(async () => {
    for (const point of await mountsBelow(folder)) await unmount(point);
    await rm(folder, { recursive: true, force: true });
  });
  await mkdir(join(folder, 'secret'));
  await writeFile(join(folder, 'secret/key'), 'the host’s');
  await mkdir(join(folder, 'volume'));
  return folder;
}

const isRoot = process.getuid?.() === 0;

/** Swaps a directory and a link to the outside, as fast as it can, until told to stop. */
async function swap(folder: string, signal: AbortSignal): Promise<number> {
  const volume = join(folder, 'volume');
  await mkdir(join(volume, 'part'));
  await writeFile(join(volume, 'part/key'), 'the pod’s');
  await symlink('../secret', join(volume, 'other'));
  let count = 0;
  while (!signal.aborted) {
    await rename(join(volume, 'part'), join(volume, 'third'));
    await rename(join(volume, 'other'), join(volume, 'part'));
    await rename(join(volume, 'third'), join(volume, 'other'));
    count++;
  }
  return count;
}

test('CVE-2021-25741: links that are swapped while the agent looks lead nowhere', async t => {
  const folder = await folderOf(t);
  const stop = new AbortController();
  const swapping = swap(folder, stop.signal);
  const seen = new Set<string>();
  for (let attempt = 0; attempt < 400; attempt++) {
    try {
      await using handle = await openBelow(join(folder, 'volume'), 'part', {});
      seen.add(await readFile(`${pathOfHandle(handle)}/key`, 'utf8'));
    } catch (error) {
      // For a moment nothing is there at all.
      const isGone = error instanceof Error && 'code' in error && ['ENOENT', 'EINVAL'].includes(String(error.code));
      if (!(error instanceof UnsafePathError) && !isGone) throw error;
      seen.add('refused');
    }
  }
  stop.abort();
  t.true((await swapping) > 10, 'it was swapped meanwhile');
  t.false(seen.has('the host’s'));
});

(isRoot ? test : test.skip)(
  `CVE-2021-25741: what is mounted is what was checked${isRoot ? '' : ' (needs root)'}`,
  async t => {
    const folder = await folderOf(t);
    const place = join(folder, 'places/v/app/0');
    const stop = new AbortController();
    const swapping = swap(folder, stop.signal);
    const seen = new Set<string>();
    for (let attempt = 0; attempt < 25; attempt++) {
      try {
        const path = await prepareSubPath({
          volume: 'v',
          container: 'app',
          root: join(folder, 'volume'),
          subPath: 'part',
          place,
        });
        t.is(path, place);
        seen.add(await readFile(join(place, 'key'), 'utf8').catch(() => 'an empty part'));
      } catch (error) {
        if (!(error instanceof VolumeError)) throw error;
        seen.add('refused');
      }
    }
    stop.abort();
    await swapping;
    t.false(seen.has('the host’s'));
    t.true(seen.has('the pod’s') || seen.has('an empty part'));
  },
);

(isRoot ? test : test.skip)(
  `a part of a volume is mounted anew for each container${isRoot ? '' : ' (needs root)'}`,
  async t => {
    const folder = await folderOf(t);
    const root = join(folder, 'volume');
    const place = join(folder, 'places/0');
    const prepare = (subPath: string) => prepareSubPath({ volume: 'v', container: 'app', root, subPath, place });
    await writeFile(join(root, 'one'), '1');
    await prepare('one');
    t.is(await readFile(place, 'utf8'), '1');
    await mkdir(join(root, 'dir'));
    await writeFile(join(root, 'dir/two'), '2');
    await prepare('dir');
    t.deepEqual(await readdir(place), ['two']);
    // The agent writes a new file and swaps the link, as for a ConfigMap: the next container sees the new one.
    await symlink('one', join(root, 'current'));
    await prepare('current');
    t.is(await readFile(place, 'utf8'), '1');
    await writeFile(join(root, 'three'), '3');
    await symlink('three', join(root, 'next'));
    await rename(join(root, 'next'), join(root, 'current'));
    await prepare('current');
    t.is(await readFile(place, 'utf8'), '3');
    t.is((await mountsBelow(folder)).length, 1);
    t.true(await isMountPoint(place));
  },
);

/** What a container's specification is made from besides the pod. */
const plainInput = {
  attempt: 0,
  env: [],
  files: { hosts: '/h', hostname: '/n', resolvConf: '/r', warnings: [] },
  terminationMessageFile: '/t',
  nodeMemoryBytes: 1,
};

test('CVE-2017-1002102: no container writes to what the agent writes', t => {
  const volumes = [
    { name: 'config', configMap: { name: 'c' } },
    { name: 'secret', secret: { secretName: 's' } },
    { name: 'down', downwardAPI: {} },
    { name: 'all', projected: { sources: [] } },
    { name: 'claim', persistentVolumeClaim: { claimName: 'c', readOnly: true } },
    { name: 'own', emptyDir: {} },
  ];
  const container = {
    name: 'app',
    volumeMounts: volumes.map(({ name }) => ({ name, mountPath: `/${name}`, readOnly: false })),
  };
  const pod: Pod = { metadata: { name: 'p' }, spec: { containers: [container], volumes } };
  const { mounts } = makeContainerSpec({
    ...plainInput,
    pod,
    container,
    volumePaths: volumes.map(({ name }) => `/host/${name}`),
  });
  const writable = mounts.filter(({ readOnly, hostPath }) => !readOnly && hostPath.startsWith('/host/'));
  t.deepEqual(
    writable.map(({ containerPath }) => containerPath),
    ['/own'],
  );
});

test('CVE-2017-1002102: links planted where the agent writes lead nowhere', async t => {
  const payload = new Map([['key', { bytes: Buffer.from('new'), mode: 0o644 }]]);
  for (const target of ['../secret', '..', '.', '..2', '../..', '/']) {
    const folder = await folderOf(t);
    const root = join(folder, 'volume');
    await symlink(target, join(root, '..data'));
    await symlink('../secret', join(root, '..data_tmp'));
    await symlink('../secret/key', join(root, 'key'));
    await writeAtomically(root, payload, { group: undefined, now: 0 });
    t.is(await readFile(join(root, '..data/key'), 'utf8'), 'new', target);
    t.is(await readFile(join(folder, 'secret/key'), 'utf8'), 'the host’s', target);
    t.true((await stat(folder)).isDirectory());
  }
  const folder = await folderOf(t);
  await mkdir(join(folder, 'volume/..data'));
  await mkdir(join(folder, 'volume/..data_tmp'));
  await writeAtomically(join(folder, 'volume'), payload, { group: undefined, now: 0 });
  t.is(await readFile(join(folder, 'volume/key'), 'utf8'), 'new');
});

test('keys and paths with dots lead nowhere', t => {
  const context = {
    pod: { metadata: { name: 'p' } },
    podIP: '',
    hostIP: '',
    hostIPs: [],
    nodeName: 'n',
    allocatable: { cpuMilli: 1, memoryBytes: 1, storageBytes: 64 * 2 ** 30 },
  };
  const sources = (data: Record<string, string>) => ({
    configMap: () => ({ data }),
    secret: () => undefined,
    token: () => '',
  });
  const refused = ['..', '../x', '../../etc/passwd', '..data', '..data/x', 'a/../../x', '/etc/passwd', '...x', '.', ''];
  for (const key of refused) {
    const make = () => makePayload({ name: 'v', configMap: { name: 'c' } }, sources({ [key]: 'x' }), context);
    t.throws(make, { instanceOf: VolumeError }, key);
    const items = [{ key: 'k', path: key }];
    const chosen = () => makePayload({ name: 'v', configMap: { name: 'c', items } }, sources({ k: 'x' }), context);
    t.throws(chosen, { instanceOf: VolumeError }, key);
  }
  const kept = makePayload({ name: 'v', configMap: { name: 'c' } }, sources({ 'a..b': '2', '.c': '3' }), context);
  t.deepEqual([...kept.keys()].sort(), ['.c', 'a..b']);
});

test('CVE-2023-2431: a profile of the node without a name does not mean none', t => {
  const seccompProfile = { type: 'Localhost' };
  const container = { name: 'app', securityContext: { seccompProfile } };
  const pod: Pod = { metadata: { name: 'p' }, spec: { containers: [container], securityContext: { seccompProfile } } };
  const { security } = makeContainerSpec({ ...plainInput, pod, container, volumePaths: [] });
  t.not(security.seccomp, 'Unconfined');
});
