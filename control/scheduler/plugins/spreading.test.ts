/** Affinity between pods, and their spreading. */
import test from 'ava';
import fc from 'fast-check';
import type { Node, Pod, PodAffinityTerm, PodSpec, TopologySpreadConstraint } from '../../api/generated/types.ts';
import { decide } from '../decide.ts';
import { describePod } from '../pod-info.ts';
import { DEFAULT_PROFILE } from '../profile-configuration.ts';
import { ClusterSnapshot } from '../snapshot.ts';
import { answer } from '../testing/answer.ts';
import { topologySpread } from './topology-spread.ts';

const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
const node = (name: string, zone?: string): Node => ({
  metadata: { name, labels: { [HOST]: name, ...(zone && { [ZONE]: zone }) } },
  status: { allocatable: { cpu: '8', memory: '32Gi', pods: '110' } },
});
const pod = (uid: string, labels: Record<string, string>, spec: Partial<PodSpec> = {}, namespace = 'n'): Pod => ({
  metadata: { name: uid, namespace, uid, labels },
  spec: { containers: [{ name: 'c', image: 'x' }], ...spec },
});
const selector = (app: string) => ({ matchLabels: { app } });
const term = (app: string, topologyKey = HOST, more: Partial<PodAffinityTerm> = {}): PodAffinityTerm => ({
  topologyKey,
  labelSelector: selector(app),
  ...more,
});
const near = (...terms: PodAffinityTerm[]): Partial<PodSpec> => ({
  affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const away = (...terms: PodAffinityTerm[]): Partial<PodSpec> => ({
  affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } },
});
const spread = (more: Partial<TopologySpreadConstraint> = {}, app = 'a'): Partial<PodSpec> => ({
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey: HOST, whenUnsatisfiable: 'DoNotSchedule', labelSelector: selector(app), ...more },
  ],
});
type Placed = readonly (readonly [Pod, string])[];
function where(wanted: Pod, nodes: readonly Node[], placed: Placed = []): string {
  const snapshot = new ClusterSnapshot();
  snapshot.setNamespace({ metadata: { name: 'n', labels: { team: 'x' } } });
  snapshot.setNamespace({ metadata: { name: 'other', labels: { team: 'y' } } });
  for (const each of nodes) snapshot.setNode(each);
  for (const [each, name] of placed) snapshot.setPod(each, name);
  return answer(wanted, snapshot);
}
const TWO = [node('hollow-1'), node('hollow-2')];
const ZONES = [node('z1a', 'z1'), node('z1b', 'z1'), node('z2a', 'z2')];
const A = { app: 'a' };
const refused = (why: string, cure: string) =>
  `0/2 nodes are available: 2 ${why}. preemption: 0/2 nodes are available: 2 ${cure}.`;
const NO_VICTIMS = 'No preemption victims found for incoming pod';
const NOT_HELPFUL = 'Preemption is not helpful for scheduling';

