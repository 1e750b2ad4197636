import test from 'ava';
import fc from 'fast-check';
import type { Node, Pod, PodSpec } from '../api/generated/types.ts';
import { decide } from './decide.ts';
import { describePod } from './pod-info.ts';
import { podSelector } from './pod-terms.ts';
import { DEFAULT_PROFILE } from './profile-configuration.ts';
import { ClusterSnapshot } from './snapshot.ts';
import { answer } from './testing/answer.ts';

const allocatable = { cpu: '8', memory: '32Gi', pods: '110', 'ephemeral-storage': '100Gi' };
const node = (
  name: string,
  {
    labels = {},
    spec = {},
    room = {},
  }: { labels?: Record<string, string>; spec?: Node['spec']; room?: Record<string, string> } = {},
): Node => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
  spec,
  status: { allocatable: { ...allocatable, ...room } },
});
const pod = (spec: Partial<PodSpec> = {}, uid = 'p', owner?: string): Pod => ({
  metadata: {
    name: uid,
    namespace: 'n',
    uid,
    ...(owner && {
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }],
    }),
  },
  spec: { containers: [{ name: 'c', image: 'x' }], ...spec },
});
const requesting = (requests: Record<string, string>): Partial<PodSpec> => ({
  containers: [{ name: 'c', resources: { requests } }],
});
function cluster(nodes: readonly Node[], placed: readonly (readonly [Pod, string])[] = []): ClusterSnapshot {
  const snapshot = new ClusterSnapshot();
  for (const each of nodes) snapshot.setNode(each);
  for (const [each, name] of placed) snapshot.setPod(each, name);
  return snapshot;
}
const TWO = [node('hollow-1'), node('hollow-2')];
const CORDONED = { unschedulable: true };
const taints = (key: string, value?: string, effect = 'NoSchedule') => ({
  taints: [{ key, effect, ...(value && { value }) }],
});
const NO_VICTIMS = 'preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.';
const NOT_HELPFUL = 'preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.';
const port = (hostPort: number, hostIP?: string): Partial<PodSpec> => ({
  containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort, ...(hostIP && { hostIP }) }] }],
});

/** The sentences that kube-scheduler 1.33 wrote (shared facts: events.json, scenario scheduling). */
const refusals: readonly [string, readonly Node[], Pod, string, (readonly [Pod, string])[]?][] = [
  ['no nodes', [], pod(), 'no nodes available to schedule pods'],
  ['cpu', TWO, pod(requesting({ cpu: '100' })), `0/2 nodes are available: 2 Insufficient cpu. ${NO_VICTIMS}`],
  [
    'both',
    TWO,
    pod(requesting({ cpu: '100', memory: '1Ti' })),
    `0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory. ${NO_VICTIMS}`,
  ],
  [
    'storage',
    TWO,
    pod(requesting({ 'ephemeral-storage': '1Ti' })),
    `0/2 nodes are available: 2 Insufficient ephemeral-storage. ${NO_VICTIMS}`,
  ],
  [
    'extended',
    TWO,
    pod({ containers: [{ name: 'c', resources: { limits: { 'x.io/gpu': '1' } } }] }),
    `0/2 nodes are available: 2 Insufficient x.io/gpu. ${NO_VICTIMS}`,
  ],
  [
    'selector',
    TWO,
    pod({ nodeSelector: { never: 'x' } }),
    `0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. ${NOT_HELPFUL}`,
  ],
  [
    'cordoned',
    [node('hollow-1', { spec: CORDONED }), node('hollow-2', { spec: CORDONED })],
    pod(),
    `0/2 nodes are available: 2 node(s) were unschedulable. ${NOT_HELPFUL}`,
  ],
  [
    'tainted',
    [node('hollow-1', { spec: taints('team', 'a') }), node('hollow-2', { spec: taints('solo') })],
    pod(),
    `0/2 nodes are available: 1 node(s) had untolerated taint {solo: }, 1 node(s) had untolerated taint {team: a}. ${NOT_HELPFUL}`,
  ],
  [
    'mixed',
    [node('hollow-1', { spec: taints('team', 'a') }), node('hollow-2')],
    pod(requesting({ cpu: '100' })),
    '0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {team: a}. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.',
  ],
  [
    'never preempting',
    TWO,
    pod({
      ...requesting({ cpu: '9' }),
      nodeSelector: { 'kubernetes.io/hostname': 'hollow-1' },
      preemptionPolicy: 'Never',
    }),
    "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector. preemption: not eligible due to preemptionPolicy=Never.",
  ],
  [
    'too many pods',
    [node('hollow-1', { room: { pods: '0' } }), node('hollow-2', { room: { pods: '0' } })],
    pod(),
    `0/2 nodes are available: 2 Too many pods. ${NO_VICTIMS}`,
  ],
  [
    'ports',
    TWO,
    pod(port(8088)),
    `0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports. ${NO_VICTIMS}`,
    [
      [pod(port(8088), 'a'), 'hollow-1'],
      [pod(port(8088, '10.0.0.1'), 'b'), 'hollow-2'],
    ],
  ],
];
for (const [name, nodes, wanted, message, placed] of refusals) {
  test(`refuses in Kubernetes' words: ${name}`, t => {
    t.is(answer(wanted, cluster(nodes, placed)), message);
  });
}

