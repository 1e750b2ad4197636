import test from 'ava';
import fc from 'fast-check';
import type { Pod } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { planReplicaStatus, planReplicas } from './replica-set-plan.ts';

const nowMs = Date.UTC(2026, 0, 1);
interface Shape {
  readonly name: string;
  readonly node?: string;
  readonly phase?: string;
  readonly readyForSeconds?: number;
  readonly cost?: string;
  readonly restarts?: number;
  readonly ageSeconds?: number;
}
const pod = ({
  name,
  node = 'n',
  phase = 'Running',
  readyForSeconds = 100,
  cost,
  restarts = 0,
  ageSeconds = 100,
}: Shape): Pod => ({
  metadata: {
    name,
    creationTimestamp: timestamp(nowMs - ageSeconds * 1000),
    ...(cost && { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } }),
  },
  spec: { containers: [], ...(node && { nodeName: node }) },
  status: {
    phase,
    conditions:
      readyForSeconds < 0
        ? []
        : [{ type: 'Ready', status: 'True', lastTransitionTime: timestamp(nowMs - readyForSeconds * 1000) }],
    containerStatuses: [{ name: 'c', restartCount: restarts } as never],
  },
});

const first: readonly [string, Shape, Shape][] = [
  [
    'not assigned',
    { name: 'x', node: '', phase: 'Pending', readyForSeconds: -1 },
    { name: 'y', phase: 'Pending', readyForSeconds: -1 },
  ],
  ['pending', { name: 'x', phase: 'Pending', readyForSeconds: -1 }, { name: 'y', readyForSeconds: -1 }],
  ['not ready', { name: 'x', readyForSeconds: -1 }, { name: 'y', cost: '-5' }],
  ['cheap', { name: 'x', cost: '-1' }, { name: 'y' }],
  ['ready for a short time', { name: 'x', readyForSeconds: 1 }, { name: 'y', readyForSeconds: 1000, restarts: 9 }],
  ['often restarted', { name: 'x', restarts: 3, ageSeconds: 100_000 }, { name: 'y' }],
  ['young', { name: 'x', ageSeconds: 1 }, { name: 'y', ageSeconds: 1000 }],
];
for (const [why, victim, survivor] of first) {
  test(`goes first: ${why}`, t => {
    for (const pods of [
      [pod(victim), pod(survivor)],
      [pod(survivor), pod(victim)],
    ]) {
      const plan = planReplicas({ replicas: 1, pods, relatedPods: () => pods, nowMs });
      t.deepEqual(
        plan.delete.map(({ metadata }) => metadata?.name),
        ['x'],
      );
    }
  });
}

test('goes first: a sidecar that was restarted often; among equals it is not the order in which they are known', t => {
  const sidecar = (name: string, restartCount: number, restartPolicy?: string): Pod => {
    const plain = pod({ name });
    return {
      ...plain,
      spec: { containers: [], nodeName: 'n', initContainers: [{ name: 'i', ...(restartPolicy && { restartPolicy }) }] },
      status: { ...plain.status, initContainerStatuses: [{ name: 'i', restartCount } as never] },
    };
  };
  const victimOf = (...pods: Pod[]) =>
    planReplicas({ replicas: pods.length - 1, pods, relatedPods: () => pods, nowMs }).delete[0]?.metadata?.name;
  t.is(victimOf(sidecar('a', 0, 'Always'), sidecar('b', 3, 'Always')), 'b');
  const equal = ['c', 'a', 'b'].map(name => {
    const plain = pod({ name });
    return { ...plain, metadata: { ...plain.metadata, uid: name } };
  });
  for (const order of [equal, equal.toReversed()]) t.is(victimOf(...order), 'a');
  // One that only began the pod says nothing of how it gets on.
  const begun = [sidecar('x', 9), sidecar('w', 0)].map(each => ({
    ...each,
    metadata: { ...each.metadata, uid: each.metadata?.name ?? '' },
  }));
  t.is(victimOf(...begun), 'w');
});

