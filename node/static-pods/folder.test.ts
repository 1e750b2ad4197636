import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ManifestFolder } from './folder.ts';

const manifest = (name: string, image = 'a:1') =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { containers: [{ name: 'c', image }] } });

async function setUp(t: ExecutionContext) {
  const path = await mkdtemp(join(tmpdir(), 'raftsman-manifests-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  const told: string[] = [];
  const onTrouble = (file: string, message: string) => told.push(`${file}: ${message}`);
  const folder = new ManifestFolder({ folder: path, nodeName: 'n', onTrouble });
  return { path, told, folder, names: async () => [...(await folder.read()).keys()] };
}

test('files are pods; what is hidden, or no file, is not', async t => {
  const { path, names, told } = await setUp(t);
  await writeFile(join(path, 'b.json'), manifest('b'));
  await writeFile(
    join(path, 'a.yaml'),
    'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i}]}',
  );
  await writeFile(join(path, '.c.yaml.swp'), manifest('c'));
  await mkdir(join(path, 'folder'));
  await symlink(join(path, 'absent'), join(path, 'dangling'));
  await symlink(join(path, '.c.yaml.swp'), join(path, 'link'));
  t.deepEqual(await names(), ['default/a-n', 'default/b-n', 'default/c-n']);
  t.deepEqual(told, []);
});

test('a file that is spoilt keeps its pod, is told of once, and harms no other', async t => {
  const { path, names, folder, told } = await setUp(t);
  await writeFile(join(path, 'a'), manifest('a'));
  await writeFile(join(path, 'b'), manifest('b'));
  await names();
  await writeFile(join(path, 'a'), '{');
  t.deepEqual(await names(), ['default/a-n', 'default/b-n']);
  t.true(folder.isUnsettled);
  t.deepEqual(told, []);
  for (let count = 0; count < 3; count++) await names();
  t.is(told.length, 1);
  t.regex(told[0] ?? '', /^a: couldn't parse as pod/);
  t.false(folder.isUnsettled);
  await rm(join(path, 'a'));
  t.deepEqual(await names(), ['default/b-n']);
  await writeFile(join(path, 'a'), '{');
  t.deepEqual(await names(), ['default/b-n']);
});

test('of two files with one name the first counts', async t => {
  const { path, folder, told } = await setUp(t);
  await writeFile(join(path, '1'), manifest('a', 'first'));
  await writeFile(join(path, '2'), manifest('a', 'second'));
  await folder.read();
  const pods = await folder.read();
  t.is(pods.get('default/a-n')?.spec?.containers[0]?.image, 'first');
  t.deepEqual(told, ['2: another file has a pod named default/a-n already']);
});

test('no folder is an empty one; one that cannot be read is not', async t => {
  const { path, names } = await setUp(t);
  await rm(path, { recursive: true });
  t.deepEqual(await names(), []);
  await writeFile(path, '');
  const folder = new ManifestFolder({ folder: `${path}\0`, nodeName: 'n', onTrouble: () => {} });
  await t.throwsAsync(folder.read());
});
