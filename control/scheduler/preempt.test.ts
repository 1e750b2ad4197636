/** Whom preemption evicts, and whom never. */
import test from 'ava';
import fc from 'fast-check';
import type { Node, Pod, PodDisruptionBudget, PodSpec } from '../api/generated/types.ts';
import { decide } from './decide.ts';
import { describePod } from './pod-info.ts';
import { planPreemption } from './preempt.ts';
import { DEFAULT_PROFILE } from './profile-configuration.ts';
import { ClusterSnapshot } from './snapshot.ts';
import { answer } from './testing/answer.ts';

const HOST = 'kubernetes.io/hostname';
const node = (name: string, cpu = '4', spec: Node['spec'] = {}): Node => ({
  metadata: { name, labels: { [HOST]: name } },
  spec,
  status: { allocatable: { cpu, memory: '32Gi', pods: '110' } },
});
interface PodOptions {
  readonly priority?: number;
  readonly cpu?: string;
  readonly startTime?: string;
  readonly labels?: Record<string, string>;
  readonly spec?: Partial<PodSpec>;
  readonly status?: Pod['status'];
  readonly leaving?: boolean;
}
const pod = (
  name: string,
  { priority = 0, cpu = '2', startTime, labels, spec, status, leaving }: PodOptions = {},
): Pod => ({
  metadata: {
    name,
    namespace: 'n',
    uid: name,
    ...(labels && { labels }),
    ...(leaving && { deletionTimestamp: '2026-01-01T00:00:00Z' }),
  },
  spec: { priority, containers: [{ name: 'c', image: 'x', resources: { requests: { cpu } } }], ...spec },
  status: { ...(startTime && { startTime }), ...status },
});
const budget = (allowed: number, labels: Record<string, string>): PodDisruptionBudget => ({
  metadata: { name: 'b', namespace: 'n' },
  spec: { selector: { matchLabels: labels } },
  status: { disruptionsAllowed: allowed, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
});
type Placed = readonly (readonly [Pod, string])[];
function cluster(nodes: readonly Node[], placed: Placed): ClusterSnapshot {
  const snapshot = new ClusterSnapshot();
  for (const each of nodes) snapshot.setNode(each);
  for (const [each, name] of placed) snapshot.setPod(each, name);
  return snapshot;
}
const HIGH = { priority: 10 };
const DISRUPTED: Pod['status'] = {
  conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler' }],
};
const apart = (app: string): Partial<PodSpec> => ({
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: HOST, labelSelector: { matchLabels: { app } } }],
    },
  },
});

