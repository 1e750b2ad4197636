/**
 * Pods placed one after the other on random clusters: each place keeps every hard rule, and who was refused would have broken
 * one anywhere. The rules are written down here once more, plainly and from Kubernetes' documentation, without any count
 * that the scheduler keeps.
 */
import assert from 'node:assert';
import test from 'ava';
import fc from 'fast-check';
import type { Node, Pod, PodAffinityTerm, PodSpec, Taint, TopologySpreadConstraint } from '../api/generated/types.ts';
import { decide } from './decide.ts';
import { describePod } from './pod-info.ts';
import { DEFAULT_PROFILE } from './profile-configuration.ts';
import { ClusterSnapshot } from './snapshot.ts';

const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
interface World {
  readonly nodes: readonly Node[];
  readonly placed: readonly { readonly pod: Pod; readonly node: Node }[];
}

const labelsOf = ({ metadata }: Node | Pod) => metadata?.labels ?? {};
const cpuOf = ({ spec }: Pod) => Number(spec?.containers[0]?.resources?.requests?.cpu ?? 0);
const isSelected = (term: { labelSelector?: { matchLabels?: Record<string, string> } }, pod: Pod) =>
  labelsOf(pod).app === term.labelSelector?.matchLabels?.app;
const isTolerated = ({ key, value = '' }: Taint, { spec }: Pod) =>
  Boolean(spec?.tolerations?.some(each => each.operator === 'Exists' || (each.key === key && each.value === value)));

function suits(pod: Pod, node: Node): boolean {
  return Object.entries(pod.spec?.nodeSelector ?? {}).every(([key, value]) => labelsOf(node)[key] === value);
}

/** Pods in the same domain of the term's topology as `node`. */
function neighbours(world: World, node: Node, topologyKey: string): Pod[] {
  const domain = labelsOf(node)[topologyKey];
  if (domain === undefined) return [];
  return world.placed.filter(each => labelsOf(each.node)[topologyKey] === domain).map(({ pod }) => pod);
}

const termsOf = (pod: Pod, kind: 'podAffinity' | 'podAntiAffinity'): readonly PodAffinityTerm[] =>
  pod.spec?.affinity?.[kind]?.requiredDuringSchedulingIgnoredDuringExecution ?? [];

function keepsAffinity(pod: Pod, node: Node, world: World): boolean {
  const near = termsOf(pod, 'podAffinity');
  const matchesAll = (other: Pod) => near.every(term => isSelected(term, other));
  const isFirst =
    matchesAll(pod) &&
    !world.placed.some(
      each => matchesAll(each.pod) && near.some(term => labelsOf(each.node)[term.topologyKey] !== undefined),
    );
  return near.every(
    ({ topologyKey }) =>
      labelsOf(node)[topologyKey] !== undefined && (isFirst || neighbours(world, node, topologyKey).some(matchesAll)),
  );
}

function keepsApart(pod: Pod, node: Node, world: World): boolean {
  const isOwnWishKept = termsOf(pod, 'podAntiAffinity').every(
    term => !neighbours(world, node, term.topologyKey).some(other => isSelected(term, other)),
  );
  const isOthersWishKept = world.placed.every(other =>
    termsOf(other.pod, 'podAntiAffinity').every(({ topologyKey, ...term }) => {
      const domain = labelsOf(other.node)[topologyKey];
      return !isSelected(term, pod) || domain === undefined || domain !== labelsOf(node)[topologyKey];
    }),
  );
  return isOwnWishKept && isOthersWishKept;
}

