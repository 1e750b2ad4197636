import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { type Entry, imageOf, savedImage, tarOf } from '../testing/image-archive.ts';
import { importArchive } from './archive.ts';
import type { ImageStore, StoredImage } from './store.ts';
import { architecture, makeStore, storeUnavailable } from './test-store.ts';

const add = storeUnavailable === undefined ? test : test.skip;
const titled = (title: string) => (storeUnavailable === undefined ? title : `${title}: ${storeUnavailable}`);
const platform = { architecture } as const;

/** Imports layers and shows them as a container would see them. */
async function unpacked(t: ExecutionContext, layers: readonly (readonly Entry[])[]): Promise<string> {
  const { store } = await makeStore(t);
  const tars = await Promise.all(layers.map(tarOf));
  const archive = await savedImage('a:1', imageOf(tars));
  const [image] = await importArchive(Readable.from([archive]), { store, platform, id: '1' });
  return merged(t, store, image);
}

function merged(t: ExecutionContext, store: ImageStore, image: StoredImage | undefined): string {
  const layers = store.layers.stack(image?.chainId ?? '').map(layer => store.layers.diff(layer));
  const [only] = layers;
  if (layers.length === 1 && only !== undefined) return only;
  const target = mkdtempSync(path.join(tmpdir(), 'raftsman-merged-'));
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${layers.join(':')}`, target]);
  t.teardown(() => {
    execFileSync('umount', [target]);
    rmSync(target, { recursive: true });
  });
  return target;
}

add(titled('owners, modes, times, links, devices, pipes and attributes'), async t => {
  const mtime = new Date(1_234_567_890_000);
  const capability = 'SCHILY.xattr.user.note';
  const root = await unpacked(t, [
    [
      { name: 'd', type: 'directory', mode: 0o1750, uid: 7, gid: 8, mtime },
      { name: 'd/f', mode: 0o4755, uid: 1, gid: 2, mtime, content: 'hello', pax: { [capability]: 'value' } },
      { name: 'd/hard', type: 'link', linkname: 'd/f' },
      { name: 'd/soft', type: 'symlink', linkname: '/etc/passwd', uid: 3, gid: 4, mtime },
      { name: 'd/null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
      { name: 'd/pipe', type: 'fifo', mode: 0o600 },
      { name: `d/${'long-'.repeat(40)}name`, content: 'x' },
    ],
  ]);
  const at = (name: string) => lstatSync(path.join(root, name));
  t.like(at('d'), { uid: 7, gid: 8, mtimeMs: mtime.getTime() });
  t.is(at('d').mode & 0o7777, 0o1750);
  t.like(at('d/f'), { uid: 1, gid: 2, mtimeMs: mtime.getTime(), nlink: 2 });
  t.is(at('d/f').mode & 0o7777, 0o4755);
  t.is(at('d/f').ino, at('d/hard').ino);
  t.is(readlinkSync(path.join(root, 'd/soft')), '/etc/passwd');
  t.like(at('d/soft'), { uid: 3, gid: 4 });
  t.true(at('d/null').isCharacterDevice());
  t.is(at('d/null').rdev, 0x103);
  t.is(at('d/null').mode & 0o777, 0o666);
  t.true(at('d/pipe').isFIFO());
  t.is(readFileSync(path.join(root, `d/${'long-'.repeat(40)}name`), 'utf8'), 'x');
  const script = 'import os,sys; print(os.getxattr(sys.argv[1], "user.note").decode())';
  const python = ['/usr/bin/python3', '/usr/local/bin/python3'].find(existsSync);
  if (python) t.is(execFileSync(python, ['-c', script, path.join(root, 'd/f')], { encoding: 'utf8' }), 'value\n');
});

add(titled('whiteouts hide files and directories, opaque ones all that is below'), async t => {
  const root = await unpacked(t, [
    [
      { name: 'keep', content: '1' },
      { name: 'gone', content: '1' },
      { name: 'dir', type: 'directory' },
      { name: 'dir/below', content: '1' },
      { name: 'dir/sub', type: 'directory' },
      { name: 'dir/sub/below', content: '1' },
      { name: 'tree', type: 'directory' },
      { name: 'tree/leaf', content: '1' },
      { name: 'was-dir', type: 'directory' },
      { name: 'was-dir/x', content: '1' },
    ],
    [
      { name: '.wh.gone', content: '' },
      { name: '.wh.tree', content: '' },
      { name: 'dir/sub/own', content: '2' },
      { name: 'dir/.wh..wh..opq', content: '' },
      { name: 'dir/after', content: '2' },
      { name: 'was-dir', content: 'file now' },
    ],
    [{ name: 'keep', content: '3' }],
  ]);
  t.deepEqual(readdirSync(root).sort(), ['dir', 'keep', 'was-dir']);
  t.deepEqual(readdirSync(path.join(root, 'dir')).sort(), ['after', 'sub']);
  t.deepEqual(readdirSync(path.join(root, 'dir/sub')), ['own']);
  t.is(readFileSync(path.join(root, 'keep'), 'utf8'), '3');
  t.is(readFileSync(path.join(root, 'was-dir'), 'utf8'), 'file now');
});

add(titled('links of the layers below lead to where they would inside'), async t => {
  const root = await unpacked(t, [
    [
      { name: 'usr/lib', type: 'directory' },
      { name: 'lib', type: 'symlink', linkname: '/usr/lib' },
    ],
    [{ name: 'lib/a.so', content: 'a' }],
  ]);
  t.true(lstatSync(path.join(root, 'lib')).isSymbolicLink());
  t.is(readFileSync(path.join(root, 'usr/lib/a.so'), 'utf8'), 'a');
});

add(titled('nothing leads out of the layer (CVE-2014-9356, CVE-2018-15664, CVE-2019-14271)'), async t => {
  const outside = mkdtempSync(path.join(tmpdir(), 'raftsman-outside-'));
  t.teardown(() => rmSync(outside, { recursive: true }));
  const up = '../'.repeat(12);
  const root = await unpacked(t, [
    [
      { name: 'absolute', type: 'symlink', linkname: outside },
      { name: 'absolute/file', content: 'x' },
      { name: 'relative', type: 'symlink', linkname: `${up}${outside.slice(1)}` },
      { name: 'relative/file', content: 'x' },
      { name: 'there', type: 'symlink', linkname: `${outside}/written` },
      { name: 'there', content: 'x' },
    ],
    [{ name: 'absolute/.wh.file', content: '' }],
  ]);
  t.deepEqual(readdirSync(outside), []);
  t.true(lstatSync(path.join(root, 'there')).isFile());
  for (const bad of [
    { name: `${up}etc/raftsman-test`, content: 'x' },
    { name: 'a/../../b', content: 'x' },
    { name: 'dir/.wh...', content: '' },
  ]) {
    await t.throwsAsync(unpacked(t, [[bad]]), { message: /leads out of it|bad whiteout/ }, bad.name);
  }
  const hard: Entry = { name: 'hard', type: 'link', linkname: `absolute${outside}/secret` };
  await t.throwsAsync(unpacked(t, [[{ name: 'absolute', type: 'symlink', linkname: '/' }, hard]]));
});

add(titled('packed with gzip or zstd; what is not what it says is refused and leaves nothing'), async t => {
  const { store, root } = await makeStore(t);
  const layer = await tarOf([{ name: 'file', content: 'x' }]);
  const image = imageOf([layer]);
  for (const [index, packed] of [gzipSync(layer), zstdCompressSync(layer)].entries()) {
    const archive = await savedImage(`a:${index}`, { ...image, layers: [packed] });
    await importArchive(Readable.from([gzipSync(archive)]), { store, platform, id: 'x' });
    t.not(store.find(`a:${index}`), undefined);
    await store.remove(`a:${index}`, new Set());
    await store.collect(new Set());
  }
  t.deepEqual(readdirSync(path.join(root, 'layers')), []);
  const wrong = await savedImage('a:1', { ...image, layers: [await tarOf([{ name: 'file', content: 'y' }])] });
  await t.throwsAsync(importArchive(Readable.from([wrong]), { store, platform, id: 'x' }), {
    message: /has the digest sha256:/,
  });
  const half = (await savedImage('a:1', image)).subarray(0, 1_000);
  await t.throwsAsync(importArchive(Readable.from([half]), { store, platform, id: 'x' }));
  await t.throwsAsync(importArchive(Readable.from(['no tar']), { store, platform, id: 'x' }));
  t.deepEqual(store.list(), []);
  t.deepEqual(readdirSync(path.join(root, 'layers')), []);
  t.deepEqual(readdirSync(path.join(root, 'downloads')), []);
});

add(titled('a store that died in the middle is opened clean'), async t => {
  const { store, root } = await makeStore(t);
  const archive = await savedImage('a:1', imageOf([await tarOf([{ name: 'file', content: 'x' }])]));
  const [image] = await importArchive(Readable.from([archive]), { store, platform, id: '1' });
  // What unpacking a second layer leaves behind: a mount, and no record.
  execFileSync('sh', ['-c', 'cd "$0/layers" && mkdir -p 9/diff 9/work 9/merged && mount -t tmpfs none 9/merged', root]);
  execFileSync('sh', ['-c', 'echo "{" > "$0/images/broken.json.new"', root]);
  const again = (await makeStore(t, root)).store;
  t.is(again.find('a:1')?.id, image?.id);
  t.deepEqual(readdirSync(path.join(root, 'layers')), ['1']);
  t.false(readFileSync('/proc/self/mountinfo', 'utf8').includes(root));
});

add(titled('layers are shared, and go with the last image'), async t => {
  const { store, root } = await makeStore(t);
  const base = await tarOf([{ name: 'base', content: 'b' }]);
  for (const name of ['a', 'b']) {
    const image = imageOf([base, await tarOf([{ name, content: name }])]);
    await importArchive(Readable.from([await savedImage(`${name}:1`, image)]), { store, platform, id: name });
  }
  t.is(readdirSync(path.join(root, 'layers')).length, 3);
  const used = new Set([store.find('a:1')?.id ?? '']);
  await t.throwsAsync(store.remove('a:1', used), { code: 'NODE_IMAGE_IN_USE' });
  await store.remove('b:1', used);
  t.is(await store.collect(used), 1);
  t.is(readdirSync(path.join(root, 'layers')).length, 2);
  await store.remove('a:1', new Set());
  await store.collect(new Set());
  t.deepEqual(readdirSync(path.join(root, 'layers')), []);
});
