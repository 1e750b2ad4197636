/** KubeSchedulerConfiguration: what is read, and what is refused and how. */
import test from 'ava';
import type { Node, Pod, PodSpec } from '../api/generated/types.ts';
import { DEFAULT_CONFIGURATION, parseSchedulerConfiguration, SchedulerConfigurationError } from './configuration.ts';
import { ClusterSnapshot } from './snapshot.ts';
import { answer } from './testing/answer.ts';

const HEADER = 'apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n';
const read = (body = '') => parseSchedulerConfiguration(HEADER + body);
const plugins = (body: string) => read(`profiles: [{plugins: ${body}}]`).profiles[0];
const args = (name: string, body: string) => read(`profiles: [{pluginConfig: [{name: ${name}, args: ${body}}]}]`);

test('an empty configuration is the default one', t => {
  const shape = (configuration: typeof DEFAULT_CONFIGURATION) =>
    JSON.stringify(configuration, (_key, value) => (typeof value === 'function' ? 'function' : value));
  t.is(shape(read()), shape(DEFAULT_CONFIGURATION));
  t.deepEqual(
    DEFAULT_CONFIGURATION.profiles[0]?.scorePlugins.map(({ plugin, weight }) => [plugin.name, weight]),
    [
      ['TaintToleration', 3],
      ['NodeAffinity', 2],
      ['NodeResourcesFit', 1],
      ['PodTopologySpread', 2],
      ['InterPodAffinity', 2],
      ['NodeResourcesBalancedAllocation', 1],
      ['ImageLocality', 1],
    ],
  );
});

test('names, back-off and shares of nodes', t => {
  const { profiles, backoffMsMin, backoffMsMax } = read(`
podInitialBackoffSeconds: 2
podMaxBackoffSeconds: 20
percentageOfNodesToScore: 30
profiles: [{}, {schedulerName: second, percentageOfNodesToScore: 70}]
`);
  t.deepEqual([backoffMsMin, backoffMsMax], [2000, 20000]);
  t.deepEqual(
    profiles.map(({ schedulerName, percentageOfNodesToScore }) => [schedulerName, percentageOfNodesToScore]),
    [
      ['default-scheduler', 30],
      ['second', 70],
    ],
  );
});

test('plugins are disabled and weighed', t => {
  const names = (profile: ReturnType<typeof plugins>) => profile?.scorePlugins.map(({ plugin }) => plugin.name);
  t.deepEqual(names(plugins('{score: {disabled: [{name: "*"}], enabled: [{name: ImageLocality, weight: 7}]}}')), [
    'ImageLocality',
  ]);
  const without = plugins('{multiPoint: {disabled: [{name: NodePorts}, {name: DefaultPreemption}]}}');
  t.false(without?.filterPlugins.some(({ name }) => name === 'NodePorts'));
  t.is(without?.preemption, undefined);
  const heavy = plugins('{multiPoint: {enabled: [{name: ImageLocality, weight: 5}]}}');
  t.is(heavy?.scorePlugins.find(({ plugin }) => plugin.name === 'ImageLocality')?.weight, 5);
  t.false(
    plugins('{filter: {disabled: [{name: TaintToleration}]}}')?.filterPlugins.some(
      each => each.name === 'TaintToleration',
    ),
  );
  t.true(names(plugins('{filter: {disabled: [{name: TaintToleration}]}}'))?.includes('TaintToleration'));
});

