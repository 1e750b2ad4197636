import test from 'ava';
import fc from 'fast-check';
import type { HorizontalPodAutoscalerBehavior, MetricSpec, Pod } from '../api/generated/types.ts';
import { timestamp } from '../client/clock.ts';
import {
  type Autoscaler,
  type AutoscalerPlan,
  type AutoscalerState,
  planAutoscaler,
  withRescale,
} from './horizontal-pod-autoscaler-plan.ts';
import type { Reading } from './horizontal-pod-autoscaler-proposals.ts';
import { EMPTY_HISTORY } from './horizontal-pod-autoscaler-rates.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const HOUR_MS = 3_600_000;

const CPU: MetricSpec = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
};
const average = (name: string, averageValue: string): MetricSpec => ({
  type: 'Resource',
  resource: { name, target: { type: 'AverageValue', averageValue } },
});
const custom = (averageValue: string): MetricSpec => ({
  type: 'Pods',
  pods: { metric: { name: 'rps' }, target: { type: 'AverageValue', averageValue } },
});
const object = (target: object): MetricSpec => ({
  type: 'Object',
  object: {
    describedObject: { apiVersion: 'v1', kind: 'Service', name: 's' },
    metric: { name: 'o' },
    target: target as never,
  },
});
const external = (target: object): MetricSpec => ({
  type: 'External',
  external: { metric: { name: 'q' }, target: target as never },
});

interface PodFacts {
  readonly phase?: string;
  readonly ready?: boolean;
  readonly startedAgoMs?: number;
  readonly readyAgoMs?: number;
  readonly request?: string;
  readonly leaving?: boolean;
}
function pod(index: number, facts: PodFacts = {}): Pod {
  const {
    phase = 'Running',
    ready = true,
    startedAgoMs = HOUR_MS,
    readyAgoMs = startedAgoMs / 2,
    request = '1',
  } = facts;
  return {
    metadata: { name: `p${index}`, ...(facts.leaving && { deletionTimestamp: timestamp(NOW) }) },
    spec: { containers: [{ name: 'c', resources: { requests: { cpu: request, memory: '1Gi' } } }] },
    status: {
      phase,
      startTime: timestamp(NOW - startedAgoMs),
      conditions: [
        { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: timestamp(NOW - readyAgoMs) },
      ],
    },
  };
}
const podsOf = (facts: readonly PodFacts[]) => facts.map((each, index) => pod(index, each));
const same = (count: number, facts: PodFacts = {}) => podsOf(Array<PodFacts>(count).fill(facts));
/** Thousandths of each pod; undefined: nothing is known of it. */
const readingOf = (values: readonly (number | undefined)[]): Reading => ({
  type: 'pods',
  samples: new Map(
    values.flatMap((milliValue, index) =>
      milliValue === undefined ? [] : [[`p${index}`, { milliValue, atMs: NOW, windowMs: 30_000 }] as const],
    ),
  ),
});
const amount = (milliValue: number): Reading => ({ type: 'amount', milliValue });
const failure = (message: string): Reading => ({ type: 'failure', message });

interface Case {
  readonly metrics?: readonly MetricSpec[];
  readonly readings: readonly Reading[];
  readonly pods: readonly Pod[];
  readonly replicas?: number;
  readonly min?: number;
  readonly max?: number;
  readonly behavior?: HorizontalPodAutoscalerBehavior;
  readonly history?: AutoscalerState['history'];
  readonly status?: Autoscaler['status'];
  readonly selector?: string;
  readonly rivals?: readonly string[];
  readonly nowMs?: number;
}
function stateOf(given: Case): AutoscalerState {
  const { metrics = [CPU], pods, replicas = pods.length, min = 1, max = 100, behavior, readings } = given;
  return {
    autoscaler: {
      metadata: { name: 'a', namespace: 'ns' },
      spec: {
        scaleTargetRef: { kind: 'Deployment', name: 'd' },
        minReplicas: min,
        maxReplicas: max,
        metrics: [...metrics],
        ...(behavior && { behavior }),
      },
      ...(given.status && { status: given.status }),
    },
    target: { specReplicas: replicas, statusReplicas: replicas, selector: given.selector ?? 'app=d' },
    pods,
    rivals: given.rivals ?? ['ns/a'],
    selectorError: undefined,
    readings,
    history: given.history ?? EMPTY_HISTORY,
    nowMs: given.nowMs ?? NOW,
  };
}
const plan = (given: Case): AutoscalerPlan => planAutoscaler(stateOf(given));
const sizeOf = (given: Case) => plan(given).rescale?.replicas ?? given.replicas ?? given.pods.length;
const conditionsOf = ({ status }: AutoscalerPlan) =>
  (status.conditions ?? []).map(({ type, status: value, reason }) => `${type} ${value} ${reason}`);