const cases: readonly [string, Pod, readonly Node[], Placed, string, (readonly PodDisruptionBudget[])?][] = [
  ['the only one in the way', pod('p', { ...HIGH, cpu: '4' }), [node('a')], [[pod('x'), 'a']], 'evict x on a'],
  [
    'nobody of equal priority',
    pod('p', { ...HIGH, cpu: '4' }),
    [node('a')],
    [[pod('x', HIGH), 'a']],
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  ],
  [
    'nobody where it would not help',
    pod('p', { ...HIGH, cpu: '50' }),
    [node('a')],
    [[pod('x'), 'a']],
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Insufficient cpu.',
  ],
  [
    'nobody on nodes that refuse for good',
    pod('p', { ...HIGH, cpu: '4', spec: { nodeSelector: { [HOST]: 'a' } } }),
    [node('a'), node('b')],
    [
      [pod('x'), 'a'],
      [pod('y'), 'b'],
    ],
    'evict x on a',
  ],
  [
    'no more than it takes',
    pod('p', HIGH),
    [node('a')],
    [
      [pod('x', { startTime: '2026-01-01T00:00:00Z' }), 'a'],
      [pod('y', { startTime: '2026-01-02T00:00:00Z' }), 'a'],
    ],
    'evict y on a',
  ],
  [
    'the least important',
    pod('p', HIGH),
    [node('a')],
    [
      [pod('x', { priority: 1 }), 'a'],
      [pod('y', { priority: 2 }), 'a'],
    ],
    'evict x on a',
  ],
  [
    'where the most important victim is least important',
    pod('p', { ...HIGH, cpu: '4' }),
    [node('a'), node('b')],
    [
      [pod('x', { priority: 5, cpu: '4' }), 'a'],
      [pod('y', { priority: 4 }), 'b'],
      [pod('z', { priority: 4 }), 'b'],
    ],
    'evict y, z on b',
  ],
  [
    'where the priorities add up to less',
    pod('p', { ...HIGH, cpu: '4' }),
    [node('a'), node('b')],
    [
      [pod('x', { priority: -5 }), 'a'],
      [pod('y', { priority: -5 }), 'a'],
      [pod('z', { priority: -5, cpu: '4' }), 'b'],
    ],
    'evict z on b',
  ],
  [
    'where the victims began last',
    pod('p', { ...HIGH, cpu: '4' }),
    [node('a'), node('b')],
    [
      [pod('x', { cpu: '4', startTime: '2026-01-01T00:00:00Z' }), 'a'],
      [pod('y', { cpu: '4', startTime: '2026-01-02T00:00:00Z' }), 'b'],
    ],
    'evict y on b',
  ],
  [
    'rather one without a budget, though it is more important',
    pod('p', { ...HIGH, cpu: '4' }),
    [node('a'), node('b')],
    [
      [pod('x', { cpu: '4', labels: { app: 'kept' } }), 'a'],
      [pod('y', { cpu: '4', priority: 5 }), 'b'],
    ],
    'evict y on b',
    [budget(0, { app: 'kept' })],
  ],
  [
    'one with a budget that bears it',
    pod('p', { ...HIGH, cpu: '4' }),
    [node('a'), node('b')],
    [
      [pod('x', { cpu: '4', labels: { app: 'kept' } }), 'a'],
      [pod('y', { cpu: '4', priority: 5 }), 'b'],
    ],
    'evict x on a',
    [budget(1, { app: 'kept' })],
  ],
  [
    'one with an exhausted budget if there is nobody else',
    pod('p', { ...HIGH, cpu: '4' }),
    [node('a')],
    [[pod('x', { cpu: '4', labels: { app: 'kept' } }), 'a']],
    'evict x on a',
    [budget(0, { app: 'kept' })],
  ],
  [
    'whoever keeps it away',
    pod('p', { ...HIGH, cpu: '1', labels: { app: 'me' } }),
    [node('a')],
    [
      [pod('x', { cpu: '1', spec: apart('me') }), 'a'],
      [pod('y', { cpu: '1' }), 'a'],
    ],
    'evict x on a',
  ],
  [
    'whom it wants away',
    pod('p', { ...HIGH, cpu: '1', spec: apart('them') }),
    [node('a')],
    [
      [pod('x', { cpu: '1', labels: { app: 'them' } }), 'a'],
      [pod('y', { cpu: '1' }), 'a'],
    ],
    'evict x on a',
  ],
  [
    'nobody while its victims are leaving',
    pod('p', { ...HIGH, cpu: '4', status: { nominatedNodeName: 'a' } }),
    [node('a'), node('b')],
    [
      [pod('x', { cpu: '4', leaving: true, status: DISRUPTED }), 'a'],
      [pod('y', { cpu: '4' }), 'b'],
    ],
    '0/2 nodes are available: 2 Insufficient cpu. preemption: not eligible due to a terminating pod on the nominated node.',
  ],
  [
    'others if its node has become hopeless',
    pod('p', { ...HIGH, cpu: '4', status: { nominatedNodeName: 'a' } }),
    [node('a', '4', { unschedulable: true }), node('b')],
    [
      [pod('x', { cpu: '4', leaving: true, status: DISRUPTED }), 'a'],
      [pod('y', { cpu: '4' }), 'b'],
    ],
    'evict y on b',
  ],
  [
    'nobody if it must not',
    pod('p', { ...HIGH, cpu: '4', spec: { preemptionPolicy: 'Never' } }),
    [node('a')],
    [[pod('x'), 'a']],
    '0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.',
  ],
];
for (const [name, wanted, nodes, placed, expected, budgets] of cases) {
  test(`evicts ${name}`, t => {
    t.is(answer(wanted, cluster(nodes, placed), { ...(budgets && { budgets }) }), expected);
  });
}

