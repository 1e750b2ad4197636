/** How a Deployment of another size is shared among the ReplicaSets of a rollout under way. */
import test from 'ava';
import fc from 'fast-check';
import type { Deployment, ReplicaSet } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { planDeployment } from './deployment-plan.ts';
import { DESIRED_REPLICAS, MAX_REPLICAS, REVISION, replicasOf } from './deployment-util.ts';

const NOW = Date.UTC(2026, 0, 1);
const template = (image: string) => ({
  metadata: { labels: { app: 'd' } },
  spec: { containers: [{ name: 'c', image }] },
});

interface Sizing {
  readonly desired: number;
  readonly surge?: number;
}

const deployment = ({ desired, surge = 0 }: Sizing, spec: Partial<Deployment['spec']> = {}): Deployment => ({
  metadata: { name: 'd', namespace: 'n', uid: 'd', generation: 1 },
  spec: {
    replicas: desired,
    selector: { matchLabels: { app: 'd' } },
    template: template('new'),
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: surge, maxUnavailable: 1 } },
    ...spec,
  },
});

/** Sets of these sizes, the oldest first, as they were when the Deployment had `before`. The last has the present template. */
function setsOf(sizes: readonly number[], before: readonly Sizing[], available?: readonly number[]): ReplicaSet[] {
  return sizes.map((replicas, index) => {
    const { desired, surge = 0 } = before[index] ?? before[0] ?? { desired: 0 };
    const isNew = index === sizes.length - 1;
    return {
      metadata: {
        name: `d-${index}`,
        uid: `s${index}`,
        creationTimestamp: timestamp(NOW + index * 1000),
        annotations: {
          [REVISION]: String(index + 1),
          [DESIRED_REPLICAS]: String(desired),
          [MAX_REPLICAS]: String(desired + surge),
        },
      },
      spec: { replicas, selector: {}, template: template(isNew ? 'new' : `old${index}`) },
      status: { replicas, availableReplicas: available?.[index] ?? replicas },
    };
  });
}

function sizesAfter(wanted: Deployment, sets: readonly ReplicaSet[]): number[] {
  const { updates } = planDeployment({ deployment: wanted, sets, hasOldPods: false, nowMs: NOW });
  const changed = new Map(updates.map(({ next }) => [next.metadata?.uid, replicasOf(next)]));
  return sets.map(set => changed.get(set.metadata?.uid) ?? replicasOf(set));
}

/** Wanted before and now, sizes before and after, the oldest set first. */
const rows: readonly (readonly [string, Sizing, Sizing, readonly number[], readonly number[]])[] = [
  ['one set grows', { desired: 10 }, { desired: 12 }, [10], [12]],
  ['one set shrinks', { desired: 10 }, { desired: 5 }, [10], [5]],
  ['two grow by their share', { desired: 5 }, { desired: 10 }, [3, 2], [6, 4]],
  ['two shrink by their share', { desired: 5 }, { desired: 3 }, [3, 2], [2, 1]],
  ['a small one vanishes', { desired: 9 }, { desired: 4 }, [1, 8], [0, 4]],
  ['three grow', { desired: 7 }, { desired: 10 }, [2, 3, 2], [3, 4, 3]],
  ['three shrink', { desired: 13 }, { desired: 8 }, [3, 8, 2], [2, 5, 1]],
  ['what is left over goes to the newest of the largest', { desired: 3 }, { desired: 4 }, [1, 1, 1], [1, 1, 2]],
  ['and is taken from the oldest of them', { desired: 3 }, { desired: 2 }, [1, 1, 1], [0, 1, 1]],
  ['to nothing', { desired: 6 }, { desired: 0 }, [1, 2, 3], [0, 0, 0]],
  ['surge is shared too', { desired: 10, surge: 2 }, { desired: 20, surge: 2 }, [6, 6], [11, 11]],
  ['a larger surge with a larger size', { desired: 10, surge: 3 }, { desired: 50, surge: 6 }, [8, 5], [34, 22]],
];
for (const [title, before, now, sizes, expected] of rows) {
  test(`scales: ${title}`, t => t.deepEqual(sizesAfter(deployment(now), setsOf(sizes, [before])), [...expected]));
}