const affinity = (nodeAffinity: NonNullable<PodSpec['affinity']>['nodeAffinity']): Partial<PodSpec> => ({
  affinity: { nodeAffinity },
});
const required = (...nodeSelectorTerms: object[]) =>
  affinity({ requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } as never });
const COLOURED = [
  node('one', { labels: { colour: 'red', size: '3' } }),
  node('two', { labels: { colour: 'blue', size: '10' } }),
];
const expression = (key: string, operator: string, ...values: string[]) => ({
  matchExpressions: [{ key, operator, values }],
});
const placements: readonly [string, readonly Node[], Partial<PodSpec>, string, (readonly [Pod, string])[]?][] = [
  ['by selector', COLOURED, { nodeSelector: { colour: 'blue' } }, 'two'],
  ['In', COLOURED, required(expression('colour', 'In', 'red', 'green')), 'one'],
  ['NotIn', COLOURED, required(expression('colour', 'NotIn', 'red')), 'two'],
  ['Gt', COLOURED, required(expression('size', 'Gt', '5')), 'two'],
  ['Lt', COLOURED, required(expression('size', 'Lt', '5')), 'one'],
  ['any of several terms', COLOURED, required(expression('nope', 'Exists'), expression('colour', 'In', 'blue')), 'two'],
  ['by field', COLOURED, required({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['one'] }] }), 'one'],
  [
    'preferring',
    COLOURED,
    affinity({
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, preference: expression('colour', 'In', 'blue') },
      ],
    }),
    'two',
  ],
  [
    'tolerating',
    [node('one', { spec: taints('a', 'b', 'NoExecute') })],
    { tolerations: [{ key: 'a', value: 'b' }] },
    'one',
  ],
  [
    'tolerating all',
    [node('one', { spec: { ...CORDONED, ...taints('a') } })],
    { tolerations: [{ operator: 'Exists' }] },
    'one',
  ],
  ['avoiding PreferNoSchedule', [node('one', { spec: taints('a', 'b', 'PreferNoSchedule') }), node('two')], {}, 'two'],
  ['to the emptier node', TWO, {}, 'hollow-2', [[pod(requesting({ cpu: '4', memory: '16Gi' }), 'a'), 'hollow-1']]],
  ['beside another port', [node('one')], port(81), 'one', [[pod(port(80), 'a'), 'one']]],
];
for (const [name, nodes, spec, expected, placed] of placements) {
  test(`places: ${name}`, t => {
    t.is(answer(pod(spec), cluster(nodes, placed)), expected);
  });
}

test('pods of one owner spread over the nodes', t => {
  const snapshot = cluster([node('a'), node('b'), node('c')]);
  const selector = { matchLabels: { app: 'x' } };
  snapshot.workloads.setOwner('ReplicaSet', { metadata: { namespace: 'n', name: 'owner' } }, selector);
  const used = new Map<string, number>();
  for (let index = 0; index < 9; index++) {
    const next = pod({}, `p${index}`, 'owner');
    Object.assign(next.metadata ?? {}, { labels: { app: 'x' } });
    const decision = decide(describePod(next), snapshot, DEFAULT_PROFILE);
    if (decision.kind !== 'place') return t.fail('no place');
    snapshot.setPod(next, decision.node);
    snapshot.offset += decision.searched;
    used.set(decision.node, (used.get(decision.node) ?? 0) + 1);
  }
  t.deepEqual([...used.values()], [3, 3, 3]);
});

