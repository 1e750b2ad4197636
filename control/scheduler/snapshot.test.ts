/** What the snapshot keeps step by step is what it would find out by looking at everything. */
import test from 'ava';
import fc from 'fast-check';
import type { Node, Pod } from '../api/generated/types.ts';
import { type PodSelector, podSelector } from './pod-terms.ts';
import { ClusterSnapshot } from './snapshot.ts';

const KEYS = ['zone', 'rack'];
const REGION = 'topology.kubernetes.io/region';
const NAMES = ['a', 'b', 'c', 'd'];
const domain = fc.option(fc.constantFrom('1', '2'), { nil: undefined });
const nodeOf = (name: string, zone?: string, rack?: string): Node => ({
  metadata: { name, labels: { ...(zone && { zone, [REGION]: zone }), ...(rack && { rack }) } },
  status: { allocatable: { cpu: '1' } },
});
const podOf = (uid: string, app: string): Pod => ({
  metadata: { name: uid, uid, namespace: 'n', labels: { app } },
  spec: {
    containers: [],
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'zone', labelSelector: { matchLabels: { app } } },
        ],
      },
    },
  },
});
const selecting = (app: string): PodSelector =>
  podSelector({
    labelSelector: { matchLabels: { app } },
    namespaces: ['n'],
    namespaceSelector: undefined,
    isOfLiving: false,
  });
const SELECTORS = ['x', 'y'].map(selecting);

const step = fc.oneof(
  fc.record({ kind: fc.constant('node' as const), name: fc.constantFrom(...NAMES), zone: domain, rack: domain }),
  fc.record({ kind: fc.constant('noNode' as const), name: fc.constantFrom(...NAMES) }),
  fc.record({
    kind: fc.constant('pod' as const),
    uid: fc.constantFrom('p', 'q', 'r'),
    app: fc.constantFrom('x', 'y'),
    on: fc.constantFrom(...NAMES),
  }),
  fc.record({ kind: fc.constant('noPod' as const), uid: fc.constantFrom('p', 'q', 'r') }),
);

/** All that plugins may ask of it. */
function answers(snapshot: ClusterSnapshot) {
  const sorted = <T>(counts: ReadonlyMap<string, T>) => [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    nodes: snapshot.nodes.map(({ name }) => name).toSorted(),
    topologies: [['zone'], ['rack'], KEYS].map(keys => snapshot.topologies(keys)),
    counts: SELECTORS.map(selector => KEYS.map(key => sorted(snapshot.domainCounts(selector, key)))),
    away: sorted(new Map([...snapshot.away.meant(() => true)].map(([{ key }, counts]) => [key, sorted(counts)]))),
  };
}

test('domains are the same whether they were kept or are counted', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const kept = new ClusterSnapshot();
      const nodes = new Map<string, Node>();
      const pods = new Map<string, readonly [Pod, string]>();
      for (const each of steps) {
        // Asked before each change, so that there is something to keep.
        answers(kept);
        if (each.kind === 'node') {
          const node = nodeOf(each.name, each.zone, each.rack);
          nodes.set(each.name, node);
          kept.setNode(node);
        } else if (each.kind === 'noNode') {
          nodes.delete(each.name);
          kept.removeNode(each.name);
        } else if (each.kind === 'pod') {
          pods.set(each.uid, [podOf(each.uid, each.app), each.on]);
          kept.setPod(podOf(each.uid, each.app), each.on);
        } else {
          pods.delete(each.uid);
          kept.removePod(each.uid);
        }
        const counted = new ClusterSnapshot();
        for (const node of nodes.values()) counted.setNode(node);
        for (const [pod, on] of pods.values()) counted.setPod(pod, on);
        t.deepEqual(answers(kept), answers(counted));
      }
    }),
  );
});

test('zones take turns in the list of nodes, also as nodes come, go and move', t => {
  const snapshot = new ClusterSnapshot();
  const names = () => snapshot.nodes.map(({ name }) => name);
  for (const [name, zone] of [
    ['a', '1'],
    ['b', '1'],
    ['c', '1'],
    ['d', '2'],
  ] as const)
    snapshot.setNode(nodeOf(name, zone));
  t.deepEqual(names(), ['a', 'd', 'b', 'c']);
  snapshot.setNode(nodeOf('e', '2'));
  t.deepEqual(names(), ['a', 'd', 'b', 'e', 'c']);
  snapshot.removeNode('a');
  t.deepEqual(names(), ['b', 'd', 'c', 'e']);
  snapshot.setNode(nodeOf('d', '3'));
  t.deepEqual(names(), ['b', 'e', 'd', 'c']);
});

test('what was found out about nodes is remembered until one of them changes', t => {
  const snapshot = new ClusterSnapshot();
  let asked = 0;
  const find = () => snapshot.remembered('key', () => ++asked);
  snapshot.setNode(nodeOf('a'));
  t.deepEqual([find(), find()], [1, 1]);
  snapshot.setPod(podOf('p', 'x'), 'a');
  t.is(find(), 1);
  snapshot.setNode(nodeOf('a', '1'));
  t.is(find(), 2);
  snapshot.removeNode('a');
  t.is(find(), 3);
});

test('it is known whether some pod is of lower priority', t => {
  const snapshot = new ClusterSnapshot();
  const prior = (uid: string, priority: number): Pod => ({ ...podOf(uid, 'x'), spec: { containers: [], priority } });
  t.false(snapshot.hasLowerThan(5));
  snapshot.setPod(prior('p', 5), 'a');
  t.false(snapshot.hasLowerThan(5));
  t.true(snapshot.hasLowerThan(6));
  snapshot.setPod(prior('q', -1), 'a');
  t.true(snapshot.hasLowerThan(0));
  snapshot.removePod('q');
  t.false(snapshot.hasLowerThan(0));
});