test('goes first: doubled up on a node, counting pods of sibling sets', t => {
  const pods = [pod({ name: 'x', node: 'full' }), pod({ name: 'y', node: 'empty' })];
  const relatedPods = [...pods, pod({ name: 'sibling', node: 'full' })];
  t.deepEqual(
    planReplicas({ replicas: 1, pods, relatedPods: () => relatedPods, nowMs }).delete.map(
      ({ metadata }) => metadata?.name,
    ),
    ['x'],
  );
});

test('always comes to the number wanted, at most 500 at a time', t => {
  fc.assert(
    fc.property(fc.nat({ max: 1200 }), fc.nat({ max: 1200 }), (replicas, present) => {
      const pods = Array.from({ length: present }, (_, index) => pod({ name: `p${index}` }));
      const plan = planReplicas({ replicas, pods, relatedPods: () => [], nowMs });
      t.true(plan.create <= 500 && plan.delete.length <= 500);
      t.true(plan.create === 0 || plan.delete.length === 0);
      const after = present + plan.create - plan.delete.length;
      t.true(Math.abs(replicas - after) === Math.max(0, Math.abs(replicas - present) - 500));
    }),
    { numRuns: 30 },
  );
});

test('counts labelled, ready and available pods, and leaves zeros out', t => {
  const labelled = pod({ name: 'a', readyForSeconds: 5 });
  const pods = [
    { ...labelled, metadata: { ...labelled.metadata, labels: { app: 'x' } } },
    pod({ name: 'b', readyForSeconds: -1 }),
  ];
  const input = { old: undefined, templateLabels: { app: 'x' }, generation: 3, failure: undefined, nowMs };
  t.deepEqual(planReplicaStatus({ ...input, pods, minReadySeconds: 10 }), {
    replicas: 2,
    fullyLabeledReplicas: 1,
    readyReplicas: 1,
    observedGeneration: 3,
  });
  t.is(planReplicaStatus({ ...input, pods, minReadySeconds: 5 }).availableReplicas, 1);
  t.deepEqual(planReplicaStatus({ ...input, pods: [], minReadySeconds: 0 }), { replicas: 0, observedGeneration: 3 });
});

test('a failure is a condition until it is over', t => {
  const input = { pods: [], templateLabels: {}, minReadySeconds: 0, generation: 1, nowMs };
  const failed = planReplicaStatus({ ...input, old: undefined, failure: { reason: 'FailedCreate', message: 'no' } });
  t.like(failed.conditions?.[0], { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'no' });
  t.is(planReplicaStatus({ ...input, old: failed, failure: undefined }).conditions, undefined);
});

const arbitraryPod = fc.record({
  node: fc.constantFrom('a', 'b', ''),
  phase: fc.constantFrom('Pending', 'Running'),
  readyForSeconds: fc.constantFrom(-1, 5, 1000),
  cost: fc.constantFrom(undefined, '5', '-5'),
  restarts: fc.nat(2),
  ageSeconds: fc.constantFrom(1, 100, 10_000),
});

test('from any mix of pods, of which some are lost at each step, it converges, takes the least useful, and then does nothing', t => {
  const isUseful = (each: Pod) =>
    Number(Boolean(each.spec?.nodeName)) * 4 +
    Number(each.status?.phase === 'Running') * 2 +
    Number(Boolean(each.status?.conditions?.length));
  fc.assert(
    fc.property(
      fc.nat(8),
      fc.array(arbitraryPod, { maxLength: 12 }),
      fc.array(fc.nat(3), { maxLength: 5 }),
      (replicas, given, losses) => {
        let names = 0;
        let pods = given.map(shape => pod({ ...shape, name: `p${++names}` } as Shape));
        for (const lost of [...losses, 0, 0]) {
          const plan = planReplicas({ replicas, pods, relatedPods: () => pods, nowMs });
          t.true(plan.create === 0 || plan.delete.length === 0);
          const kept = pods.filter(each => !plan.delete.includes(each));
          for (const each of plan.delete) for (const other of kept) t.true(isUseful(each) <= isUseful(other));
          const created = Array.from({ length: plan.create }, () => pod({ name: `p${++names}`, phase: 'Pending' }));
          t.is(kept.length + created.length, replicas);
          pods = [...kept, ...created].slice(lost);
        }
        t.deepEqual(planReplicas({ replicas, pods, relatedPods: () => pods, nowMs }), { create: 0, delete: [] });
      },
    ),
  );
});
