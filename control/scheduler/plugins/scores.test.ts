/** The very numbers that plugins give nodes: they are added up with weights, so being right about who is better is not enough. */
import test from 'ava';
import type { Node, Pod, PodSpec } from '../../api/generated/types.ts';
import { parseSchedulerConfiguration } from '../configuration.ts';
import { describePod } from '../pod-info.ts';
import { DEFAULT_PROFILE } from '../profile-configuration.ts';
import { ClusterSnapshot } from '../snapshot.ts';

type Amounts = Readonly<Record<string, string>>;
type Placed = readonly (readonly [Partial<PodSpec>, string, Amounts?])[];

const node = (name: string, allocatable: Amounts, labels: Amounts = {}): Node => ({
  metadata: { name, labels },
  status: { allocatable: { pods: '110', ...allocatable } },
});
const asking = (...requests: readonly Amounts[]): Partial<PodSpec> => ({
  containers: requests.map((each, index) => ({ name: `c${index}`, resources: { requests: each } })),
});
const pod = (uid: string, spec: Partial<PodSpec> = {}, labels: Amounts = {}): Pod => ({
  metadata: { name: uid, uid, namespace: 'n', labels },
  spec: { containers: [{ name: 'c' }], ...spec },
});

interface Cluster {
  readonly nodes: readonly Node[];
  readonly placed?: Placed;
  readonly args?: string;
  /** How many of the nodes are scored; the others are only there. */
  readonly feasible?: number;
}

/** What the plugin gives each node; undefined if it has nothing to say about the pod. */
function scores(
  plugin: string,
  wanted: Pod,
  { nodes, placed = [], args, feasible: count = nodes.length }: Cluster,
): readonly number[] | undefined {
  const snapshot = new ClusterSnapshot();
  for (const each of nodes) snapshot.setNode(each);
  for (const [index, [spec, on, labels]] of placed.entries()) snapshot.setPod(pod(`x${index}`, spec, labels), on);
  const profile = args
    ? parseSchedulerConfiguration(
        `{apiVersion: kubescheduler.config.k8s.io/v1, kind: KubeSchedulerConfiguration, profiles: [{pluginConfig: [{name: ${plugin}, args: ${args}}]}]}`,
      ).profiles[0]
    : DEFAULT_PROFILE;
  const feasible = nodes.slice(0, count).flatMap(({ metadata }) => snapshot.node(metadata?.name ?? '') ?? []);
  const found = profile?.scorePlugins.find(each => each.plugin.name === plugin)?.plugin;
  const scorer = found?.score?.(describePod(wanted), snapshot, feasible);
  if (!scorer) return undefined;
  const given = Float64Array.from(feasible, (each, index) => scorer.score(each, index));
  scorer.normalize?.(given);
  return [...given];
}

const BALANCED = 'NodeResourcesBalancedAllocation';
const balancedCases: readonly [string, Partial<PodSpec>, readonly Node[], Placed, readonly number[] | undefined][] = [
  ['nothing is asked for', asking({}), [node('a', { cpu: '4', memory: '10000' })], [], undefined],
  [
    'nodes of different sizes',
    asking({ cpu: '1', memory: '2000' }, { cpu: '2', memory: '3000' }),
    [node('a', { cpu: '4', memory: '10000' }), node('b', { cpu: '6', memory: '10000' })],
    [],
    [87, 100],
  ],
  [
    'beside others',
    asking({ cpu: '3', memory: '5000' }),
    [node('a', { cpu: '10', memory: '20000' }), node('b', { cpu: '10', memory: '20000' })],
    [
      [asking({ cpu: '3' }), 'a'],
      [asking({ cpu: '3', memory: '5000' }), 'b'],
    ],
    [82, 95],
  ],
  [
    'shares whose difference is no round number in binary',
    asking({ cpu: '6', memory: '4' }),
    [node('a', { cpu: '10', memory: '10' }), node('b', { cpu: '20', memory: '20' })],
    [],
    [90, 95],
  ],
  [
    'a full node',
    asking({ cpu: '3' }),
    [node('a', { cpu: '6', memory: '10000' }), node('b', { cpu: '6', memory: '10000' })],
    [
      [asking({ cpu: '3' }), 'a'],
      [asking({ cpu: '3', memory: '5000' }), 'b'],
    ],
    [50, 75],
  ],
];
for (const [name, spec, nodes, placed, expected] of balancedCases) {
  test(`${BALANCED}: ${name}`, t => t.deepEqual(scores(BALANCED, pod('p', spec), { nodes, placed }), expected));
}

