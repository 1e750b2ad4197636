import test from 'ava';
import fc from 'fast-check';
import type { Pod, StatefulSet } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import { ordinalOf, revisionOfPod } from './stateful-set-identity.ts';
import type { StatefulPlan } from './stateful-set-plan.ts';
import { A, B, NOW, parallel, plan, pod, type Shape, statefulSet } from './testing/stateful-world.ts';

/** Applies a plan to the pods as an API server and nodes would, and lets some of what is under way come to its end. */
function advance(set: StatefulSet, pods: readonly Pod[], { steps }: StatefulPlan): Pod[] {
  const next = new Map(pods.map(each => [each.metadata?.name ?? '', each]));
  for (const action of steps.flat()) {
    const name = action.pod.metadata?.name ?? '';
    if (action.do === 'delete')
      next.set(name, { ...action.pod, metadata: { ...action.pod.metadata, deletionTimestamp: timestamp(NOW) } });
    if (action.do === 'create')
      next.set(name, {
        ...action.pod,
        metadata: { ...action.pod.metadata, uid: `${name}+` },
        status: { phase: 'Pending' },
      });
    if (action.do === 'update') next.set(name, action.next);
  }
  return [...next.values()].flatMap(each => {
    const ordinal = ordinalOf(set, each) ?? 0;
    const before = pods.find(({ metadata }) => metadata?.name === each.metadata?.name);
    // What was done in this very step takes until the next.
    if (before !== each) return [each];
    if (each.metadata?.deletionTimestamp) return [];
    if (each.status?.phase === 'Pending' || each.status?.conditions?.[0]?.status === 'False') {
      const { status, spec: _, metadata } = pod(ordinal);
      return [{ ...each, status: { ...status }, metadata: { ...each.metadata, namespace: metadata?.namespace ?? '' } }];
    }
    return [each];
  });
}

const arbitraryKind = fc.constantFrom<Shape>('ready', 'pending', 'notReady', 'failed', 'succeeded', 'leaving');
const arbitraryWorld = fc.record({
  replicas: fc.nat(5),
  start: fc.nat(2),
  partition: fc.option(fc.nat(6), { nil: undefined }),
  isParallel: fc.boolean(),
  pods: fc.uniqueArray(fc.record({ ordinal: fc.nat(8), kind: arbitraryKind, isNew: fc.boolean() }), {
    selector: ({ ordinal }) => ordinal,
  }),
});

test('from any mix of pods it converges, in order, one at a time, and then does nothing', t => {
  fc.assert(
    fc.property(arbitraryWorld, ({ replicas, start, partition, isParallel, pods: given }) => {
      const updateStrategy = {
        type: 'RollingUpdate',
        ...(partition !== undefined && { rollingUpdate: { partition } }),
      };
      let set = statefulSet({ replicas, ordinals: { start }, updateStrategy, ...(isParallel && parallel) });
      let pods: Pod[] = given.map(({ ordinal, kind, isNew }) => pod(ordinal, kind, isNew ? B : A));
      const wanted = (each: Pod) => {
        const ordinal = ordinalOf(set, each) ?? -1;
        return ordinal >= start && ordinal < start + replicas;
      };
      let current = A;
      let quiet = 0;
      for (let round = 0; quiet < 3; round++) {
        if (round > 200) return t.fail(`does not converge: ${JSON.stringify(given)}`);
        const planned = plan({ set, pods, current, update: B });
        const all = planned.steps.flat();
        const changes = all.filter(({ do: what }) => what !== 'update');
        // Every change needs its own look at the world in an ordered set.
        if (!isParallel) t.true(changes.length <= 1);
        for (const action of changes) {
          const ordinal = ordinalOf(set, action.pod) ?? -1;
          const isReady = (each: Pod) =>
            each.status?.phase === 'Running' &&
            each.status.conditions?.[0]?.status === 'True' &&
            !each.metadata?.deletionTimestamp;
          if (action.do === 'create') {
            t.true(wanted(action.pod));
            t.false(pods.some(({ metadata }) => metadata?.name === action.pod.metadata?.name));
            if (!isParallel)
              for (let below = start; below < ordinal; below++)
                t.true(pods.some(each => ordinalOf(set, each) === below && isReady(each)));
          }
          const isBroken = action.pod.status?.phase === 'Failed' || action.pod.status?.phase === 'Succeeded';
          if (action.do === 'delete' && wanted(action.pod) && !isBroken) {
            // A rolling update: never more than one pod away, and all above it are new and work.
            t.true(ordinal >= start + (partition ?? 0));
            for (let above = ordinal + 1; above < start + replicas; above++) {
              t.true(
                pods.some(each => ordinalOf(set, each) === above && isReady(each) && revisionOfPod(each) === 's-b'),
              );
            }
          }
          if (action.do === 'delete' && !wanted(action.pod) && !isParallel) {
            t.false(pods.some(each => !wanted(each) && (ordinalOf(set, each) ?? -1) > ordinal));
          }
        }
        const next = advance(set, pods, planned);
        quiet =
          changes.length === 0 && next.length === pods.length && next.every((each, index) => each === pods[index])
            ? quiet + 1
            : 0;
        pods = next;
        set = { ...set, status: planned.status };
        if (planned.status.currentRevision === 's-b') current = B;
      }
      t.deepEqual(
        pods.map(each => ordinalOf(set, each) ?? -1).toSorted((a, b) => a - b),
        Array.from({ length: replicas }, (_, index) => start + index),
      );
      for (const each of pods)
        if ((ordinalOf(set, each) ?? 0) >= start + (partition ?? 0)) t.is(revisionOfPod(each), 's-b');
    }),
    { numRuns: 300 },
  );
});
