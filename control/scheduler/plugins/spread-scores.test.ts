/** The numbers that PodTopologySpread gives nodes. */
import test from 'ava';
import type { Node, PodSpec } from '../../api/generated/types.ts';
import { type Amounts, node, type Placed, pod, scores } from '../testing/scores.ts';

const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
const hosts = (...zones: readonly (string | undefined)[]) =>
  zones.map((zone, index) => node(`h${index}`, {}, { [HOST]: `h${index}`, ...(zone && { [ZONE]: zone }) }));
const FOO = { foo: '' };
const BAR = { bar: '' };
const loosely = (...constraints: readonly (readonly [string, Amounts, number?])[]): Partial<PodSpec> => ({
  topologySpreadConstraints: constraints.map(([topologyKey, matchLabels, maxSkew = 1]) => ({
    topologyKey,
    maxSkew,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels },
  })),
});
/** So many pods with the labels on each node. */
const counts = (labels: Amounts, ...each: readonly number[]): Placed =>
  each.flatMap((count, index) => Array.from({ length: count }, () => [{}, `h${index}`, labels] as const));
const ONE_ZONE = hosts('z', 'z', 'z', 'z');
const TWO_ZONES = hosts('z1', 'z1', 'z2', 'z2');
/** `feasible` are the first so many nodes. */
const spreadCases: readonly [string, Partial<PodSpec>, readonly Node[], Placed, number, readonly number[]][] = [
  ['nobody there', loosely([HOST, FOO]), ONE_ZONE, [], 2, [100, 100]],
  ['all alike', loosely([HOST, FOO]), ONE_ZONE, counts(FOO, 1, 1), 2, [100, 100]],
  ['over hosts', loosely([HOST, FOO]), ONE_ZONE, counts(FOO, 2, 1, 0, 3), 4, [20, 60, 100, 0]],
  ['over hosts, loosely', loosely([HOST, FOO, 2]), ONE_ZONE, counts(FOO, 2, 1, 0, 3), 4, [33, 66, 100, 16]],
  ['over hosts, more loosely', loosely([HOST, FOO, 3]), ONE_ZONE, counts(FOO, 4, 3, 2, 1), 4, [44, 66, 77, 100]],
  ['over some of the hosts', loosely([HOST, FOO]), ONE_ZONE, counts(FOO, 4, 2, 1, 3), 3, [33, 83, 100]],
  [
    'a host without a name',
    loosely([HOST, FOO]),
    [...hosts('z'), node('h1', {}), ...hosts(undefined, 'z', 'z', 'z').slice(2)],
    counts(FOO, 4, 2, 1, 3),
    3,
    [16, 0, 100],
  ],
  ['over zones', loosely([ZONE, FOO]), TWO_ZONES, counts(FOO, 4, 2, 1, 3), 3, [75, 75, 100]],
  [
    'over zones and hosts of other pods',
    loosely([ZONE, FOO], [HOST, BAR]),
    TWO_ZONES,
    [...counts(FOO, 1, 0, 0, 1), ...counts({ ...FOO, ...BAR }, 0, 1), ...counts(BAR, 0, 0, 0, 1)],
    4,
    [60, 20, 100, 60],
  ],
  [
    'over zones and hosts of other pods, some of which there are none of',
    loosely([ZONE, FOO], [HOST, BAR]),
    TWO_ZONES,
    [...counts(BAR, 0, 1), ...counts(FOO, 0, 0, 1), ...counts({ ...FOO, ...BAR }, 0, 0, 0, 1)],
    4,
    [100, 60, 40, 0],
  ],
  [
    'over zones and hosts of other pods, on some nodes',
    loosely([ZONE, FOO], [HOST, BAR]),
    TWO_ZONES,
    [...counts(FOO, 1, 0, 0, 1), ...counts({ ...FOO, ...BAR }, 0, 1), ...counts(BAR, 0, 0, 0, 1)],
    3,
    [50, 25, 100],
  ],
];
for (const [name, spec, nodes, placed, feasible, expected] of spreadCases) {
  test(`PodTopologySpread: ${name}`, t => {
    t.deepEqual(scores('PodTopologySpread', pod('p', spec, FOO), { nodes, placed, feasible }), expected);
  });
}