const SIZES: readonly (readonly [string, Case, number])[] = [
  ['up by the share of requests', { pods: same(3), readings: [readingOf([800, 900, 1000])] }, 6],
  ['within the tolerance', { pods: same(3), readings: [readingOf([540, 540, 540])] }, 3],
  ['down', { pods: same(4), readings: [readingOf([100, 100, 100, 100])] }, 1],
  ['not below the least', { pods: same(4), min: 2, readings: [readingOf([1, 1, 1, 1])] }, 2],
  ['no more than twice at once', { pods: same(5), readings: [readingOf([9000, 9000, 9000, 9000, 9000])] }, 10],
  ['not above the most', { pods: same(5), max: 7, readings: [readingOf([900, 900, 900, 900, 900])] }, 7],
  [
    'pending pods use nothing on the way up',
    { pods: podsOf([{}, {}, { phase: 'Pending' }]), readings: [readingOf([900, 900])] },
    4,
  ],
  [
    'pending pods may take the need away',
    { pods: podsOf([{}, { phase: 'Pending' }]), readings: [readingOf([1000])] },
    2,
  ],
  [
    'missing pods use nothing on the way up',
    { pods: same(4), readings: [readingOf([1000, 1000, undefined, undefined])] },
    4,
  ],
  [
    'missing pods use all on the way down',
    { pods: same(4), readings: [readingOf([100, 100, undefined, undefined])] },
    4,
  ],
  [
    'failed and leaving pods count for nothing',
    { pods: podsOf([{}, { phase: 'Failed' }, { leaving: true }]), replicas: 1, readings: [readingOf([900, 10, 10])] },
    2,
  ],
  [
    'the start is not measured: not ready',
    { pods: podsOf([{}, { ready: false, startedAgoMs: 60_000 }]), readings: [readingOf([500, 5000])] },
    2,
  ],
  [
    'the start is not measured: the window began before it was ready',
    { pods: podsOf([{}, { startedAgoMs: 60_000, readyAgoMs: 10_000 }]), readings: [readingOf([500, 5000])] },
    2,
  ],
  [
    'ready for longer than the window',
    { pods: podsOf([{}, { startedAgoMs: 60_000, readyAgoMs: 40_000 }]), readings: [readingOf([500, 1500])] },
    4,
  ],
  [
    'never ready',
    {
      pods: podsOf([{}, { ready: false, startedAgoMs: HOUR_MS, readyAgoMs: HOUR_MS - 10_000 }]),
      readings: [readingOf([500, 9000])],
    },
    2,
  ],
  [
    'not ready any more',
    {
      pods: podsOf([{}, { ready: false, startedAgoMs: HOUR_MS, readyAgoMs: 60_000 }]),
      readings: [readingOf([1000, 1000])],
    },
    4,
  ],
  [
    'memory does not wait for readiness',
    {
      metrics: [average('memory', '100')],
      pods: podsOf([{}, { ready: false }]),
      readings: [readingOf([200_000, 200_000])],
    },
    4,
  ],
  ['an average amount', { metrics: [custom('10')], pods: same(3), readings: [readingOf([20_000, 20_000, 20_000])] }, 6],
  [
    'an average amount, one missing on the way down',
    { metrics: [custom('10')], pods: same(3), readings: [readingOf([1000, 1000, undefined])] },
    2,
  ],
  ['an object', { metrics: [object({ type: 'Value', value: '10' })], pods: same(3), readings: [amount(20_000)] }, 6],
  [
    'an object, by the share of each',
    { metrics: [object({ type: 'AverageValue', averageValue: '10' })], pods: same(3), readings: [amount(45_000)] },
    5,
  ],
  [
    'an external amount',
    { metrics: [external({ type: 'Value', value: '100' })], pods: same(2), readings: [amount(150_000)] },
    3,
  ],
  [
    'an external amount, by the share of each',
    { metrics: [external({ type: 'AverageValue', averageValue: '100' })], pods: same(2), readings: [amount(650_000)] },
    4,
  ],
  [
    'from none by what there is to do',
    {
      metrics: [external({ type: 'Value', value: '100' })],
      pods: [],
      replicas: 0,
      min: 0,
      readings: [amount(250_000)],
    },
    3,
  ],
  [
    'to none',
    { metrics: [external({ type: 'Value', value: '100' })], pods: same(2), min: 0, readings: [amount(0)] },
    0,
  ],
  [
    'the largest of all',
    { metrics: [CPU, custom('10')], pods: same(2), readings: [readingOf([500, 500]), readingOf([15_000, 15_000])] },
    3,
  ],
  [
    'one that fails does not stop the way up',
    { metrics: [CPU, custom('10')], pods: same(2), readings: [failure('no'), readingOf([15_000, 15_000])] },
    3,
  ],
  [
    'one that fails stops the way down',
    { metrics: [CPU, custom('10')], pods: same(2), readings: [failure('no'), readingOf([1000, 1000])] },
    2,
  ],
  ['none is wished for', { pods: [], replicas: 0, readings: [] }, 0],
  ['too many', { pods: same(4), max: 2, readings: [] }, 2],
  ['too few', { pods: same(1), min: 3, readings: [] }, 3],
];
for (const [title, given, expected] of SIZES) test(`size: ${title}`, t => t.is(sizeOf(given), expected));

