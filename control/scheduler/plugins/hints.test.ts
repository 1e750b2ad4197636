/** What wakes a pod that a plugin refused, and what lets it sleep. */
import test from 'ava';
import type { Node, Pod, PodSpec } from '../../api/generated/types.ts';
import { type ClusterEvent, nodeSeen } from '../cluster-events.ts';
import { describePod } from '../pod-info.ts';
import { DEFAULT_PROFILE } from '../profile-configuration.ts';
import { ClusterSnapshot } from '../snapshot.ts';

const node = (more: Partial<Node> = {}, labels: Record<string, string> = {}): Node => ({
  metadata: { name: 'a', labels },
  status: { allocatable: { cpu: '4', pods: '8' } },
  ...more,
});
const pod = (name: string, spec: Partial<PodSpec> = {}, labels: Record<string, string> = {}): Pod => ({
  metadata: { name, uid: name, namespace: 'n', labels },
  spec: { containers: [{ name: 'c' }], ...spec },
});
const asking = (requests: Record<string, string>): Partial<PodSpec> => ({
  containers: [{ name: 'c', resources: { requests } }],
});
const port = (hostPort: number, hostIP = ''): Partial<PodSpec> => ({
  containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort, hostIP }] }],
});
/** A node with room for pods and this as well. */
const having = (more: Record<string, string>) => node({ status: { allocatable: { cpu: '4', pods: '8', ...more } } });
const TERM = { topologyKey: 'host', labelSelector: { matchLabels: { app: 'x' } } };
const near: Partial<PodSpec> = {
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [TERM] } },
};
const X = { app: 'x' };
const H = { host: 'h' };
const nearBoth: Partial<PodSpec> = {
  affinity: {
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        TERM,
        { topologyKey: 'host', labelSelector: { matchExpressions: [{ key: 'b', operator: 'Exists' }] } },
      ],
    },
  },
};
const away: Partial<PodSpec> = {
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [TERM] } },
};
/** Keeps away every pod of its namespace. */
const avoiding: Partial<PodSpec> = {
  affinity: {
    podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'host', labelSelector: {} }] },
  },
};
const tolerating: Partial<PodSpec> = { tolerations: [{ operator: 'Exists' }] };
const spread: Partial<PodSpec> = {
  topologySpreadConstraints: [{ ...TERM, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' }],
};
const honouring: Partial<PodSpec> = {
  topologySpreadConstraints: [{ ...TERM, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule', nodeTaintsPolicy: 'Honor' }],
};
const disk = (pdName: string): Partial<PodSpec> => ({ volumes: [{ name: 'v', gcePersistentDisk: { pdName } }] });
const using: Partial<PodSpec> = { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] };
const added = (each: Node): ClusterEvent => nodeSeen(each, undefined);
const changed = (each: Node, old: Node): ClusterEvent => nodeSeen(each, old);
const removed = (each: Pod): ClusterEvent => ({ kind: 'podRemoved', pod: describePod(each) });
const placed = (each: Pod): ClusterEvent => ({ kind: 'podPlaced', pod: describePod(each) });
const changedPod = (each: Pod, old: Pod): ClusterEvent => ({
  kind: 'podChanged',
  pod: describePod(each),
  old: describePod(old),
});
const ownChange = (each: Pod, old: Pod): ClusterEvent => ({
  kind: 'ownChange',
  pod: describePod(each),
  old: describePod(old),
});
const leaving = (each: Pod): Pod => ({
  ...each,
  metadata: { ...each.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
});
const ZONE = 'topology.kubernetes.io/zone';
const volumeSeen = (labels: Record<string, string>, old: Record<string, string> | undefined): ClusterEvent => ({
  kind: 'volume',
  volume: { metadata: { name: 'v', labels } },
  old: old && { metadata: { name: 'v', labels: old } },
});
const classOf = (zones: string[]) => ({
  metadata: { name: 's' },
  provisioner: 'd.io',
  allowedTopologies: [{ matchLabelExpressions: [{ key: ZONE, values: zones }] }],
});
const classSeen = (zones: string[], old: string[] | undefined): ClusterEvent => ({
  kind: 'storageClass',
  storageClass: classOf(zones),
  old: old && classOf(old),
});
const driverOf = (storageCapacity: boolean) => ({ metadata: { name: 'd.io' }, spec: { storageCapacity } });
const driverSeen = (isTold: boolean, wasTold: boolean | undefined): ClusterEvent => ({
  kind: 'csiDriver',
  csiDriver: driverOf(isTold),
  old: wasTold === undefined ? undefined : driverOf(wasTold),
});
const storageSeen = (capacity: string, old: string): ClusterEvent => ({
  kind: 'storageCapacity',
  capacity: { storageClassName: 's', capacity },
  old: { storageClassName: 's', capacity: old },
});
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
    'a pod left that took something else, but also a place',
    removed(pod('x', asking({ memory: '1Gi' }))),
    asking({ cpu: '1' }),
    true,
  ],
  ['NodeResourcesFit', 'a pod came', placed(pod('x')), asking({ cpu: '1' }), false],
  ['NodeResourcesFit', 'a node came', added(node()), asking({ cpu: '1' }), true],
  ['NodeResourcesFit', 'a node came that is too small', added(node()), asking({ cpu: '5' }), false],
  ['NodeResourcesFit', 'a node came that takes no pods', added(having({ pods: '0' })), {}, false],
  ['NodeResourcesFit', 'a node takes more pods', changed(having({ pods: '9' }), node()), asking({ cpu: '1' }), true],
  ['NodeResourcesFit', 'a node has less', changed(having({ cpu: '3' }), node()), asking({ cpu: '1' }), false],
  [
    'NodeResourcesFit',
    'a node has more of something else',
    changed(having({ memory: '8Gi' }), node()),
    asking({ cpu: '1' }),
    false,
  ],
  [
    'NodeResourcesFit',
    'a node has more, and still not enough',
    changed(having({ cpu: '5' }), node()),
    asking({ cpu: '6' }),
    false,
  ],
  ['NodeResourcesFit', 'a node has more', changed(having({ cpu: '8' }), node()), asking({ cpu: '1' }), true],
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
  [
    'NodeResourcesFit',
    'a pod became smaller in something else',
    changedPod(pod('x', asking({ memory: '1Gi' })), pod('x', asking({ memory: '2Gi' }))),
    asking({ cpu: '1' }),
    false,
  ],
  [
    'NodePorts',
    'a pod with the port at another address left',
    removed(pod('x', port(80, '10.0.0.1'))),
    port(80, '10.0.0.2'),
    false,
  ],
  ['NodePorts', 'a pod with the port at any address left', removed(pod('x', port(80))), port(80, '10.0.0.2'), true],
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
  [
    'NodeAffinity',
    'a node that had the label all along got another',
    changed(node({}, { disk: 'ssd', l: 'v' }), node({}, { disk: 'ssd' })),
    { nodeSelector: { disk: 'ssd' } },
    false,
  ],
  ['InterPodAffinity', 'a pod left that is wanted near', removed(pod('x', {}, X)), near, false],
  ['InterPodAffinity', 'a pod became what is wanted near', changedPod(pod('x', {}, X), pod('x')), near, true],
  ['InterPodAffinity', 'a pod is no more what is wanted near', changedPod(pod('x'), pod('x', {}, X)), near, false],
  [
    'InterPodAffinity',
    'a pod is still what is wanted near',
    changedPod(pod('x', {}, { ...X, l: 'v' }), pod('x', {}, X)),
    near,
    false,
  ],
  ['InterPodAffinity', 'a pod came that is one of two wanted near', placed(pod('x', {}, X)), nearBoth, false],
  ['InterPodAffinity', 'a pod came that is both wanted near', placed(pod('x', {}, { ...X, b: '' })), nearBoth, true],
  ['InterPodAffinity', 'a pod came that is avoided', placed(pod('x', {}, X)), away, false],
  ['InterPodAffinity', 'a pod left that is avoided', removed(pod('x', {}, X)), away, true],
  ['InterPodAffinity', 'some pod left', removed(pod('x', {}, { app: 'y' })), away, false],
  ['InterPodAffinity', 'a pod is no more what is avoided', changedPod(pod('x'), pod('x', {}, X)), away, true],
  ['InterPodAffinity', 'a pod became what is avoided', changedPod(pod('x', {}, X), pod('x')), away, false],
  ['InterPodAffinity', 'a pod left that kept this one away', removed(pod('x', avoiding)), {}, true],
  ['InterPodAffinity', 'a pod came that keeps this one away', placed(pod('x', avoiding)), {}, false],
  ['InterPodAffinity', 'a node came with the topology', added(node({}, { host: 'h' })), near, true],
  ['InterPodAffinity', 'a node came without the topology', added(node()), near, false],
  ['InterPodAffinity', 'a node moved', changed(node({}, { host: 'h' }), node({}, { host: 'i' })), near, true],
  ['InterPodAffinity', 'a node joined the topology', changed(node({}, { host: 'h' }), node()), near, true],
  ['InterPodAffinity', 'a node got some label', changed(node({}, { l: 'v' }), node()), near, false],
  ['InterPodAffinity', 'a node came where nobody is avoided', added(node()), away, true],
  ['InterPodAffinity', 'a node moved away', changed(node({}, { host: 'h' }), node({}, { host: 'i' })), away, true],
  ['InterPodAffinity', 'a node joined what is avoided', changed(node({}, { host: 'h' }), node()), away, false],
  ['InterPodAffinity', 'a node left the topology', changed(node(), node({}, { host: 'h' })), away, true],
  ['InterPodAffinity', 'a node got a label', changed(node({}, { l: 'v', ...H }), node({}, H)), away, false],
  ['InterPodAffinity', 'the pod has other labels', ownChange(pod('p', away, X), pod('p', away)), away, true],
  ['InterPodAffinity', 'the pod tolerates more', ownChange(pod('p', tolerating), pod('p')), away, false],
  ['InterPodAffinity', 'a pod came that is wanted near', placed(pod('x', {}, { app: 'x' })), near, true],
  ['InterPodAffinity', 'some pod came', placed(pod('x', {}, { app: 'y' })), near, false],
  ['PodTopologySpread', 'a pod left that counts', removed(pod('x', {}, { app: 'x' })), spread, true],
  ['PodTopologySpread', 'some pod left', removed(pod('x', {}, { app: 'y' })), spread, false],
  ['PodTopologySpread', 'a pod counts no more', changedPod(pod('x'), pod('x', {}, X)), spread, true],
  ['PodTopologySpread', 'a pod began to leave', changedPod(leaving(pod('x', {}, X)), pod('x', {}, X)), spread, true],
  [
    'PodTopologySpread',
    'a pod that counts has another label',
    changedPod(pod('x', {}, { ...X, l: 'v' }), pod('x', {}, X)),
    spread,
    false,
  ],
  ['PodTopologySpread', 'a node of the topology went', { kind: 'nodeRemoved', node: node({}, H) }, spread, true],
  ['PodTopologySpread', 'some node went', { kind: 'nodeRemoved', node: node() }, spread, false],
  ['PodTopologySpread', 'a node of the topology came', added(node({}, H)), spread, true],
  ['PodTopologySpread', 'some node came', added(node()), spread, false],
  ['PodTopologySpread', 'a node moved', changed(node({}, { host: 'i' }), node({}, H)), spread, true],
  ['PodTopologySpread', 'a node left the topology', changed(node(), node({}, H)), spread, true],
  ['PodTopologySpread', 'a node got a label', changed(node({}, { ...H, l: 'v' }), node({}, H)), spread, false],
  [
    'PodTopologySpread',
    'a taint went',
    changed(node({}, H), node({ metadata: { name: 'a', labels: H }, spec: TAINTED.spec ?? {} })),
    spread,
    true,
  ],
  ['PodTopologySpread', 'the pod tolerates more', ownChange(pod('p', tolerating), pod('p')), spread, false],
  [
    'PodTopologySpread',
    'the pod tolerates more, and counts so',
    ownChange(pod('p', tolerating), pod('p')),
    honouring,
    true,
  ],
  ['PodTopologySpread', 'the pod has other labels', ownChange(pod('p', spread, X), pod('p', spread)), spread, true],
  ['NodeResourcesFit', 'a node went', { kind: 'nodeRemoved', node: node() }, asking({ cpu: '1' }), false],
  ['VolumeBinding', 'the claim came', claim('c'), using, true],
  ['VolumeBinding', 'some claim came', claim('d'), using, false],
  ['VolumeBinding', 'a claim of that name came elsewhere', claim('c', 'm'), using, false],
  ['VolumeBinding', 'a volume came', volumeSeen({}, undefined), using, true],
  ['VolumeBinding', 'a class came', classSeen(['z'], undefined), using, true],
  ['VolumeBinding', 'a class allows other zones', classSeen(['y'], ['z']), using, true],
  ['VolumeBinding', 'a class is as it was', classSeen(['z'], ['z']), using, false],
  ['VolumeBinding', 'a driver that tells its storage from now on', driverSeen(true, false), using, false],
  ['VolumeBinding', 'a driver that does not tell its storage any more', driverSeen(false, true), using, true],
  ['VolumeBinding', 'a driver that is new', driverSeen(true, undefined), using, false],
  ['VolumeBinding', 'there is more storage', storageSeen('2Gi', '1Gi'), using, true],
  ['VolumeBinding', 'there is less storage', storageSeen('1Gi', '2Gi'), using, false],
  ['VolumeZone', 'a volume came', volumeSeen({}, undefined), using, true],
  ['VolumeZone', 'a volume is in another zone', volumeSeen({ [ZONE]: 'y' }, { [ZONE]: 'z' }), using, true],
  ['VolumeZone', 'a volume has another label', volumeSeen({ l: 'v' }, {}), using, false],
  ['NodeVolumeLimits', 'some claim came', claim('d'), using, false],
  ['NodeVolumeLimits', 'the claim came', claim('c'), using, true],
  ['VolumeRestrictions', 'a pod with the claim left', removed(pod('x', using)), using, true],
  ['VolumeRestrictions', 'a pod with another volume left', removed(pod('x', disk('a'))), using, false],
  ['VolumeRestrictions', 'a pod with the disk left', removed(pod('x', disk('a'))), disk('a'), true],
  ['VolumeRestrictions', 'a pod with another disk left', removed(pod('x', disk('a'))), disk('b'), false],
  ['NodeVolumeLimits', 'a pod with volumes left', removed(pod('x', using)), using, true],
  ['NodeVolumeLimits', 'a pod without volumes left', removed(pod('x')), using, false],
];
for (const [plugin, what, event, spec, expected] of cases) {
  test(`${plugin}: ${what}`, t => {
    const found = DEFAULT_PROFILE.filterPlugins.find(({ name }) => name === plugin);
    const isAsked = found?.helpedBy?.includes(event.kind) ?? false;
    const snapshot = new ClusterSnapshot();
    snapshot.volumes.claims.set({ metadata: { name: 'c', namespace: 'n' }, spec: { storageClassName: 's' } });
    snapshot.volumes.classes.set(classOf(['z']));
    const mayHelp = isAsked && (found?.mayHelp?.(event, describePod(pod('p', spec)), snapshot) ?? true);
    t.is(mayHelp, expected);
  });
}
