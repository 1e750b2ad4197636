/** The files of an image as a volume: what every runtime that takes images in makes of it. Part of the runtime's contract. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { TestFn } from 'ava';
import { type Entry, imageOf, savedImage, tarOf } from '../testing/image-archive.ts';
import { ImageVolumes } from '../volumes/image-volumes.ts';
import { isMountPoint } from '../volumes/mounts.ts';
import { podFolder, removePodFolder } from '../volumes/pod-folders.ts';
import { prepareSubPath } from '../volumes/sub-path.ts';
import { type Fixture, type RuntimeHarness, register } from './testing/fixture.ts';

const POD = 'a-pod';

const below: readonly Entry[] = [
  { name: './', type: 'directory', mode: 0o755 },
  { name: 'dir', type: 'directory', mode: 0o750, uid: 7, gid: 8 },
  { name: 'dir/file', mode: 0o640, uid: 7, gid: 8, content: 'below\n' },
  { name: 'gone', mode: 0o644, content: 'gone\n' },
  { name: 'run', mode: 0o755, content: '#!/bin/sh\necho ran\n' },
];
const above: readonly Entry[] = [
  { name: '.wh.gone', mode: 0o644 },
  // Said again, with what is below and beside it: engines take each layer by itself.
  { name: 'dir', type: 'directory', mode: 0o750, uid: 7, gid: 8 },
  { name: 'dir/more', mode: 0o600, content: 'above\n' },
  { name: 'dir/again', type: 'link', mode: 0o600, linkname: 'dir/more' },
  { name: 'link', type: 'symlink', linkname: 'dir/file' },
  { name: 'out', type: 'symlink', linkname: '/etc' },
  { name: 'up', type: 'symlink', linkname: '../../..' },
];

let images = 0;

async function importFiles(fixture: Fixture, ...layers: readonly (readonly Entry[])[]): Promise<string> {
  images += 1;
  const name = `raftsman-test/files-${process.pid}-${images}:1`;
  const image = imageOf(await Promise.all(layers.map(layer => tarOf(layer))), { Labels: { test: name } });
  await fixture.runtime.importImages?.(Readable.from([await savedImage(name, image)]));
  return name;
}

/** A node's folder of pods with volumes in it. */
async function volumesOf(fixture: Fixture, t: { teardown(callback: () => Promise<void>): void }) {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-image-volume-'));
  const end = () => removePodFolder(podFolder(dataDir, POD));
  t.teardown(async () => {
    await end();
    await rm(dataDir, { recursive: true, force: true });
  });
  const volumes = () => new ImageVolumes({ dataDir, canMount: true, runtime: fixture.runtime });
  const { signal } = new AbortController();
  const mount = (reference: string) => volumes().mount({ podUid: POD, name: 'v', reference, signal });
  return { dataDir, volumes, mount, end, path: volumes().pathOf(POD, 'v') };
}

async function outputOf(fixture: Fixture, hostPath: string, script: string): Promise<string> {
  const sandbox = await fixture.sandbox();
  const mount = { hostPath, containerPath: '/v', readOnly: true, propagation: 'private', noExec: true } as const;
  const id = await fixture.shell(sandbox.id, script, { mounts: [mount] });
  await fixture.exited(id);
  const output = await fixture.output(id);
  await fixture.runtime.removeContainer(id);
  return output;
}

export function imageVolumeContract(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);

  add('the files of an image are a volume: as they are, read-only, and none is run', async (t, fixture) => {
    const image = await importFiles(fixture, below, above);
    const place = await volumesOf(fixture, t);
    await place.mount(image);
    t.is(
      await outputOf(
        fixture,
        place.path,
        'cd /v; echo *; stat -c "%a %u %g %n" dir dir/*; stat -c %h dir/more; cat link dir/again',
      ),
      'dir link out run up\n750 7 8 dir\n600 0 0 dir/again\n640 7 8 dir/file\n600 0 0 dir/more\n2\nbelow\nabove\n',
    );
    const refused = await outputOf(fixture, place.path, 'exec 2>&1; touch /v/x; echo x >/v/dir/file; /v/run; echo $?');
    t.regex(refused, /touch: \/v\/x: Read-only file system\n/);
    t.regex(refused, /\/v\/dir\/file: Read-only file system\n/);
    t.regex(refused, /\/v\/run: Permission denied\n126\n$/);
    await place.end();
    await fixture.runtime.removeImage?.(image);
  });

  add('a volume of an image outlives the agent, and nothing of it outlives its pod', async (t, fixture) => {
    const image = await importFiles(fixture, below);
    const place = await volumesOf(fixture, t);
    t.false(await place.volumes().isMounted(POD, 'v'));
    await place.mount(image);
    await fixture.restart();
    t.true(await place.volumes().isMounted(POD, 'v'));
    await place.mount(image);
    t.is(await outputOf(fixture, place.path, 'cat /v/dir/file'), 'below\n');
    if (fixture.runtime.name === 'native') {
      await t.throwsAsync(async () => fixture.runtime.removeImage?.(image), { message: /is used by a container/ });
    }
    await place.end();
    t.false(await isMountPoint(place.path));
    t.deepEqual(await readdir(path.join(place.dataDir, 'pods')), []);
    await fixture.runtime.removeImage?.(image);
    t.is(await fixture.runtime.imageStatus(image), undefined);
  });

  add('a part of an image is a volume, and no link leads out of it', async (t, fixture) => {
    const image = await importFiles(fixture, below, above);
    const place = await volumesOf(fixture, t);
    await place.mount(image);
    const part = (subPath: string) =>
      prepareSubPath({
        ...{ volume: 'v', container: 'c', root: place.path, subPath },
        place: path.join(podFolder(place.dataDir, POD), 'volume-subpaths', 'v', 'c', '0'),
      });
    t.regex(
      await outputOf(fixture, await part('dir'), 'cat /v/file; touch /v/x 2>&1'),
      /^below\ntouch: \/v\/x: Read-only file system\n$/,
    );
    for (const subPath of ['out', 'up', 'none']) await t.throwsAsync(part(subPath), undefined, subPath);
    await place.end();
    await fixture.runtime.removeImage?.(image);
  });

  add('an image that is not here is no volume', async (t, fixture) => {
    const place = await volumesOf(fixture, t);
    await t.throwsAsync(place.mount('raftsman-test/none:1'), { message: /none:1/ });
    t.false(await place.volumes().isMounted(POD, 'v'));
  });
}
