import test from 'ava';
import type { Container, Pod } from '../api.ts';
import { hasStorageLimits, type PodStorage, storageExcess } from './local-storage.ts';
import { nextMeasuring } from './storage-meter.ts';

const MiB = 2 ** 20;

/** Containers by name with their limits. */
function podOf(
  limits: Readonly<Record<string, string | undefined>>,
  rest: Partial<NonNullable<Pod['spec']>> = {},
): Pod {
  return { spec: { containers: Object.entries(limits).map(([name, limit]) => containerOf(name, limit)), ...rest } };
}
function containerOf(name: string, limit: string | undefined, more: Partial<Container> = {}): Container {
  return { name, ...(limit && { resources: { limits: { 'ephemeral-storage': limit } } }), ...more };
}

/** Containers with the mebibytes of their logs and of what they wrote. */
function usageOf(
  containers: Readonly<Record<string, readonly [number, number]>>,
  emptyDirs: Readonly<Record<string, number>> = {},
  ownBytes = 0,
): PodStorage {
  return {
    containers: new Map(
      Object.entries(containers).map(([name, [log, written]]) => [
        name,
        { logBytes: log * MiB, writableBytes: written * MiB },
      ]),
    ),
    emptyDirs: new Map(Object.entries(emptyDirs).map(([name, size]) => [name, size * MiB])),
    ownBytes,
  };
}

const disk = { volumes: [{ name: 'v', emptyDir: {} }] };
const memory = { volumes: [{ name: 'v', emptyDir: { medium: 'Memory' } }] };
const sized = { volumes: [{ name: 'v', emptyDir: { sizeLimit: '1Mi' } }] };
const sidecar = { initContainers: [containerOf('s', '2Mi', { restartPolicy: 'Always' })] };
const start = { initContainers: [containerOf('i', '5Mi')] };
const ofPod = (limit: string) => `Pod ephemeral local storage usage exceeds the total limit of containers ${limit}. `;
const ofContainer = (name: string, limit: string) =>
  `Container ${name} exceeded its local ephemeral storage limit "${limit}". `;

const cases: readonly (readonly [string, Pod, PodStorage, string | undefined])[] = [
  ['a volume at its limit', podOf({ c: undefined }, sized), usageOf({}, { v: 1 }), undefined],
  [
    'a volume above its limit',
    podOf({ c: undefined }, sized),
    usageOf({}, { v: 1.5 }),
    'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
  ],
  ['nothing has a limit', podOf({ c: undefined }, disk), usageOf({ c: [9, 9] }, { v: 9 }), undefined],
  ['all within', podOf({ c: '3Mi' }, disk), usageOf({ c: [1, 1] }, { v: 1 }), undefined],
  ['logs', podOf({ c: '3Mi' }), usageOf({ c: [4, 0] }), ofPod('3Mi')],
  ['the writable layer', podOf({ c: '3Mi' }), usageOf({ c: [0, 4] }), ofPod('3Mi')],
  ['all together', podOf({ c: '3Mi' }, disk), usageOf({ c: [1, 1] }, { v: 1 }, 1), ofPod('3Mi')],
  ['volumes in memory are no disk', podOf({ c: '3Mi' }, memory), usageOf({ c: [1, 1] }, { v: 9 }), undefined],
  ['the sum of limits', podOf({ a: '1Mi', b: '2Mi' }), usageOf({ a: [1, 0], b: [2, 1] }), ofPod('3Mi')],
  ['sums keep their form', podOf({ a: '1M', b: '500k' }), usageOf({ a: [1, 1], b: [0, 0] }), ofPod('1500k')],
  [
    'one container within the limit of the pod',
    podOf({ a: '1Mi', b: '4Mi' }),
    usageOf({ a: [1, 1], b: [0, 0] }),
    ofContainer('a', '1Mi'),
  ],
  [
    'a container without a limit counts for the pod',
    podOf({ a: '1Mi', b: undefined }),
    usageOf({ b: [2, 0] }),
    ofPod('1Mi'),
  ],
  ['a sidecar adds its own', podOf({ c: '1Mi' }, sidecar), usageOf({ c: [1, 0], s: [2, 0] }), undefined],
  ['a sidecar has no limit of its own', podOf({ c: '9Mi' }, sidecar), usageOf({ s: [4, 4] }), undefined],
  ['the start may take more', podOf({ c: '1Mi' }, start), usageOf({ i: [2, 3] }), undefined],
  ['the start’s limit counts on', podOf({ c: '1Mi' }, start), usageOf({ c: [2, 0] }), ofContainer('c', '1Mi')],
  ['overhead', podOf({ c: '1Mi' }, { overhead: { 'ephemeral-storage': '1Mi' } }), usageOf({ c: [3, 0] }), ofPod('2Mi')],
  ['a limit of nothing', podOf({ c: '0' }), usageOf({ c: [1, 0] }), ofPod('0')],
];

for (const [title, pod, usage, message] of cases)
  test(`limits of disk space: ${title}`, t => {
    t.is(storageExcess(pod, usage)?.message, message);
    if (message) t.true(hasStorageLimits(pod));
  });

test('what is measured at all, and how often', t => {
  t.false(hasStorageLimits(podOf({ c: undefined }, disk)));
  t.true(hasStorageLimits(podOf({ c: undefined }, sized)));
  t.true(hasStorageLimits(podOf({ a: undefined, b: '1Mi' })));
  t.is(nextMeasuring({ startedAt: 100, endedAt: 100 }, 0.05), 100);
  t.is(nextMeasuring({ startedAt: 100, endedAt: 200 }, 0.05), 2_100);
});