function keepsSpread(pod: Pod, node: Node, world: World): boolean {
  const constraints = pod.spec?.topologySpreadConstraints ?? [];
  const hasAll = (each: Node) => constraints.every(({ topologyKey }) => labelsOf(each)[topologyKey] !== undefined);
  return constraints.every(constraint => {
    const { topologyKey, maxSkew, minDomains = 1, nodeAffinityPolicy, nodeTaintsPolicy } = constraint;
    if (labelsOf(node)[topologyKey] === undefined) return false;
    const counting = world.nodes.filter(
      each =>
        hasAll(each) &&
        (nodeAffinityPolicy === 'Ignore' || suits(pod, each)) &&
        (nodeTaintsPolicy !== 'Honor' || (each.spec?.taints ?? []).every(taint => isTolerated(taint, pod))),
    );
    const counts = new Map<string, number>();
    for (const each of counting) {
      const domain = labelsOf(each)[topologyKey] ?? '';
      const here = world.placed.filter(other => other.node === each && isSelected(constraint, other.pod)).length;
      counts.set(domain, (counts.get(domain) ?? 0) + here);
    }
    const fewest = counts.size < minDomains ? 0 : Math.min(...counts.values());
    const self = isSelected(constraint, pod) ? 1 : 0;
    return (counts.get(labelsOf(node)[topologyKey] ?? '') ?? 0) + self - fewest <= maxSkew;
  });
}

function keepsPorts(pod: Pod, here: readonly Pod[]): boolean {
  const portsOf = ({ spec }: Pod) =>
    (spec?.containers[0]?.ports ?? []).map(({ hostPort, hostIP }) => ({ hostPort, hostIP }));
  return portsOf(pod).every(wanted =>
    here
      .flatMap(portsOf)
      .every(
        taken =>
          taken.hostPort !== wanted.hostPort || (taken.hostIP !== wanted.hostIP && taken.hostIP && wanted.hostIP),
      ),
  );
}

function mayRun(pod: Pod, node: Node, world: World): boolean {
  const here = world.placed.filter(each => each.node === node).map(each => each.pod);
  const { cpu, pods } = node.status?.allocatable ?? {};
  return (
    (!node.spec?.unschedulable ||
      isTolerated({ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }, pod)) &&
    suits(pod, node) &&
    (node.spec?.taints ?? []).every(taint => isTolerated(taint, pod)) &&
    here.length < Number(pods) &&
    here.reduce((sum, other) => sum + cpuOf(other), cpuOf(pod)) <= Number(cpu) &&
    keepsPorts(pod, here) &&
    keepsAffinity(pod, node, world) &&
    keepsApart(pod, node, world) &&
    keepsSpread(pod, node, world)
  );
}

const app = fc.constantFrom('a', 'b');
const topologyKey = fc.constantFrom(HOST, ZONE);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 3 });
const term = fc.record({ topologyKey, labelSelector: app.map(value => ({ matchLabels: { app: value } })) });
const terms = fc
  .array(term, { minLength: 1, maxLength: 2 })
  .map(requiredDuringSchedulingIgnoredDuringExecution => ({ requiredDuringSchedulingIgnoredDuringExecution }));
const constraint: fc.Arbitrary<TopologySpreadConstraint> = fc
  .record({
    topologyKey,
    labelSelector: app.map(value => ({ matchLabels: { app: value } })),
    maxSkew: fc.integer({ min: 1, max: 2 }),
    minDomains: maybe(fc.integer({ min: 1, max: 4 })),
    nodeAffinityPolicy: maybe(fc.constantFrom('Honor', 'Ignore')),
    nodeTaintsPolicy: maybe(fc.constantFrom('Honor', 'Ignore')),
  })
  .map(({ minDomains, nodeAffinityPolicy, nodeTaintsPolicy, ...rest }) => ({
    ...rest,
    whenUnsatisfiable: 'DoNotSchedule',
    ...(minDomains && { minDomains }),
    ...(nodeAffinityPolicy && { nodeAffinityPolicy }),
    ...(nodeTaintsPolicy && { nodeTaintsPolicy }),
  }));
const toleration = fc.constantFrom({ operator: 'Exists' }, { key: 't', operator: 'Equal', value: '1' });
const port = fc.record({
  containerPort: fc.constant(80),
  hostPort: fc.integer({ min: 1, max: 2 }),
  hostIP: fc.constantFrom('', '10.0.0.1', '10.0.0.2'),
});