test('without a set of the present template the others are scaled before it is made', t => {
  const two = setsOf([2, 2, 0], [{ desired: 4 }]).slice(0, 2);
  t.deepEqual(sizesAfter(deployment({ desired: 5 }), two), [2, 3]);
  const uneven = setsOf([3, 7, 0], [{ desired: 10 }]).slice(0, 2);
  t.deepEqual(sizesAfter(deployment({ desired: 14 }), uneven), [4, 10]);
});

test('a set that an earlier attempt to scale has missed gets its share', t => {
  const sets = setsOf([1, 1, 2], [{ desired: 5 }, { desired: 3 }, { desired: 5 }]);
  t.deepEqual(sizesAfter(deployment({ desired: 5 }), sets), [1, 2, 2]);
});

test('a paused Deployment: the new set at its size and working ends the old ones, a broken one does not', t => {
  const paused = deployment({ desired: 2, surge: 1 }, { paused: true });
  const before = [{ desired: 2, surge: 1 }];
  t.deepEqual(sizesAfter(paused, setsOf([1, 2], before)), [0, 2]);
  t.deepEqual(sizesAfter(paused, setsOf([1, 2], before, [1, 0])), [1, 2]);
});

test('where somebody has spoilt what a set was sized for, the present size of the Deployment stands for it', t => {
  for (const text of ['0', '-1', 'many', '2.5', '4294967296', undefined]) {
    const sets = setsOf([50, 50], [{ desired: 100 }]).map(set => {
      const { [MAX_REPLICAS]: _, ...others } = set.metadata?.annotations ?? {};
      const annotations = { ...others, ...(text !== undefined && { [MAX_REPLICAS]: text }) };
      return { ...set, metadata: { ...set.metadata, annotations } };
    });
    const wanted = { ...deployment({ desired: 120 }, { paused: true }), status: { replicas: 100 } };
    t.deepEqual(sizesAfter(wanted, sets), [60, 60], text);
  }
});

test('sets that are only history are not written when others are scaled', t => {
  const paused = deployment({ desired: 2, surge: 1 }, { paused: true });
  const sets = setsOf([0, 1, 2], [{ desired: 9 }, { desired: 2, surge: 1 }, { desired: 2, surge: 1 }]);
  const { updates } = planDeployment({ deployment: paused, sets, hasOldPods: false, nowMs: NOW });
  t.deepEqual(
    updates.map(({ next }) => [next.metadata?.name, replicasOf(next)]),
    [['d-1', 0]],
  );
});

test('whatever the sizes: never the wrong way, never below zero, soon at what surge allows, and then no more', t => {
  fc.assert(
    fc.property(
      fc.record({
        sizes: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 5 }),
        sizedFor: fc.integer({ min: 1, max: 40 }),
        desired: fc.integer({ min: 0, max: 60 }),
        surge: fc.integer({ min: 0, max: 5 }),
      }),
      ({ sizes, sizedFor, desired, surge }) => {
        const wanted = deployment({ desired, surge }, { paused: true });
        const allowed = desired > 0 ? desired + surge : 0;
        let before: Sizing = { desired: sizedFor, surge };
        let present = sizes;
        for (let round = 0; round < 10; round++) {
          // The new set does not work yet: otherwise it would end the old ones.
          const sets = setsOf(
            present,
            [before],
            present.map(() => 0),
          );
          const after = sizesAfter(wanted, sets);
          const isGrowing = allowed >= sum(present);
          for (const [index, size] of after.entries()) {
            const was = present[index] ?? 0;
            t.true(size >= 0 && (isGrowing ? size >= was : size <= was), `${present} for ${sizedFor} to ${after}`);
          }
          before = { desired, surge };
          present = after;
          // One alone is what the Deployment wants, without a surge.
          if (after.filter(size => size > 0).length < 2) return;
        }
        t.is(sum(present), allowed);
      },
    ),
    { numRuns: 300 },
  );
});

const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);
