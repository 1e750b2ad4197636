import test from 'ava';
import {
  bytesToFree,
  ImagePolicyError,
  imagePolicy,
  type PulledImage,
  removableImages,
  staleImages,
} from './image-plan.ts';

const MINUTE_MS = 60_000;
const policy = imagePolicy();

const disks: readonly (readonly [string, number, number])[] = [
  ['half full', 500, 0],
  ['just below the threshold', 160, 0],
  ['at the threshold, as whole percents count', 159, 41],
  ['nearly full', 10, 190],
  ['full', 0, 200],
  ['more left than there is', 1_200, 0],
];
for (const [name, available, expected] of disks)
  test(`to be freed of a disk of 1000 bytes: ${name}`, t => {
    t.is(bytesToFree({ capacity: 1_000, available }, policy), expected);
  });

test('thresholds that leave nothing to do', t => {
  t.is(bytesToFree({ capacity: 1_000, available: 10 }, { ...policy, highPercent: 100 }), 0);
  t.is(bytesToFree({ capacity: 1_000, available: 150 }, { ...policy, lowPercent: 85 }), 0);
});

const image = (id: string, ageMinutes: number, unusedMinutes: number, isUsed = false): PulledImage => ({
  id,
  references: [id],
  sizeBytes: 1,
  pulledAt: -ageMinutes * MINUTE_MS,
  lastUsedAt: -unusedMinutes * MINUTE_MS,
  isUsed,
});
const images = [
  image('used', 100, 90, true),
  image('new', 1, 1),
  image('recent', 100, 5),
  image('younger', 60, 50),
  image('older', 70, 50),
  image('at the least age', 2, 2),
];
const idsOf = (list: readonly PulledImage[]) => list.map(({ id }) => id);

test('images that may go: the least recently used first, none in use, none that just came', t => {
  t.deepEqual(idsOf(removableImages(images, policy, 0)), ['older', 'younger', 'recent', 'at the least age']);
});

test('an age at which images go is off unless it is set', t => {
  const removable = removableImages(images, policy, 0);
  t.deepEqual(staleImages(removable, policy, 0), []);
  t.deepEqual(idsOf(staleImages(removable, { ...policy, unusedMsMax: 5 * MINUTE_MS }, 0)), ['older', 'younger']);
});

test('thresholds that contradict each other are refused', t => {
  t.throws(() => imagePolicy({ highPercent: 70 }), { instanceOf: ImagePolicyError });
  t.is(imagePolicy({ highPercent: 90 }).lowPercent, 80);
});