test(`${BALANCED}: a third resource counts where it is asked for and there`, t => {
  const args = '{resources: [{name: cpu}, {name: memory, weight: 0}, {name: x.io/gpu, weight: 1}]}';
  const room = { cpu: '3500m', memory: '40000' };
  const full = asking({ cpu: '1', memory: '2000' }, { cpu: '2', memory: '3000' });
  const nodes = [node('a', { ...room, 'x.io/gpu': '8' }), node('b', { ...room, 'x.io/gpu': '8' })];
  const placed: Placed = [
    [asking({ cpu: '3', memory: '5000', 'x.io/gpu': '3' }), 'a'],
    [full, 'b'],
  ];
  t.deepEqual(scores(BALANCED, pod('p', asking({ memory: '0', 'x.io/gpu': '1' })), { nodes, placed, args }), [70, 65]);
  t.deepEqual(scores(BALANCED, pod('p', full), { nodes: [nodes[0] as Node, node('b', room)], args }), [63, 63]);
});

const strategy = (type: string, more = '') => `{scoringStrategy: {type: ${type}${more}}}`;
const ratio = (points: readonly (readonly [number, number])[], resources = '') =>
  strategy(
    'RequestedToCapacityRatio',
    `${resources && `, resources: ${resources}`}, requestedToCapacityRatio: {shape: [${points
      .map(([utilization, score]) => `{utilization: ${utilization}, score: ${score}}`)
      .join(', ')}]}`,
  );
const FALLING: readonly (readonly [number, number])[] = [
  [0, 10],
  [100, 0],
];
const GPU = '[{name: x.io/gpu, weight: 1}]';
const SIZES = [node('a', { cpu: '4', memory: '10000' }), node('b', { cpu: '6', memory: '10000' })];
const THREE_OF = asking({ cpu: '3', memory: '5000' });
const fitCases: readonly [string, string, Partial<PodSpec>, readonly Node[], Placed, readonly number[]][] = [
  ['least', strategy('LeastAllocated'), THREE_OF, SIZES, [], [37, 50]],
  ['most', strategy('MostAllocated'), THREE_OF, SIZES, [], [62, 50]],
  [
    'least, weighed',
    strategy('LeastAllocated', ', resources: [{name: cpu, weight: 2}, {name: memory}]'),
    THREE_OF,
    SIZES,
    [],
    [33, 50],
  ],
  ['more than there is', strategy('LeastAllocated'), asking({ cpu: '5', memory: '20000' }), SIZES, [], [0, 8]],
  ['more than there is, most', strategy('MostAllocated'), asking({ cpu: '5', memory: '20000' }), SIZES, [], [100, 91]],
  ['ratio', ratio(FALLING), THREE_OF, SIZES, [], [38, 50]],
  [
    'ratio, beside others',
    ratio(FALLING),
    { containers: [] },
    SIZES,
    [
      [THREE_OF, 'a'],
      [THREE_OF, 'b'],
    ],
    [38, 50],
  ],
  [
    'ratio of what is not asked for',
    ratio(
      [
        [0, 0],
        [100, 10],
      ],
      '[{name: cpu}]',
    ),
    asking({}),
    [node('a', { cpu: '1', memory: '10000' })],
    [[asking({}), 'a']],
    [20],
  ],
  [
    'ratio on falling lines is cut towards the point before',
    ratio(
      [
        [0, 10],
        [70, 0],
      ],
      '[{name: cpu}]',
    ),
    asking({ cpu: '33' }),
    [node('a', { cpu: '100' })],
    [],
    [53],
  ],
  [
    'ratio on rising lines is exact',
    ratio(
      [
        [0, 0],
        [100, 10],
      ],
      '[{name: cpu}]',
    ),
    asking({ cpu: '29' }),
    [node('a', { cpu: '100' })],
    [],
    [29],
  ],
  [
    'ratio of pieces',
    ratio(
      [
        [0, 0],
        [100, 1],
      ],
      GPU,
    ),
    asking({ 'x.io/gpu': '2' }),
    [node('a', { 'x.io/gpu': '8' }), node('b', { 'x.io/gpu': '4' })],
    [[asking({ 'x.io/gpu': '2' }), 'b']],
    [2, 10],
  ],
  [
    'ratio of pieces that are not asked for',
    ratio(
      [
        [0, 0],
        [100, 1],
      ],
      GPU,
    ),
    asking({}),
    [node('a', { 'x.io/gpu': '8' }), node('b', { 'x.io/gpu': '4' })],
    [],
    [0, 0],
  ],
  [
    'ratio of several, weighed',
    ratio(
      [
        [0, 0],
        [100, 1],
      ],
      '[{name: x.io/foo, weight: 3}, {name: x.io/bar, weight: 5}]',
    ),
    asking({ 'x.io/foo': '2', 'x.io/bar': '2' }),
    [node('a', { 'x.io/foo': '8', 'x.io/bar': '4' }), node('b', { 'x.io/foo': '4', 'x.io/bar': '8' })],
    [],
    [4, 3],
  ],
];
for (const [name, args, spec, nodes, placed, expected] of fitCases) {
  test(`NodeResourcesFit: ${name}`, t => {
    t.deepEqual(scores('NodeResourcesFit', pod('p', spec), { nodes, placed, args }), expected);
  });
}

