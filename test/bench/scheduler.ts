/** How many pods a second the scheduler decides about, all else left out: a loop of decide and count. */
import type { Node, Pod, PodSpec } from '../../control/api/generated/types.ts';
import { decide } from '../../control/scheduler/decide.ts';
import { describePod } from '../../control/scheduler/pod-info.ts';
import { planPreemption } from '../../control/scheduler/preempt.ts';
import { DEFAULT_PROFILE } from '../../control/scheduler/profile-configuration.ts';
import { ClusterSnapshot } from '../../control/scheduler/snapshot.ts';

const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
const APPS = 100;

interface Scene {
  readonly name: string;
  readonly spec: Partial<PodSpec>;
  /** Owned pods are spread by the defaults. */
  readonly isOwned?: boolean;
  /** What happens to the nodes before each decision. */
  readonly before?: (snapshot: ClusterSnapshot, index: number) => void;
}

const selector = { labelSelector: { matchLabels: { app: 'app-0' } } };
const term = (topologyKey: string) => ({ topologyKey, ...selector });
const SPREAD: Partial<PodSpec> = {
  topologySpreadConstraints: [ZONE, HOST].map(topologyKey => ({
    topologyKey,
    maxSkew: 5,
    whenUnsatisfiable: 'DoNotSchedule',
    ...selector,
  })),
};
const SCENES: readonly Scene[] = [
  { name: 'plain', spec: {} },
  { name: 'of a ReplicaSet (spread by default)', spec: {}, isOwned: true },
  {
    name: 'spread over zones and hosts, hard',
    spec: SPREAD,
  },
  {
    name: 'preferring to be apart',
    spec: {
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term(HOST) }],
        },
      },
    },
  },
  {
    name: 'near others of their zone',
    spec: { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term(ZONE)] } } },
  },
  {
    name: 'with node affinity and tolerations',
    spec: {
      tolerations: [{ operator: 'Exists', effect: 'NoExecute' }],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: ZONE, operator: 'In', values: ['z0', 'z1'] }] }],
          },
        },
      },
    },
  },
];

const starting = (index: number): Node => ({
  ...nodeOf(index),
  spec: { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }] },
});
/** Clusters that change. */
const CHANGES: readonly Scene[] = [
  { name: 'spread hard, while a node comes up before each', spec: SPREAD, before: comeUp },
  { name: 'spread hard, by a nodeSelector', spec: { ...SPREAD, nodeSelector: { [ZONE]: 'z1' } } },
];

/** The node with this number loses its taint, and the next one gets it. */
function comeUp(snapshot: ClusterSnapshot, index: number): void {
  const nodes = snapshot.nodes.length;
  snapshot.setNode(nodeOf(index % nodes));
  snapshot.setNode(starting((index + 1) % nodes));
}

export interface SchedulerBench {
  readonly nodes: readonly number[];
  readonly pods: number;
  readonly print: (line: string) => void;
}

export function benchScheduler({ nodes, pods, print }: SchedulerBench): void {
  for (const count of nodes) {
    for (const scene of [...SCENES, ...CHANGES]) {
      const perSecond = placedPerSecond(scene, count, pods);
      print(`  ${count} nodes, ${pods} pods ${scene.name}: ${Math.round(perSecond)} pods/s`);
    }
    print(`  ${count} nodes, all full: ${preemptionMs(count).toFixed(1)} ms to find victims for a pod`);
  }
}

function placedPerSecond(scene: Scene, nodes: number, pods: number): number {
  const snapshot = clusterOf(nodes);
  const startedMs = performance.now();
  for (let index = 0; index < pods; index++) {
    const pod = podOf(index, scene);
    scene.before?.(snapshot, index);
    const decision = decide(describePod(pod), snapshot, DEFAULT_PROFILE, Math.random);
    if (decision.kind !== 'place') throw new Error(`pod ${index} found no place`);
    snapshot.offset = (snapshot.offset + decision.searched) % snapshot.nodes.length;
    snapshot.setPod(pod, decision.node);
  }
  return (pods / (performance.now() - startedMs)) * 1000;
}

/** Every node is full of pods of lower priority. */
function preemptionMs(nodes: number): number {
  const snapshot = clusterOf(nodes);
  for (let index = 0; index < nodes * 8; index++) {
    snapshot.setPod(podOf(index, { name: '', spec: asking('4') }), `node-${index % nodes}`);
  }
  const pod = podOf(nodes * 8, { name: '', spec: { ...asking('4'), priority: 10 } });
  const rounds = 20;
  const startedMs = performance.now();
  for (let round = 0; round < rounds; round++) {
    const info = describePod(pod);
    const decision = decide(info, snapshot, DEFAULT_PROFILE);
    if (decision.kind !== 'refuse') throw new Error('there is room');
    const context = { diagnosis: decision.diagnosis, budgets: [], random: Math.random, nowMs: 0 };
    if (planPreemption(info, snapshot, DEFAULT_PROFILE, context).kind !== 'evict') throw new Error('nobody to evict');
  }
  return (performance.now() - startedMs) / rounds;
}

const asking = (cpu: string): Partial<PodSpec> => ({
  containers: [{ name: 'c', image: 'app:1', resources: { requests: { cpu, memory: '64Mi' } } }],
});

function clusterOf(nodes: number): ClusterSnapshot {
  const snapshot = new ClusterSnapshot();
  for (let index = 0; index < nodes; index++) snapshot.setNode(nodeOf(index));
  for (let app = 0; app < APPS; app++) {
    const metadata = { namespace: 'n', name: `app-${app}` };
    snapshot.workloads.setOwner('ReplicaSet', { metadata }, { matchLabels: { app: `app-${app}` } });
  }
  return snapshot;
}

function nodeOf(index: number): Node {
  const name = `node-${index}`;
  return {
    metadata: { name, labels: { [HOST]: name, [ZONE]: `z${index % 3}`, 'kubernetes.io/os': 'linux' } },
    spec: {},
    status: { allocatable: { cpu: '32', memory: '256Gi', 'ephemeral-storage': '100Gi', pods: '110' } },
  };
}

function podOf(index: number, { spec, isOwned }: Scene): Pod {
  const app = isOwned ? `app-${index % APPS}` : 'app-0';
  return {
    metadata: {
      name: `p${index}`,
      namespace: 'n',
      uid: `uid-${index}`,
      labels: { app, 'pod-template-hash': 'abc' },
      ...(isOwned && {
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: app, uid: app, controller: true }],
      }),
    },
    spec: { containers: [], ...asking('100m'), ...spec },
  };
}