const refused: readonly [string, string, RegExp][] = [
  ['another version', 'x: 1', /Unrecognized key: "x"/],
  [
    'an unknown plugin',
    'profiles: [{plugins: {filter: {enabled: [{name: Mine}]}}}]',
    /^profiles\[0\]\.plugins\.filter\.enabled\[0\]\.name: plugin "Mine" does not exist/,
  ],
  [
    'arguments of an unknown plugin',
    'profiles: [{pluginConfig: [{name: Mine}]}]',
    /^profiles\[0\]\.pluginConfig\[0\]\.name: plugin "Mine"/,
  ],
  [
    'arguments where there are none',
    'profiles: [{pluginConfig: [{name: NodePorts, args: {}}]}]',
    /NodePorts takes no arguments/,
  ],
  [
    'a resource twice',
    'profiles: [{pluginConfig: [{name: NodeResourcesBalancedAllocation, args: {resources: [{name: cpu}, {name: cpu}]}}]}]',
    /^profiles\[0\]\.pluginConfig\[0\]\.args\.resources\[1\]\.name: cpu is there already/,
  ],
  [
    'a constraint twice',
    'profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultingType: List, defaultConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule}, {maxSkew: 2, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]}}]}]',
    /args\.defaultConstraints\[1\]: there is one for a and DoNotSchedule already/,
  ],
  [
    'a selector in a default constraint',
    'profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultingType: List, defaultConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule, labelSelector: {}}]}}]}]',
    /args\.defaultConstraints\[0\]: Unrecognized key: "labelSelector"/,
  ],
  [
    'preemption that looks at no node',
    'profiles: [{pluginConfig: [{name: DefaultPreemption, args: {minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0}}]}]',
    /args\.minCandidateNodesPercentage: cannot be 0 together with minCandidateNodesAbsolute/,
  ],
  [
    'affinity by what is no label',
    'profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a/b/c, operator: In, values: [x]}]}]}}}}]}]',
    /args\.addedAffinity\.requiredDuringSchedulingIgnoredDuringExecution\.nodeSelectorTerms\[0\]\.matchExpressions\[0\]\.key: /,
  ],
  [
    'affinity by two names',
    'profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchFields: [{key: metadata.name, operator: In, values: [a, b]}]}}]}}}]}]',
    /args\.addedAffinity\.preferredDuringSchedulingIgnoredDuringExecution\[0\]\.preference\.matchFields\[0\]\.values: /,
  ],
  [
    'an ignored resource that is none',
    'profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {ignoredResources: [x.io/]}}]}]',
    /args\.ignoredResources\[0\]: name part must be non-empty/,
  ],
  ['the same name twice', 'profiles: [{}, {}]', /^profiles\[1\]\.schedulerName: default-scheduler is there already/],
  ['extenders', 'extenders: [{urlPrefix: "http://x"}]', /^extenders: scheduler extenders are not supported/],
  ['no queue', 'profiles: [{plugins: {queueSort: {disabled: [{name: "*"}]}}}]', /PrioritySort is the only plugin/],
  [
    'no binder',
    'profiles: [{plugins: {multiPoint: {disabled: [{name: DefaultBinder}]}}}]',
    /DefaultBinder is the only plugin/,
  ],
  [
    'a point that has no choice',
    'profiles: [{plugins: {reserve: {disabled: [{name: VolumeBinding}]}}}]',
    /plugins\.reserve: plugins cannot be chosen/,
  ],
  ['a share above all', 'percentageOfNodesToScore: 101', /^percentageOfNodesToScore: /],
  ['back-offs the wrong way round', 'podInitialBackoffSeconds: 20', /podMaxBackoffSeconds: must be at least/],
  [
    'a weight out of range',
    'profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]}]',
    /^profiles\[0\]\.pluginConfig\[0\]\.args\.hardPodAffinityWeight: /,
  ],
  [
    'a shape that turns back',
    'profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 50, score: 1}, {utilization: 10, score: 2}]}}}}]}]',
    /sorted in increasing order/,
  ],
  [
    'constraints beside the defaults',
    'profiles: [{pluginConfig: [{name: PodTopologySpread, args: {defaultConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway}]}}]}]',
    /when \.defaultingType is System/,
  ],
];
for (const [name, body, message] of refused) {
  test(`refuses ${name}`, t => {
    t.throws(() => read(body), { instanceOf: SchedulerConfigurationError, message });
  });
}
test('refuses what is no such configuration', t => {
  for (const text of ['', '[', 'kind: KubeSchedulerConfiguration', 'a: &a [*a]']) {
    t.throws(() => parseSchedulerConfiguration(text), { instanceOf: SchedulerConfigurationError });
  }
});

test('arguments that say nothing are the default ones', t => {
  t.notThrows(() => read('profiles: [{pluginConfig: [{name: NodePorts}, {name: NodeResourcesFit, args: }]}]'));
  t.notThrows(() => args('NodeResourcesBalancedAllocation', '{resources: []}'));
  t.notThrows(() => args('NodeResourcesFit', '{scoringStrategy: {type: LeastAllocated, resources: []}}'));
});