const up = (rules: object): HorizontalPodAutoscalerBehavior => ({
  scaleUp: { stabilizationWindowSeconds: 0, selectPolicy: 'Max', ...rules },
  scaleDown: { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] },
});
const down = (rules: object): HorizontalPodAutoscalerBehavior => ({
  scaleUp: { stabilizationWindowSeconds: 0, policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] },
  scaleDown: { stabilizationWindowSeconds: 0, ...rules },
});
const pods = (value: number, periodSeconds = 60) => ({ type: 'Pods', value, periodSeconds });
const percent = (value: number, periodSeconds = 60) => ({ type: 'Percent', value, periodSeconds });
/** Ten pods of which the metrics would make forty, or one. */
const HIGH = { pods: same(10), readings: [readingOf(Array(10).fill(2000))] };
const LOW = { pods: same(10), readings: [readingOf(Array(10).fill(1))] };
const changed = (change: number, agoMs: number) => ({ recommendations: [], changes: [{ change, atMs: NOW - agoMs }] });
const changedBoth = (up: number, down: number) => ({
  recommendations: [],
  changes: [up, down].map(change => ({ change, atMs: NOW - 30_000 })),
});

const RATES: readonly (readonly [string, Case, number, string])[] = [
  ['up by pods', { ...HIGH, behavior: up({ policies: [pods(4)] }) }, 14, 'True ScaleUpLimit'],
  ['up by percent', { ...HIGH, behavior: up({ policies: [percent(50)] }) }, 15, 'True ScaleUpLimit'],
  ['up by the larger', { ...HIGH, behavior: up({ policies: [pods(4), percent(50)] }) }, 15, 'True ScaleUpLimit'],
  [
    'up by the smaller',
    { ...HIGH, behavior: up({ selectPolicy: 'Min', policies: [pods(4), percent(50)] }) },
    14,
    'True ScaleUpLimit',
  ],
  [
    'up not at all',
    { ...HIGH, behavior: up({ selectPolicy: 'Disabled', policies: [pods(4)] }) },
    10,
    'True ScaleUpLimit',
  ],
  [
    'up by what the period leaves',
    { ...HIGH, behavior: up({ policies: [pods(4)] }), history: changed(3, 30_000) },
    11,
    'True ScaleUpLimit',
  ],
  [
    'up by all in the next period',
    { ...HIGH, behavior: up({ policies: [pods(4)] }), history: changed(3, 61_000) },
    14,
    'True ScaleUpLimit',
  ],
  [
    'up not at all where the period saw more than its policy lets',
    { ...HIGH, behavior: up({ policies: [pods(2)] }), history: changed(6, 30_000) },
    10,
    'True ScaleUpLimit',
  ],
  [
    'up by a share of what was there as the period began, whichever way it went since',
    { ...HIGH, behavior: up({ policies: [percent(100)] }), history: changedBoth(4, -2) },
    16,
    'True ScaleUpLimit',
  ],
  ['up to the most', { ...HIGH, max: 12, behavior: up({ policies: [pods(4)] }) }, 12, 'True TooManyReplicas'],
  ['up to what is wished for', { ...HIGH, behavior: up({ policies: [percent(900)] }) }, 40, 'False DesiredWithinRange'],
  ['down by pods', { ...LOW, behavior: down({ policies: [pods(2)] }) }, 8, 'True ScaleDownLimit'],
  ['down by percent', { ...LOW, behavior: down({ policies: [percent(25)] }) }, 7, 'True ScaleDownLimit'],
  ['down by the larger', { ...LOW, behavior: down({ policies: [pods(2), percent(50)] }) }, 5, 'True ScaleDownLimit'],
  [
    'down by the smaller',
    { ...LOW, behavior: down({ selectPolicy: 'Min', policies: [pods(2), percent(50)] }) },
    8,
    'True ScaleDownLimit',
  ],
  [
    'down not at all',
    { ...LOW, behavior: down({ selectPolicy: 'Disabled', policies: [pods(2)] }) },
    10,
    'True ScaleDownLimit',
  ],
  [
    'down by what the period leaves',
    { ...LOW, behavior: down({ policies: [pods(4)] }), history: changed(-3, 30_000) },
    9,
    'True ScaleDownLimit',
  ],
  [
    'down not at all where the period saw more than its policy lets',
    { ...LOW, behavior: down({ policies: [percent(10)] }), history: changed(-3, 30_000) },
    10,
    'True ScaleDownLimit',
  ],
  [
    'down by a share of what was there as the period began, whichever way it went since',
    { ...LOW, behavior: down({ policies: [percent(50)] }), history: changedBoth(2, -4) },
    6,
    'True ScaleDownLimit',
  ],
  [
    'down by more than all there is',
    { ...LOW, behavior: down({ policies: [pods(100)] }), history: changed(-3, 30_000) },
    1,
    'True TooFewReplicas',
  ],
  ['down to the least', { ...LOW, min: 6, behavior: down({ policies: [percent(100)] }) }, 6, 'True TooFewReplicas'],
];
for (const [title, given, expected, limited] of RATES) {
  test(`rate: ${title}`, t => {
    const decided = plan(given);
    t.is(decided.rescale?.replicas ?? 10, expected);
    t.true(conditionsOf(decided).includes(`ScalingLimited ${limited}`), conditionsOf(decided).join());
  });
}