const REGIONS = [node('a', {}, { region: 'east' }), node('b', {}, { region: 'west' }), node('c', {}, { az: 'one' })];
const like = (weight: number, app: string, topologyKey: string) => ({
  weight,
  podAffinityTerm: { topologyKey, labelSelector: { matchLabels: { app } } },
});
const liking = (...terms: ReturnType<typeof like>[]): Partial<PodSpec> => ({
  affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: terms } },
});
const needing = (app: string): Partial<PodSpec> => ({
  affinity: {
    podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [like(0, app, 'region').podAffinityTerm] },
  },
});
const S1 = { app: 's1' };
const S2 = { app: 's2' };
const MIXED: Placed = [
  [{}, 'a', S1],
  [{}, 'b', S2],
  [{}, 'c', S1],
];
const nearCases: readonly [string, Pod, Placed, readonly number[] | undefined, string?][] = [
  ['nobody cares', pod('p', {}, S1), MIXED, undefined],
  ['only in its topology', pod('p', liking(like(5, 's1', 'region')), S1), MIXED, [100, 0, 0]],
  ['in shares', pod('p', liking(like(2, 's1', 'region'), like(10, 's2', 'region'))), MIXED, [20, 100, 0]],
  [
    'in shares that binary numbers cannot say',
    pod('p', liking(like(29, 's1', 'region'), like(100, 's2', 'region'))),
    MIXED,
    [28, 100, 0],
  ],
  [
    'liked by others',
    pod('p', {}, S2),
    [
      [liking(like(5, 's1', 'region')), 'a', S1],
      [liking(like(6, 's2', 'region')), 'b', S2],
    ],
    [0, 100, 0],
  ],
  ['needed by others', pod('p', {}, S1), [[needing('s1'), 'a', S1]], [100, 0, 0]],
  [
    'needed by others, which are not looked at',
    pod('p', {}, S1),
    [[needing('s1'), 'a', S1]],
    undefined,
    '{ignorePreferredTermsOfExistingPods: true}',
  ],
  [
    'needed by others, who are looked at because the pod has likings of its own',
    pod('p', liking(like(1, 's9', 'region')), S1),
    [
      [needing('s1'), 'a', S1],
      [liking(like(6, 's1', 'region')), 'b', S2],
    ],
    [16, 100, 0],
    '{ignorePreferredTermsOfExistingPods: true}',
  ],
  ['needed by others, weight 0', pod('p', {}, S1), [[needing('s1'), 'a', S1]], undefined, '{hardPodAffinityWeight: 0}'],
];
for (const [name, wanted, placed, expected, args] of nearCases) {
  test(`InterPodAffinity: ${name}`, t => {
    t.deepEqual(scores('InterPodAffinity', wanted, { nodes: REGIONS, placed, ...(args && { args }) }), expected);
  });
}

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