test('room that a nominated pod is to have is given to nobody of lower priority', t => {
  const snapshot = cluster([node('a')], []);
  snapshot.nominate(describePod(pod('first', { ...HIGH, cpu: '3' })), 'a');
  t.regex(answer(pod('low', { cpu: '2' }), snapshot), /1 Insufficient cpu/);
  t.is(answer(pod('small', { cpu: '1' }), snapshot), 'a');
  t.is(answer(pod('higher', { priority: 11, cpu: '2' }), snapshot), 'a');
  t.is(answer(pod('first', { ...HIGH, cpu: '3' }), snapshot), 'a');
  snapshot.denominate('first');
  t.is(answer(pod('low', { cpu: '2' }), snapshot), 'a');
});

test('never evicts equal or higher priority, and no more than needed; the filters see what they saw before', t => {
  const small = fc.record({
    priority: fc.integer({ min: 0, max: 3 }),
    cpu: fc.integer({ min: 1, max: 4 }),
    host: fc.integer({ min: 0, max: 2 }),
    isApart: fc.boolean(),
    app: fc.constantFrom('one', 'two'),
  });
  const specOf = ({ isApart }: { readonly isApart: boolean }) => (isApart ? { spec: apart('one') } : {});
  fc.assert(
    fc.property(fc.array(small, { maxLength: 20 }), small, (others, wanted) => {
      const snapshot = cluster([node('h0', '8'), node('h1', '8'), node('h2', '8')], []);
      for (const [index, each] of others.entries()) {
        const { priority, cpu, host, app } = each;
        const options = { priority, cpu: `${cpu}`, labels: { app }, ...specOf(each) };
        snapshot.setPod(pod(`x${index}`, options), `h${host}`);
      }
      const { priority, cpu, app } = wanted;
      const incoming = pod('p', { priority, cpu: `${cpu}`, labels: { app }, ...specOf(wanted) });
      const info = describePod(incoming);
      const decision = decide(info, snapshot, DEFAULT_PROFILE);
      if (decision.kind === 'place') return;
      const context = { diagnosis: decision.diagnosis, budgets: [], random: () => 0, nowMs: 0 };
      const plan = planPreemption(info, snapshot, DEFAULT_PROFILE, context);
      t.deepEqual(planPreemption(info, snapshot, DEFAULT_PROFILE, context), plan);
      if (plan.kind !== 'evict') return;
      t.true(plan.victims.length > 0 && plan.victims.every(victim => victim.priority < priority));
      const without = (gone: readonly string[]) => {
        const copy = cluster([node('h0', '8'), node('h1', '8'), node('h2', '8')], []);
        for (const each of snapshot.nodes) {
          for (const other of each.pods.values()) if (!gone.includes(other.uid)) copy.setPod(other.pod, each.name);
        }
        return decide(
          describePod({ ...incoming, spec: { ...incoming.spec, nodeSelector: { [HOST]: plan.node } } } as Pod),
          copy,
          DEFAULT_PROFILE,
        );
      };
      const uids = plan.victims.map(({ uid }) => uid);
      t.is(without(uids).kind, 'place');
      // Whichever single victim stayed, there would be no room.
      for (const uid of uids) t.is(without(uids.filter(each => each !== uid)).kind, 'refuse');
    }),
    { numRuns: 300 },
  );
});
