/** The very numbers that plugins give nodes: they are added up with weights, so being right about who is better is not enough. */
import test from 'ava';
import type { Node, Pod, PodSpec } from '../../api/generated/types.ts';
import { asking, node, type Placed, pod, scores } from '../testing/scores.ts';

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

const COLOURS = [
  node('a', {}, { foo: 'bar' }),
  node('b', {}, { foo: 'bar', key: 'value', az: 'az1' }),
  node('c', {}, { key: 'value' }),
];
const wanting = (...terms: readonly (readonly [number, ...string[]])[]): Partial<PodSpec> => ({
  affinity: {
    nodeAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: terms.map(([weight, ...pairs]) => ({
        weight,
        preference: {
          matchExpressions: pairs.map(pair => {
            const [key = '', value = ''] = pair.split('=');
            return { key, operator: 'In', values: [value] };
          }),
        },
      })),
    },
  },
});
const FOO = [2, 'foo=bar'] as const;
const colourCases: readonly [string, Partial<PodSpec>, readonly number[] | undefined, string?][] = [
  ['nothing is preferred', {}, undefined],
  ['what no node has is preferred', wanting([2, 'no=one']), [0, 0, 0]],
  ['in shares', wanting(FOO, [4, 'key=value'], [5, 'foo=bar', 'key=value', 'az=az1']), [18, 100, 36]],
  [
    'with what is preferred for all pods',
    wanting(FOO),
    [40, 100, 60],
    '{addedAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 3, preference: {matchExpressions: [{key: key, operator: In, values: [value]}]}}]}}',
  ],
  ['a preference without requirements is none', wanting([7], FOO), [100, 100, 0]],
];
for (const [name, spec, expected, args] of colourCases) {
  test(`NodeAffinity: ${name}`, t => {
    t.deepEqual(scores('NodeAffinity', pod('p', spec), { nodes: COLOURS, ...(args && { args }) }), expected);
  });
}

const disliked = (name: string, ...taints: readonly string[]): Node => ({
  ...node(name, {}),
  spec: { taints: taints.map(key => ({ key, effect: 'PreferNoSchedule' })) },
});
const DISLIKED = [disliked('a'), disliked('b', 'x'), disliked('c', 'x', 'y')];
const dislikes: readonly [string, Partial<PodSpec>, readonly number[]][] = [
  ['the more taints, the worse', {}, [100, 50, 0]],
  ['what is tolerated does not matter', { tolerations: [{ operator: 'Exists' }] }, [100, 100, 100]],
  [
    'tolerating another effect does not help',
    { tolerations: [{ operator: 'Exists', effect: 'NoSchedule' }] },
    [100, 50, 0],
  ],
];
for (const [name, spec, expected] of dislikes) {
  test(`TaintToleration: ${name}`, t => {
    t.deepEqual(scores('TaintToleration', pod('p', spec), { nodes: DISLIKED }), expected);
  });
}

const MB = 1024 * 1024;
const holding = (name: string, images: Readonly<Record<string, number>>): Node => ({
  ...node(name, {}),
  status: { images: Object.entries(images).map(([image, size]) => ({ names: [image], sizeBytes: size * MB })) },
});
const HOLDING = [
  holding('a', { 'r.io/40:latest': 40, 'r.io/300:latest': 300, 'r.io/2000:latest': 2000, 'r.io:5000/big:v1': 4000 }),
  holding('b', { 'r.io/250:latest': 250, 'r.io/10:latest': 10 }),
];
const of = (...images: readonly string[]): Partial<PodSpec> => ({
  containers: images.map(image => ({ name: image, image })),
});
const imageCases: readonly [string, Partial<PodSpec>, readonly number[] | undefined][] = [
  ['images on both nodes', of('r.io/40', 'r.io/250'), [0, 5]],
  ['images on one node', of('r.io/40', 'r.io/300'), [7, 0]],
  ['more than counts', of('r.io:5000/big:v1'), [100, 0]],
  ['too little to count', of('r.io/2000', 'r.io/10'), [49, 0]],
  ['images that no node has', of('r.io/none'), undefined],
  ['those of init containers', { ...of('r.io/none'), initContainers: [{ name: 'i', image: 'r.io/300' }] }, [6, 0]],
];
for (const [name, spec, expected] of imageCases) {
  test(`ImageLocality: ${name}`, t => {
    t.deepEqual(scores('ImageLocality', pod('p', spec), { nodes: HOLDING }), expected);
  });
}