const WINDOWS: readonly (readonly [string, Case, number, string])[] = [
  ['down waits five minutes', { ...LOW, history: recommended([9, 299_000]) }, 9, 'ScaleDownStabilized'],
  ['and no longer', { ...LOW, history: recommended([9, 301_000]) }, 1, 'ReadyForNewScale'],
  ['up does not wait', { ...HIGH, history: recommended([12, 1000]) }, 20, 'ReadyForNewScale'],
  [
    'up waits as it is told',
    {
      ...HIGH,
      behavior: up({ stabilizationWindowSeconds: 60, policies: [percent(900)] }),
      history: recommended([12, 59_000]),
    },
    12,
    'ScaleUpStabilized',
  ],
  [
    'down waits as it is told',
    {
      ...LOW,
      behavior: down({ stabilizationWindowSeconds: 60, policies: [percent(100)] }),
      history: recommended([8, 59_000]),
    },
    8,
    'ScaleDownStabilized',
  ],
  [
    'down waits five minutes where it is not told',
    { ...LOW, behavior: up({ policies: [pods(1)] }), history: recommended([8, 290_000]) },
    8,
    'ScaleDownStabilized',
  ],
  [
    'to and fro: what was recommended lately is above, and down is asked for',
    { ...LOW, behavior: slow(), history: recommended([10, 6_000_000], [12, 180_000]) },
    10,
    'ScaleDownStabilized',
  ],
  [
    'to and fro: what was recommended lately is below, and up is asked for',
    { ...HIGH, behavior: slow(), history: recommended([10, 6_000_000], [8, 180_000]) },
    10,
    'ScaleUpStabilized',
  ],
];
/** Both ways after five minutes. */
function slow(): HorizontalPodAutoscalerBehavior {
  const rules = { stabilizationWindowSeconds: 300, policies: [percent(900)] };
  return { scaleUp: rules, scaleDown: rules };
}
function recommended(...each: readonly (readonly [number, number])[]) {
  return { recommendations: each.map(([replicas, agoMs]) => ({ replicas, atMs: NOW - agoMs })), changes: [] };
}
for (const [title, given, expected, reason] of WINDOWS) {
  test(`window: ${title}`, t => {
    const decided = plan(given);
    t.is(decided.rescale?.replicas ?? 10, expected);
    t.true(conditionsOf(decided).includes(`AbleToScale True ${reason}`), conditionsOf(decided).join());
  });
}