const podShape = fc.record({
  app,
  cpu: fc.integer({ min: 0, max: 2 }),
  near: maybe(terms),
  away: maybe(terms),
  spread: maybe(fc.array(constraint, { minLength: 1, maxLength: 2 })),
  disk: maybe(fc.constantFrom('ssd', 'hdd')),
  toleration: maybe(toleration),
  port: maybe(port),
});
function podOf(index: number, shape: typeof podShape extends fc.Arbitrary<infer T> ? T : never): Pod {
  const { app: own, cpu, near, away, spread, disk, toleration: tolerated, port: wanted } = shape;
  const spec: PodSpec = {
    containers: [{ name: 'c', resources: { requests: { cpu: `${cpu}` } }, ...(wanted && { ports: [wanted] }) }],
    ...((near || away) && { affinity: { ...(near && { podAffinity: near }), ...(away && { podAntiAffinity: away }) } }),
    ...(spread && { topologySpreadConstraints: spread }),
    ...(disk && { nodeSelector: { disk } }),
    ...(tolerated && { tolerations: [tolerated] }),
  };
  return { metadata: { name: `p${index}`, uid: `p${index}`, namespace: 'n', labels: { app: own } }, spec };
}

const nodeShape = fc.record({
  zone: maybe(fc.constantFrom('z1', 'z2')),
  hasHost: fc.boolean(),
  disk: fc.constantFrom('ssd', 'hdd'),
  taint: maybe(fc.constantFrom('NoSchedule', 'NoExecute')),
  isCordoned: fc.integer({ min: 0, max: 9 }).map(n => n === 0),
});
function nodeOf(index: number, shape: typeof nodeShape extends fc.Arbitrary<infer T> ? T : never): Node {
  const { zone, hasHost, disk, taint, isCordoned } = shape;
  return {
    metadata: {
      name: `h${index}`,
      labels: { disk, ...(hasHost && { [HOST]: `h${index}` }), ...(zone && { [ZONE]: zone }) },
    },
    spec: { unschedulable: isCordoned, ...(taint && { taints: [{ key: 't', value: '1', effect: taint }] }) },
    status: { allocatable: { cpu: '4', memory: '8Gi', pods: '4' } },
  };
}

/** With host labels everywhere the scheduler goes by the cluster's own counts; both ways have to be right. */
const cluster = fc.oneof(
  fc.array(nodeShape, { minLength: 1, maxLength: 5 }),
  fc.array(
    nodeShape.map(shape => ({ ...shape, hasHost: true, zone: shape.zone ?? ('z2' as const) })),
    { minLength: 1, maxLength: 5 },
  ),
);

const describe = (pod: Pod, { nodes, placed }: World) =>
  JSON.stringify({ pod, nodes, placed: placed.map(each => [each.pod, each.node.metadata?.name]) });

test('each place keeps every hard rule, and who is refused would break one anywhere', t => {
  let placedCount = 0;
  let refusedCount = 0;
  fc.assert(
    fc.property(
      cluster,
      fc.array(podShape, { maxLength: 16 }),
      fc.array(fc.nat(), { maxLength: 4 }),
      (shapes, wanted, removals) => {
        const snapshot = new ClusterSnapshot();
        const nodes = shapes.map((shape, index) => nodeOf(index, shape));
        for (const each of nodes) snapshot.setNode(each);
        let placed: World['placed'] = [];
        for (const [index, shape] of wanted.entries()) {
          const pod = podOf(index, shape);
          const world = { nodes, placed };
          const decision = decide(describePod(pod), snapshot, DEFAULT_PROFILE);
          const possible = nodes.filter(node => mayRun(pod, node, world)).map(({ metadata }) => metadata?.name);
          if (decision.kind === 'refuse') {
            assert.deepEqual(possible, [], describe(pod, world));
            refusedCount++;
            continue;
          }
          assert.ok(possible.includes(decision.node), `${decision.node}: ${describe(pod, world)}`);
          placedCount++;
          snapshot.setPod(pod, decision.node);
          placed = [...placed, { pod, node: nodes.find(({ metadata }) => metadata?.name === decision.node) as Node }];
          // Some leave again, so that counts go down too.
          const leaving = removals[index % Math.max(1, removals.length)];
          if (leaving === undefined || leaving % 3 > 0) continue;
          const gone = placed[leaving % placed.length];
          snapshot.removePod(gone?.pod.metadata?.uid ?? '');
          placed = placed.filter(each => each !== gone);
        }
      },
    ),
    { numRuns: 600 },
  );
  t.true(placedCount > 500 && refusedCount > 500, `${placedCount} placed, ${refusedCount} refused`);
});
