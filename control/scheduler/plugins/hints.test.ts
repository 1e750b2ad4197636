/** What wakes a pod that a plugin refused, and what lets it sleep. */
import test from 'ava';
import type { Node, Pod, PodSpec } from '../../api/generated/types.ts';
import type { ClusterEvent } from '../cluster-events.ts';
import { describePod } from '../pod-info.ts';
import { DEFAULT_PROFILE } from '../profile-configuration.ts';
import { ClusterSnapshot } from '../snapshot.ts';

const node = (more: Partial<Node> = {}, labels: Record<string, string> = {}): Node => ({
  metadata: { name: 'a', labels },
  status: { allocatable: { cpu: '4' } },
  ...more,
});
const pod = (name: string, spec: Partial<PodSpec> = {}, labels: Record<string, string> = {}): Pod => ({
  metadata: { name, uid: name, namespace: 'n', labels },
  spec: { containers: [{ name: 'c' }], ...spec },
});
const asking = (requests: Record<string, string>): Partial<PodSpec> => ({
  containers: [{ name: 'c', resources: { requests } }],
});
const port = (hostPort: number): Partial<PodSpec> => ({
  containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort }] }],
});
const TERM = { topologyKey: 'host', labelSelector: { matchLabels: { app: 'x' } } };
const near: Partial<PodSpec> = {
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [TERM] } },
};
const spread: Partial<PodSpec> = {
  topologySpreadConstraints: [{ ...TERM, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' }],
};
const using: Partial<PodSpec> = { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] };
const added = (each: Node): ClusterEvent => ({ kind: 'node', node: each, old: undefined });
const changed = (each: Node, old: Node): ClusterEvent => ({ kind: 'node', node: each, old });
const removed = (each: Pod): ClusterEvent => ({ kind: 'podRemoved', pod: describePod(each) });
const placed = (each: Pod): ClusterEvent => ({ kind: 'podPlaced', pod: describePod(each) });
const CORDONED = node({ spec: { unschedulable: true } });
const TAINTED = node({ spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } });
const claim = (name: string, namespace = 'n'): ClusterEvent => ({
  kind: 'claim',
  claim: { metadata: { name, namespace } },
  old: undefined,
});

/** Plugin, what happened, the waiting pod's spec, whether it is worth a try. */
const cases: readonly [string, string, ClusterEvent, Partial<PodSpec>, boolean][] = [
  [
    'NodeResourcesFit',
    'a pod left that took what is wanted',
    removed(pod('x', asking({ cpu: '1' }))),
    asking({ cpu: '1' }),
    true,
  ],
  [
    'NodeResourcesFit',
    'a pod left that took something else',
    removed(pod('x', asking({ memory: '1Gi' }))),
    asking({ cpu: '1' }),
    false,
  ],
  ['NodeResourcesFit', 'a pod came', placed(pod('x')), asking({ cpu: '1' }), false],
  ['NodeResourcesFit', 'a node came', added(node()), asking({ cpu: '1' }), true],
  [
    'NodeResourcesFit',
    'a node has more',
    changed(node({ status: { allocatable: { cpu: '8' } } }), node()),
    asking({ cpu: '1' }),
    true,
  ],
  ['NodeResourcesFit', 'a node has another label', changed(node({}, { l: 'v' }), node()), asking({ cpu: '1' }), false],
  [
    'NodeResourcesFit',
    'a pod became smaller',
    {
      kind: 'podChanged',
      pod: describePod(pod('x', asking({ cpu: '1' }))),
      old: describePod(pod('x', asking({ cpu: '2' }))),
    },
    asking({ cpu: '1' }),
    true,
  ],
  [
    'NodeResourcesFit',
    'a pod became larger',
    {
      kind: 'podChanged',
      pod: describePod(pod('x', asking({ cpu: '2' }))),
      old: describePod(pod('x', asking({ cpu: '1' }))),
    },
    asking({ cpu: '1' }),
    false,
  ],
  ['NodePorts', 'a pod with the port left', removed(pod('x', port(80))), port(80), true],
  ['NodePorts', 'a pod with another port left', removed(pod('x', port(81))), port(80), false],
  ['NodeUnschedulable', 'a node was uncordoned', changed(node(), CORDONED), {}, true],
  ['NodeUnschedulable', 'a node was cordoned', changed(CORDONED, node()), {}, false],
  ['NodeUnschedulable', 'a node was open all along', changed(node({}, { l: 'v' }), node()), {}, false],
  ['TaintToleration', 'a taint went', changed(node(), TAINTED), {}, true],
  ['TaintToleration', 'a tainted node came', added(TAINTED), {}, false],
  [
    'TaintToleration',
    'a tainted node came that is tolerated',
    added(TAINTED),
    { tolerations: [{ operator: 'Exists' }] },
    true,
  ],
  [
    'NodeAffinity',
    'a node got the label',
    changed(node({}, { disk: 'ssd' }), node()),
    { nodeSelector: { disk: 'ssd' } },
    true,
  ],
  [
    'NodeAffinity',
    'a node got another label',
    changed(node({}, { disk: 'hdd' }), node()),
    { nodeSelector: { disk: 'ssd' } },
    false,
  ],
  ['InterPodAffinity', 'a pod came that is wanted near', placed(pod('x', {}, { app: 'x' })), near, true],
  ['InterPodAffinity', 'some pod came', placed(pod('x', {}, { app: 'y' })), near, false],
  ['PodTopologySpread', 'a pod left that counts', removed(pod('x', {}, { app: 'x' })), spread, true],
  ['PodTopologySpread', 'some pod left', removed(pod('x', {}, { app: 'y' })), spread, false],
  ['PodTopologySpread', 'a node went', { kind: 'nodeRemoved', node: node() }, spread, true],
  ['NodeResourcesFit', 'a node went', { kind: 'nodeRemoved', node: node() }, asking({ cpu: '1' }), false],
  ['VolumeBinding', 'the claim came', claim('c'), using, true],
  ['VolumeBinding', 'some claim came', claim('d'), using, false],
  ['VolumeBinding', 'a claim of that name came elsewhere', claim('c', 'm'), using, false],
  ['VolumeBinding', 'a volume came', { kind: 'volume', volume: { metadata: { name: 'v' } } }, using, true],
  ['NodeVolumeLimits', 'a pod with volumes left', removed(pod('x', using)), using, true],
  ['NodeVolumeLimits', 'a pod without volumes left', removed(pod('x')), using, false],
];
for (const [plugin, what, event, spec, expected] of cases) {
  test(`${plugin}: ${what}`, t => {
    const found = DEFAULT_PROFILE.filterPlugins.find(({ name }) => name === plugin);
    const isAsked = found?.helpedBy?.includes(event.kind) ?? false;
    const mayHelp = isAsked && (found?.mayHelp?.(event, describePod(pod('p', spec)), new ClusterSnapshot()) ?? true);
    t.is(mayHelp, expected);
  });
}