test('the order of filters: what is chosen at the point, what is chosen everywhere, what is only there', t => {
  const names = (body: string) => plugins(body)?.filterPlugins.map(({ name }) => name) ?? [];
  t.is(names('{filter: {enabled: [{name: NodeAffinity}]}}')[0], 'NodeAffinity');
  const only = '{multiPoint: {disabled: [{name: NodeAffinity}]}, filter: {enabled: [{name: NodeAffinity}]}}';
  t.is(names(only).at(-1), 'NodeAffinity');
});

test('what makes no difference is told', t => {
  t.deepEqual(read('parallelism: 16\nleaderElection: {leaderElect: true}').remarks, [
    'parallelism makes no difference: every decision is made by one thread',
    'leaderElection makes no difference: the scheduler runs on the master that leads the store',
  ]);
});

const node = (name: string, more: Partial<Node['metadata']> = {}, allocatable: Record<string, string> = {}): Node => ({
  metadata: { name, ...more },
  status: { allocatable: { cpu: '4', memory: '8Gi', pods: '110', ...allocatable } },
});
const pod = (name: string, spec: Partial<PodSpec> = {}, labels: Record<string, string> = {}): Pod => ({
  metadata: { name, uid: name, namespace: 'n', labels },
  spec: { containers: [{ name: 'c', image: 'x' }], ...spec },
});
const asking = (requests: Record<string, string>): Partial<PodSpec> => ({
  containers: [{ name: 'c', image: 'x', resources: { requests } }],
});
function where(
  name: string,
  body: string,
  wanted: Pod,
  nodes: readonly Node[],
  placed: readonly (readonly [Pod, string])[] = [],
) {
  const [profile] = args(name, body).profiles;
  const snapshot = new ClusterSnapshot();
  for (const each of nodes) snapshot.setNode(each);
  for (const [each, on] of placed) snapshot.setPod(each, on);
  return answer(wanted, snapshot, profile && { profile });
}
const TWO = [node('a'), node('b')];
const HALF = asking({ cpu: '1', memory: '2Gi' });

test('arguments do what they say', t => {
  const placed = [[pod('x', HALF), 'a']] as const;
  t.is(where('NodeResourcesFit', '{}', pod('p', HALF), TWO, placed), 'b');
  t.is(where('NodeResourcesFit', '{scoringStrategy: {type: MostAllocated}}', pod('p', HALF), TWO, placed), 'a');
  const ratio = (low: number, high: number) =>
    `{scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 0, score: ${low}}, {utilization: 100, score: ${high}}]}}}`;
  t.is(where('NodeResourcesFit', ratio(0, 10), pod('p', HALF), TWO, placed), 'a');
  t.is(where('NodeResourcesFit', ratio(10, 0), pod('p', HALF), TWO, placed), 'b');

  const gpu = pod('p', asking({ 'x.io/gpu': '1' }));
  t.regex(where('NodeResourcesFit', '{}', gpu, TWO), /2 Insufficient x\.io\/gpu/);
  t.is(where('NodeResourcesFit', '{ignoredResources: [x.io/gpu]}', gpu, TWO), 'a');
  t.is(where('NodeResourcesFit', '{ignoredResourceGroups: [x.io]}', gpu, TWO), 'a');

  const added = `{addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: pool, operator: In, values: [mine]}]}]}}}`;
  t.is(where('NodeAffinity', added, pod('p'), [node('a'), node('b', { labels: { pool: 'mine' } })]), 'b');
  t.regex(where('NodeAffinity', added, pod('p'), TWO), /2 node\(s\) didn't match scheduler-enforced node affinity/);
});

test('default constraints of one’s own can refuse', t => {
  const [profile] = args(
    'PodTopologySpread',
    '{defaultingType: List, defaultConstraints: [{maxSkew: 1, topologyKey: host, whenUnsatisfiable: DoNotSchedule}]}',
  ).profiles;
  const snapshot = new ClusterSnapshot();
  for (const each of ['a', 'b'])
    snapshot.setNode(node(each, { labels: { host: each } }, { cpu: each === 'a' ? '4' : '0' }));
  snapshot.workloads.setService({ metadata: { namespace: 'n', name: 's' }, spec: { selector: { app: 'x' } } });
  snapshot.setPod(pod('x', HALF, { app: 'x' }), 'a');
  t.regex(
    answer(pod('p', HALF, { app: 'x' }), snapshot, profile && { profile }),
    /1 Insufficient cpu, 1 node\(s\) didn't match pod topology spread constraints/,
  );
  t.is(answer(pod('p', HALF, { app: 'x' }), snapshot), 'a');
});