const NO_API =
  'unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)';
test('what cannot be read is told in the condition and in two events', t => {
  const decided = plan({ pods: same(2), readings: [failure(NO_API)], status: { desiredReplicas: 2 } });
  t.deepEqual(conditionsOf(decided), [
    'AbleToScale True SucceededGetScale',
    'ScalingActive False FailedGetResourceMetric',
  ]);
  t.is(
    decided.status.conditions?.[1]?.message,
    `the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: ${NO_API}`,
  );
  t.deepEqual(
    decided.events.map(({ message }) => message),
    [
      `failed to get cpu utilization: unable to get metrics for resource cpu: ${NO_API}`,
      `invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get cpu utilization: unable to get metrics for resource cpu: ${NO_API}`,
    ],
  );
  t.deepEqual(decided.status.currentMetrics, [{ type: '' }]);
  t.is(decided.status.desiredReplicas, 2);
});

const WRONG: readonly (readonly [string, Case, string])[] = [
  [
    'no pods',
    { pods: [], replicas: 1, readings: [readingOf([])] },
    'failed to get cpu utilization: no pods returned by selector while calculating replica count',
  ],
  [
    'only pods that start',
    { pods: same(1, { phase: 'Pending' }), readings: [readingOf([500])] },
    'failed to get cpu utilization: did not receive metrics for targeted pods (pods might be unready)',
  ],
  [
    'a container without a request',
    { metrics: [CPU], pods: [{ ...pod(0), spec: { containers: [{ name: 'c' }] } }], readings: [readingOf([500])] },
    'failed to get cpu utilization: missing request for cpu in container c of Pod p0',
  ],
  [
    'an external metric',
    { metrics: [external({ type: 'Value', value: '1' })], pods: same(1), readings: [failure('gone')] },
    'unable to get external metric ns/q/nil: gone',
  ],
  [
    'an object',
    { metrics: [object({ type: 'Value', value: '1' })], pods: same(1), readings: [failure('gone')] },
    'unable to get metric o: Service on ns s/gone',
  ],
];
for (const [title, given, message] of WRONG) {
  test(`told: ${title}`, t => t.is(plan(given).events[0]?.message, message));
}