const cases: readonly [string, Pod, readonly Node[], Placed, string][] = [
  ['away from its like', pod('p', A, away(term('a'))), TWO, [[pod('x', A), 'hollow-1']], 'hollow-2'],
  [
    'away from its like, which is everywhere',
    pod('p', A, away(term('a'))),
    TWO,
    [
      [pod('x', A), 'hollow-1'],
      [pod('y', A), 'hollow-2'],
    ],
    refused("node(s) didn't match pod anti-affinity rules", NO_VICTIMS),
  ],
  [
    'where others want to be alone',
    pod('p', A),
    TWO,
    [
      [pod('x', { app: 'b' }, away(term('a'))), 'hollow-1'],
      [pod('y', { app: 'b' }, away(term('a'))), 'hollow-2'],
    ],
    refused("node(s) didn't satisfy existing pods anti-affinity rules", NO_VICTIMS),
  ],
  ['near another', pod('p', {}, near(term('a'))), TWO, [[pod('x', A), 'hollow-2']], 'hollow-2'],
  ['near another of its zone', pod('p', {}, near(term('a', ZONE))), ZONES, [[pod('x', A), 'z2a']], 'z2a'],
  [
    'near nobody',
    pod('p', {}, near(term('a'))),
    TWO,
    [],
    refused("node(s) didn't match pod affinity rules", NOT_HELPFUL),
  ],
  ['the first of those that stay together', pod('p', A, near(term('a'))), TWO, [], 'hollow-1'],
  [
    'in a topology that no node has',
    pod('p', A, near(term('a', 'no/such'))),
    TWO,
    [],
    refused("node(s) didn't match pod affinity rules", NOT_HELPFUL),
  ],
  [
    'a term means its own namespace',
    pod('p', A, away(term('a'))),
    [node('one')],
    [[pod('x', A, {}, 'other'), 'one']],
    'one',
  ],
  [
    'namespaces chosen by labels',
    pod('p', A, away(term('a', HOST, { namespaceSelector: { matchLabels: { team: 'y' } } }))),
    TWO,
    [[pod('x', A, {}, 'other'), 'hollow-1']],
    'hollow-2',
  ],
  [
    'a preference for company',
    pod(
      'p',
      {},
      {
        affinity: {
          podAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term('a') }],
          },
        },
      },
    ),
    TWO,
    [[pod('x', A), 'hollow-2']],
    'hollow-2',
  ],
  [
    'a preference to be alone',
    pod(
      'p',
      {},
      {
        affinity: {
          podAntiAffinity: {
            preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: term('a') }],
          },
        },
      },
    ),
    TWO,
    [[pod('x', A), 'hollow-1']],
    'hollow-2',
  ],
  ['to the emptier domain', pod('p', A, spread()), TWO, [[pod('x', A), 'hollow-1']], 'hollow-2'],
  ['to the emptier zone', pod('p', A, spread({ topologyKey: ZONE })), ZONES, [[pod('x', A), 'z1a']], 'z2a'],
  [
    'no evenness to be had',
    pod('p', A, spread({ minDomains: 3 })),
    TWO,
    [
      [pod('x', A), 'hollow-1'],
      [pod('y', A), 'hollow-2'],
    ],
    refused("node(s) didn't match pod topology spread constraints", NO_VICTIMS),
  ],
  [
    'a topology without nodes',
    pod('p', A, spread({ topologyKey: 'no/such' })),
    TWO,
    [],
    refused("node(s) didn't match pod topology spread constraints (missing required label)", NOT_HELPFUL),
  ],
  [
    'only pods with the same value of a key count',
    pod('p', { ...A, rev: '2' }, spread({ matchLabelKeys: ['rev'] })),
    [node('one'), node('two')],
    [
      [pod('x', { ...A, rev: '1' }), 'one'],
      [pod('y', { ...A, rev: '1' }), 'one'],
      [pod('z', { ...A, rev: '2' }), 'two'],
    ],
    'one',
  ],
  [
    'nodes that the pod may not use do not count',
    pod('p', A, { ...spread(), nodeSelector: { [HOST]: 'hollow-1' } }),
    TWO,
    [[pod('x', A), 'hollow-1']],
    'hollow-1',
  ],
  [
    'evenness that is only wished for',
    pod('p', A, spread({ whenUnsatisfiable: 'ScheduleAnyway' })),
    TWO,
    [[pod('x', A), 'hollow-1']],
    'hollow-2',
  ],
];
for (const [name, wanted, nodes, placed, expected] of cases) {
  test(name, t => t.is(where(wanted, nodes, placed), expected));
}

test('a pod that has gone repels nobody', t => {
  const snapshot = new ClusterSnapshot();
  snapshot.setNode(node('one'));
  snapshot.setPod(pod('x', { app: 'b' }, away(term('a'))), 'one');
  t.is(decide(describePod(pod('p', A)), snapshot, DEFAULT_PROFILE).kind, 'refuse');
  snapshot.removePod('x');
  t.is(decide(describePod(pod('p', A)), snapshot, DEFAULT_PROFILE).kind, 'place');
});

test('loose spreading scores alike by the counts of the cluster and by looking at the nodes', t => {
  const place = fc.record({ zone: fc.option(fc.constantFrom('z1', 'z2'), { nil: undefined }), pods: fc.nat(3) });
  const soft = (topologyKey: string) =>
    spread({ topologyKey, whenUnsatisfiable: 'ScheduleAnyway' }).topologySpreadConstraints ?? [];
  fc.assert(
    fc.property(fc.array(place, { minLength: 1, maxLength: 6 }), fc.boolean(), (places, isOwn) => {
      const snapshot = new ClusterSnapshot();
      snapshot.workloads.setOwner('ReplicaSet', { metadata: { namespace: 'n', name: 'owner' } }, selector('a'));
      for (const [index, { zone, pods }] of places.entries()) {
        const each = node(`h${index}`, zone);
        snapshot.setNode({ ...each, metadata: { ...each.metadata, labels: { ...each.metadata?.labels, all: 'yes' } } });
        for (let count = 0; count < pods; count++) snapshot.setPod(pod(`h${index}-${count}`, A), `h${index}`);
      }
      const own = isOwn ? { topologySpreadConstraints: [...soft(ZONE), ...soft(HOST)] } : {};
      const ownerReferences = [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'owner', uid: 'o', controller: true },
      ];
      const scoresOf = (spec: Partial<PodSpec>) => {
        const wanted = pod('p', A, { ...own, ...spec });
        const info = describePod({ ...wanted, metadata: { ...wanted.metadata, ownerReferences } });
        const feasible = snapshot.nodes.slice(0, Math.max(1, places.length - 1));
        const scorer = topologySpread().score?.(info, snapshot, feasible);
        if (!scorer) throw new Error('nothing to score');
        const scores = Float64Array.from(feasible, (each, index) => scorer.score(each, index));
        scorer.normalize?.(scores);
        return [...scores];
      };
      // Who wants a label, even one that all have, may not go by the counts of the cluster.
      t.deepEqual(scoresOf({}), scoresOf({ nodeSelector: { all: 'yes' } }));
    }),
  );
});
