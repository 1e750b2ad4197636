import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { ImageHolds } from './image-holds.ts';

test('an image is used while the folder is there for which it was asked', async t => {
  const place = await mkdtemp(join(tmpdir(), 'raftsman-test-'));
  t.teardown(() => rm(place, { recursive: true }));
  const [first, second] = [join(place, 'first'), join(place, 'second')];
  for (const folder of [first, second]) await mkdir(folder);
  const holds = new ImageHolds(join(place, 'holds'));
  t.deepEqual(await holds.imageIds(), [], 'nobody asked yet');
  await holds.hold('a', first);
  await holds.hold('b', second);
  await holds.hold('c', second);
  t.deepEqual([...(await new ImageHolds(join(place, 'holds')).imageIds())].sort(), ['a', 'c']);
  await rm(first, { recursive: true });
  t.deepEqual(await holds.imageIds(), ['c']);
  t.is((await readdir(join(place, 'holds'))).length, 1, 'what is over is forgotten');
});

test('what a lost machine left half written holds nothing, and holds up nothing', async t => {
  const place = await mkdtemp(join(tmpdir(), 'raftsman-test-'));
  t.teardown(() => rm(place, { recursive: true }));
  const holds = new ImageHolds(place);
  await holds.hold('a', place);
  await writeFile(join(place, 'empty.json'), '');
  await writeFile(join(place, 'other.json'), '{"imageId":1}');
  t.deepEqual(await holds.imageIds(), ['a']);
  t.is((await readdir(place)).length, 1);
});