test('never gives away more than a node has, and places whatever fits', t => {
  const request = fc.record({ cpu: fc.integer({ min: 0, max: 3000 }), memory: fc.integer({ min: 0, max: 4000 }) });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (requests, count) => {
      const room = { cpu: '4', memory: '4000Mi', pods: '8' };
      const snapshot = cluster(Array.from({ length: count }, (_, index) => node(`n${index}`, { room })));
      for (const [index, { cpu, memory }] of requests.entries()) {
        const next = pod(requesting({ cpu: `${cpu}m`, memory: `${memory}Mi` }), `p${index}`);
        const hasRoom = snapshot.nodes.some(
          ({ requested, pods }) =>
            requested.cpu + cpu <= 4000 && requested.memory + memory * 2 ** 20 <= 4000 * 2 ** 20 && pods.size < 8,
        );
        const decision = decide(describePod(next), snapshot, DEFAULT_PROFILE);
        t.is(decision.kind, hasRoom ? 'place' : 'refuse');
        if (decision.kind === 'place') snapshot.setPod(next, decision.node);
      }
      for (const { requested, allocatable, pods, podsMax } of snapshot.nodes) {
        t.true(requested.cpu <= allocatable.cpu && pods.size <= podsMax);
      }
    }),
    { numRuns: 50 },
  );
});

test('a pod that changes counts as what it is now: its labels, its size, and whether it is leaving', t => {
  const snapshot = cluster([node('a')]);
  const labelled = (app: string, cpu: string, more: Partial<Pod> = {}): Pod => {
    const base = pod(requesting({ cpu }), 'x');
    return { ...base, ...more, metadata: { ...base.metadata, labels: { app }, ...more.metadata } };
  };
  const selector = podSelector({
    labelSelector: { matchLabels: { app: 'one' } },
    namespaces: ['n'],
    namespaceSelector: undefined,
    isOfLiving: true,
  });
  const counts = () => [snapshot.nodes[0]?.requested.cpu, snapshot.podCounts(selector).get('a') ?? 0];
  snapshot.setPod(labelled('one', '1'), 'a');
  t.deepEqual(counts(), [1000, 1]);
  snapshot.setPod(labelled('one', '1', { status: { phase: 'Running' } }), 'a');
  t.deepEqual(counts(), [1000, 1]);
  t.is(snapshot.nodes[0]?.pods.get('x')?.pod.status?.phase, 'Running');
  snapshot.setPod(labelled('one', '2'), 'a');
  t.deepEqual(counts(), [2000, 1]);
  snapshot.setPod(labelled('two', '2'), 'a');
  t.deepEqual(counts(), [2000, 0]);
  snapshot.setPod(labelled('one', '2'), 'a');
  snapshot.setPod(labelled('one', '2', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }), 'a');
  t.deepEqual(counts(), [2000, 0]);
  snapshot.removePod('x');
  t.deepEqual(counts(), [0, 0]);
});

const sized = (cpu: string, held?: string, more: { sidecar?: boolean; isInfeasible?: boolean } = {}): Pod => {
  const container = { name: 'c', resources: { requests: { cpu } } };
  const statuses = held && [{ name: 'c', resources: { requests: { cpu: held } }, allocatedResources: { cpu: held } }];
  const field = more.sidecar ? 'initContainerStatuses' : 'containerStatuses';
  return {
    metadata: { name: 'p', uid: 'p', namespace: 'n' },
    spec: more.sidecar
      ? { containers: [{ name: 'main' }], initContainers: [{ ...container, restartPolicy: 'Always' }] }
      : { containers: [container] },
    status: {
      ...(statuses && { [field]: statuses }),
      ...(more.isInfeasible && {
        conditions: [{ type: 'PodResizePending', status: 'True', reason: 'Infeasible' }],
      }),
    },
  };
};
const resized: readonly [string, Pod, number][] = [
  ['that is not there yet', sized('1'), 1000],
  ['that becomes larger', sized('2', '1'), 2000],
  ['that becomes smaller', sized('1', '2'), 2000],
  ['whose sidecar becomes smaller', sized('1', '2', { sidecar: true }), 2000],
  ['that cannot become so large', sized('9', '1', { isInfeasible: true }), 1000],
  ['that cannot be resized, and says nothing of what it has', sized('9', undefined, { isInfeasible: true }), 9000],
];
for (const [name, each, expected] of resized) {
  test(`what counts of a pod ${name}`, t => t.is(describePod(each).requests.cpu, expected));
}

test('removing pods gives back what they took', t => {
  const snapshot = cluster([node('a')]);
  for (const uid of ['x', 'y']) snapshot.setPod(pod(requesting({ cpu: '1' }), uid, 'owner'), 'a');
  snapshot.setPod(pod(requesting({ cpu: '2' }), 'x', 'owner'), 'a');
  t.is(snapshot.nodes[0]?.requested.cpu, 3000);
  snapshot.removePod('x');
  snapshot.removePod('y');
  snapshot.removePod('y');
  t.is(snapshot.nodes[0]?.requested.cpu, 0);
  t.is(snapshot.nodes[0]?.pods.size, 0);
});