test('a target without a selector, or with others that scale the same pods, is not scaled', t => {
  const none = plan({ pods: same(1), readings: [], selector: '' });
  t.deepEqual(
    none.events.map(({ reason }) => reason),
    ['SelectorRequired', 'FailedComputeMetricsReplicas'],
  );
  t.true(conditionsOf(none).includes('ScalingActive False InvalidSelector'));
  const rivals = plan({ pods: same(1), readings: [], rivals: ['ns/a', 'ns/b'] });
  t.is(rivals.events[0]?.message, 'pods by selector app=d are controlled by multiple HPAs: [ns/a ns/b]');
  t.is(rivals.rescale, undefined);
});

test('the status tells what was measured and what was done', t => {
  const state = stateOf({ pods: same(2), readings: [readingOf([800, 1000])] });
  const decided = planAutoscaler(state);
  if (!decided.rescale) return t.fail();
  t.is(decided.rescale.reason, 'cpu resource utilization (percentage of request) above target');
  const done = withRescale(state, { ...decided, rescale: decided.rescale }, undefined);
  t.like(done.status, { currentReplicas: 2, desiredReplicas: 4, lastScaleTime: timestamp(NOW) });
  t.deepEqual(done.status.currentMetrics, [
    { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 90, averageValue: '900m' } } },
  ]);
  t.is(done.event.message, 'New size: 4; reason: cpu resource utilization (percentage of request) above target');
  t.is(done.status.conditions?.[0]?.message, 'the HPA controller was able to update the target scale to 4');
  const failed = withRescale(state, { ...decided, rescale: decided.rescale }, 'no');
  t.like(failed.event, { type: 'Warning', reason: 'FailedRescale' });
  t.is(failed.status.desiredReplicas, 0);
  t.is(failed.status.lastScaleTime, undefined);
});

test('whatever is measured, the size stays within limits and policies, and comes to rest', t => {
  const rules = fc.record({
    stabilizationWindowSeconds: fc.integer({ min: 0, max: 120 }),
    selectPolicy: fc.constantFrom('Max', 'Min', 'Disabled'),
    policies: fc.array(
      fc.record({
        type: fc.constantFrom('Pods', 'Percent'),
        value: fc.integer({ min: 1, max: 60 }),
        periodSeconds: fc.integer({ min: 15, max: 120 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  });
  fc.assert(
    fc.property(
      fc.option(fc.record({ scaleUp: rules, scaleDown: rules }), { nil: undefined }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 20 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 3000 }), fc.nat({ max: 2 })), { minLength: 1, maxLength: 30 }),
      (behavior, min, room, loads) => {
        const max = min + room;
        let replicas = min;
        let history: AutoscalerState['history'] = EMPTY_HISTORY;
        const step = (load: number, unheard: number, index: number) => {
          const nowMs = NOW + index * 15_000;
          const each = Array.from({ length: replicas }, (_, at) => (at < unheard ? undefined : load));
          const state = stateOf({
            pods: same(replicas),
            readings: [readingOf(each)],
            min,
            max,
            history,
            nowMs,
            ...(behavior && { behavior }),
          });
          const decided = planAutoscaler(state);
          const next = decided.rescale?.replicas ?? replicas;
          t.true(next >= min && next <= max);
          // Never the other way than what was measured, and never faster than the rules.
          // (Without rules, what was recommended lately and could not be given at once may still come.)
          if (load < 450 && behavior) t.true(next <= replicas);
          if (load > 550 && unheard === 0 && !behavior) t.true(next >= replicas);
          if (!behavior) t.true(next <= Math.max(4, replicas * 2));
          if (behavior?.scaleUp.selectPolicy === 'Disabled') t.true(next <= replicas);
          if (behavior?.scaleDown.selectPolicy === 'Disabled') t.true(next >= replicas);
          t.true(decided.history.recommendations.length <= 21);
          history = decided.rescale
            ? withRescale(state, { ...decided, rescale: decided.rescale }, undefined).history
            : decided.history;
          replicas = next;
        };
        for (const [index, [load, unheard]] of loads.entries()) step(load, unheard, index);
        for (let index = 0; index < 40; index++) step(500, 0, loads.length + index);
        const before = replicas;
        step(500, 0, loads.length + 41);
        t.is(replicas, before);
      },
    ),
    { numRuns: 60 },
  );
});
