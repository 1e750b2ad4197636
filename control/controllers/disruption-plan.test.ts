/** The numbers of disruption budgets, case by case. */
import test from 'ava';
import fc from 'fast-check';
import type { Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from '../api/generated/types.ts';
import { needsScale, planBudget, planFailure, staleDisruptionInMs, withoutDisruption } from './disruption-plan.ts';

const NOW = '2026-01-01T00:00:00Z';
const nowMs = Date.parse(NOW);
const before = (seconds: number) => new Date(nowMs - seconds * 1_000).toISOString().replace('.000', '');

const budget = (spec: object, status?: object): PodDisruptionBudget => ({
  metadata: { name: 'b', namespace: 'n', generation: 3 },
  spec,
  ...(status && { status: status as PodDisruptionBudgetStatus }),
});
const pod = (name: string, { ready = true, more = {} }: { ready?: boolean; more?: object } = {}): Pod => ({
  metadata: { name, ...more },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});
const pods = (count: number, unready = 0) =>
  Array.from({ length: count }, (_, index) => pod(`p${index}`, { ready: index >= unready }));
const plan = (spec: object, given: readonly Pod[], scales: readonly number[] = [], status?: object) =>
  planBudget({
    budget: budget(spec, status),
    pods: given,
    scales: scales.map((replicas, index) => ({ uid: `u${index}`, replicas })),
    nowMs,
  });

const cases: readonly [string, object, readonly Pod[], readonly number[], readonly [number, number, number, number]][] =
  [
    // expected: expectedPods, desiredHealthy, currentHealthy, disruptionsAllowed
    ['a number of pods that must stay', { minAvailable: 2 }, pods(3), [], [3, 2, 3, 1]],
    ['fewer healthy than must stay', { minAvailable: 2 }, pods(3, 2), [], [3, 2, 1, 0]],
    ['more must stay than there are', { minAvailable: 5 }, pods(3), [], [3, 5, 3, 0]],
    ['a share that must stay, rounded up', { minAvailable: '50%' }, pods(5), [5], [5, 3, 5, 2]],
    ['a share of what is wanted, not of what is there', { minAvailable: '50%' }, pods(2), [8], [8, 4, 2, 0]],
    ['a number that may go', { maxUnavailable: 1 }, pods(4), [4], [4, 3, 4, 1]],
    ['a share that may go, rounded up', { maxUnavailable: '30%' }, pods(4), [4], [4, 2, 4, 2]],
    ['more may go than there are', { maxUnavailable: 9 }, pods(2), [2], [2, 0, 2, 2]],
    ['several controllers count together', { maxUnavailable: 1 }, pods(5), [2, 3], [5, 4, 5, 1]],
    ['no pods: nothing is allowed', { minAvailable: 0 }, [], [], [0, 0, 0, 0]],
    ['all may go', { minAvailable: 0 }, pods(2), [], [2, 0, 2, 2]],
    ['nothing said', {}, pods(2), [], [0, 0, 2, 0]],
    [
      'pods that are going are not healthy',
      { minAvailable: 1 },
      [pod('a', { more: { deletionTimestamp: NOW } }), pod('b'), pod('c')],
      [],
      [3, 1, 2, 1],
    ],
  ];
for (const [title, spec, given, scales, [expectedPods, desiredHealthy, currentHealthy, allowed]] of cases) {
  test(title, t => {
    const { status } = plan(spec, given, scales);
    t.like(status, {
      expectedPods,
      desiredHealthy,
      currentHealthy,
      disruptionsAllowed: allowed,
      observedGeneration: 3,
    });
    const [condition] = status.conditions ?? [];
    t.like(condition, {
      type: 'DisruptionAllowed',
      status: allowed > 0 ? 'True' : 'False',
      reason: allowed > 0 ? 'SufficientPods' : 'InsufficientPods',
      message: '',
      observedGeneration: 3,
      lastTransitionTime: NOW,
    });
  });
}

test('scales are asked for only where shares are', t => {
  t.false(needsScale(budget({ minAvailable: 1 })));
  t.true(needsScale(budget({ minAvailable: '10%' })));
  t.true(needsScale(budget({ maxUnavailable: 1 })));
});

test('what is as it should be is not written again', t => {
  const first = plan({ minAvailable: 1 }, pods(2));
  t.true(first.isChanged);
  t.false(plan({ minAvailable: 1 }, pods(2), [], first.status).isChanged);
  const worse = plan({ minAvailable: 1 }, pods(2, 1), [], {
    ...first.status,
    conditions: first.status.conditions?.map(each => ({ ...each, lastTransitionTime: before(60) })),
  });
  t.true(worse.isChanged);
  t.like(worse.status.conditions?.[0], { status: 'False', lastTransitionTime: NOW });
});

test('evicted pods count as gone until they are, or for two minutes', t => {
  const disruptedPods = { p0: before(10), p1: before(130), gone: before(5) };
  const { status, afterMs, notDeleted } = plan({ minAvailable: 1 }, pods(3), [], { disruptedPods });
  t.deepEqual(status.disruptedPods, { p0: before(10) });
  t.is(status.currentHealthy, 2);
  t.is(afterMs, 110_000);
  t.deepEqual(
    notDeleted.map(({ metadata }) => metadata?.name),
    ['p1'],
  );
  const going = [pod('p0', { more: { deletionTimestamp: NOW } }), pod('p2')];
  const done = plan({ minAvailable: 1 }, going, [], { disruptedPods: { p0: before(1) } });
  t.is(done.status.disruptedPods, undefined);
  t.is(done.afterMs, undefined);
});

test('a count that failed allows nothing, and says why', t => {
  const good = plan({ minAvailable: 1 }, pods(3)).status;
  const failed = planFailure(budget({}, good), 'why', nowMs);
  t.is(failed.disruptionsAllowed, 0);
  t.is(failed.currentHealthy, 3);
  t.like(failed.conditions?.[0], { status: 'False', reason: 'SyncFailed', message: 'why' });
  t.deepEqual(planFailure(budget({}, failed), 'why', nowMs), failed);
  t.true(plan({ minAvailable: 1 }, pods(3), [], failed).isChanged);
});

test('who said that he would go, and stays, takes it back', t => {
  const said = (seconds: number, more: object = {}): Pod => ({
    metadata: { name: 'p' },
    status: {
      phase: 'Running',
      conditions: [
        { type: 'Ready', status: 'True' },
        {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'EvictionByEvictionAPI',
          lastTransitionTime: before(seconds),
          ...more,
        },
      ],
    },
  });
  t.is(staleDisruptionInMs(said(20), nowMs), 100_000);
  t.is(staleDisruptionInMs(said(200), nowMs), 0);
  t.is(staleDisruptionInMs(said(200, { reason: 'TerminationByKubelet' }), nowMs), undefined);
  t.is(staleDisruptionInMs(said(200, { status: 'False' }), nowMs), undefined);
  t.is(staleDisruptionInMs({ ...said(200), metadata: { name: 'p', deletionTimestamp: NOW } }, nowMs), undefined);
  t.deepEqual(withoutDisruption(said(200), nowMs).status?.conditions, [
    { type: 'Ready', status: 'True' },
    { type: 'DisruptionTarget', status: 'False', lastTransitionTime: NOW },
  ]);
});

/** What happens to a budget's pods: one becomes ready or not, is evicted and goes or does not, comes new; or time passes. */
const happening = fc.oneof(
  fc.record({ do: fc.constant('ready' as const), pod: fc.nat(7), is: fc.boolean() }),
  fc.record({ do: fc.constant('evict' as const), pod: fc.nat(7) }),
  fc.record({ do: fc.constant('go' as const), pod: fc.nat(7) }),
  fc.record({ do: fc.constant('come' as const), pod: fc.nat(7) }),
  fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 150 }) }),
);
const share = fc.integer({ min: 0, max: 100 }).map(percent => `${percent}%`);
const amount = fc.oneof(fc.integer({ min: 0, max: 9 }), share);

test('whatever happens: never more allowed than are healthy beyond need, each eviction counts once, a second count is none', t => {
  fc.assert(
    fc.property(
      fc.oneof(fc.record({ minAvailable: amount }), fc.record({ maxUnavailable: amount })),
      fc.integer({ min: 0, max: 8 }),
      fc.array(happening, { maxLength: 30 }),
      (spec, wanted, happenings) => {
        const all = new Map(Array.from({ length: wanted }, (_, index) => [`p${index}`, pod(`p${index}`)]));
        let now = nowMs;
        let status: PodDisruptionBudgetStatus | undefined;
        const count = () => {
          const given = [...all.values()];
          const input = { pods: given, scales: [{ uid: 'u', replicas: wanted }] };
          const counted = planBudget({ ...input, budget: budget(spec, status), nowMs: now });
          status = counted.status;
          const { disruptionsAllowed, currentHealthy, desiredHealthy, disruptedPods = {} } = counted.status;
          t.true(disruptionsAllowed >= 0 && disruptionsAllowed <= Math.max(0, currentHealthy - desiredHealthy));
          const healthy = given.filter(
            each => each.status?.conditions?.[0]?.status === 'True' && !((each.metadata?.name ?? '') in disruptedPods),
          );
          t.is(currentHealthy, healthy.length);
          for (const name of Object.keys(disruptedPods)) t.true(all.has(name));
          const again = planBudget({ ...input, budget: budget(spec, status), nowMs: now });
          t.false(again.isChanged);
          if (counted.afterMs !== undefined) t.true(counted.afterMs > 0 && counted.afterMs <= 120_000);
        };
        count();
        for (const each of happenings) {
          const name = 'pod' in each ? `p${each.pod}` : '';
          if (each.do === 'wait') now += each.seconds * 1_000;
          else if (each.do === 'come' && !all.has(name)) all.set(name, pod(name));
          else if (each.do === 'go') all.delete(name);
          else if (each.do === 'ready' && all.has(name)) all.set(name, pod(name, { ready: each.is }));
          else if (each.do === 'evict' && all.has(name) && status && status.disruptionsAllowed > 0) {
            const disruptedPods = { ...status.disruptedPods, [name]: new Date(now).toISOString().replace(/\.\d+/, '') };
            status = { ...status, disruptionsAllowed: status.disruptionsAllowed - 1, disruptedPods };
          }
          count();
        }
      },
    ),
    { numRuns: 200 },
  );
});
