import test from 'ava';
import fc from 'fast-check';
import type { DaemonSet, Node, Pod } from '../api/generated/types.ts';
import { daemonTolerations, fits, planDaemonSet, REVISION_HASH_LABEL, revisionHash } from './daemon-set-plan.ts';

const daemon = (image = '1', rollingUpdate: object = { maxUnavailable: 1 }): DaemonSet => ({
  metadata: { name: 'd', namespace: 'n', uid: 'u', generation: 1 },
  spec: {
    selector: { matchLabels: { app: 'd' } },
    template: { metadata: { labels: { app: 'd' } }, spec: { containers: [{ name: 'c', image }] } },
    updateStrategy: { type: 'RollingUpdate', rollingUpdate },
  },
});
const node = (name: string, spec: Node['spec'] = {}, labels = {}): Node => ({ metadata: { name, labels }, spec });
let uids = 0;
const podOn = (nodeName: string, set: DaemonSet, { phase = 'Running', ready = true } = {}): Pod => ({
  metadata: { name: `p${++uids}`, uid: `${uids}`, labels: { app: 'd', [REVISION_HASH_LABEL]: revisionHash(set) } },
  spec: { containers: [], nodeName },
  status: { phase, conditions: ready ? [{ type: 'Ready', status: 'True' }] : [] },
});
const plan = (set: DaemonSet, nodes: readonly Node[], pods: readonly Pod[]) =>
  planDaemonSet({ set, nodes, pods, nowMs: 0 });

test('every node that fits gets one pod', t => {
  const nodes = [
    node('a'),
    node('b', { taints: [{ key: 'x', effect: 'NoSchedule' }] }),
    node('c', { unschedulable: true, taints: [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }] }),
  ];
  t.deepEqual(plan(daemon(), nodes, []).create, ['a', 'c']);
});

test('pods leave nodes that stopped fitting, doubles go, failed ones are replaced', t => {
  const set = daemon();
  const gone = podOn('b', set);
  const failed = podOn('a', set, { phase: 'Failed' });
  const [first, second] = [podOn('c', set), podOn('c', set)];
  const nodes = [node('a'), node('b', { taints: [{ key: 'x', effect: 'NoExecute' }] }), node('c')];
  const planned = plan(set, nodes, [gone, failed, first, second]);
  const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata?.name).toSorted();
  t.deepEqual(names(planned.delete), names([gone, failed, second]));
  t.deepEqual(planned.ended, [failed]);
  t.deepEqual(planned.create, []);
});

test('a NoSchedule taint keeps new pods away and lets old ones stay', t => {
  const set = daemon();
  const tainted = node('a', { taints: [{ key: 'x', effect: 'NoSchedule' }] });
  t.deepEqual(fits(set, tainted), { shouldRun: false, mayContinue: true });
  const { status, delete: deleted } = plan(set, [tainted], [podOn('a', set)]);
  t.deepEqual(deleted, []);
  t.like(status, { desiredNumberScheduled: 0, numberMisscheduled: 1, currentNumberScheduled: 0 });
});

test('the status counts, and leaves out zeros that Kubernetes leaves out', t => {
  const set = daemon();
  t.deepEqual(plan(set, [node('a'), node('b')], [podOn('a', set)]).status, {
    currentNumberScheduled: 1,
    numberMisscheduled: 0,
    desiredNumberScheduled: 2,
    numberReady: 1,
    observedGeneration: 1,
    updatedNumberScheduled: 1,
    numberAvailable: 1,
    numberUnavailable: 1,
  });
});

test('adds the tolerations of daemons', t => {
  t.deepEqual(
    daemonTolerations(undefined)
      .map(({ key, effect }) => `${key?.split('/')[1]} ${effect}`)
      .toSorted(),
    [
      'disk-pressure NoSchedule',
      'memory-pressure NoSchedule',
      'not-ready NoExecute',
      'pid-pressure NoSchedule',
      'unreachable NoExecute',
      'unschedulable NoSchedule',
    ],
  );
});

const strategies = [
  { maxUnavailable: 1 },
  { maxUnavailable: '50%' },
  { maxSurge: 1, maxUnavailable: 0 },
  { maxSurge: '30%', maxUnavailable: 0 },
];
test('an update replaces all pods, never takes away more than it may, and ends', t => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.constantFrom(...strategies), (count, strategy) => {
      const nodes = Array.from({ length: count }, (_, index) => node(`n${index}`));
      const [before, after] = [daemon('1', strategy), daemon('2', strategy)];
      const allowed =
        'maxSurge' in strategy
          ? 0
          : typeof strategy.maxUnavailable === 'string'
            ? Math.ceil(count / 2)
            : strategy.maxUnavailable;
      let pods = nodes.map(({ metadata }) => podOn(metadata?.name ?? '', before));
      for (let step = 0; step < 60; step++) {
        const planned = plan(after, nodes, pods);
        const isReady = pods.every(({ status }) => status?.conditions?.length);
        const isDone = isReady && planned.create.length + planned.delete.length === 0;
        pods = pods.filter(pod => !planned.delete.includes(pod));
        const available = new Set(
          pods.filter(({ status }) => status?.conditions?.length).map(({ spec }) => spec?.nodeName),
        );
        t.true(available.size >= count - allowed, `${available.size} of ${count}, ${JSON.stringify(strategy)}`);
        pods = [
          ...pods.map(pod => ({
            ...pod,
            status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
          })),
          ...planned.create.map(name => podOn(name, after, { ready: false })),
        ];
        if (isDone) break;
      }
      t.is(pods.length, count);
      t.true(pods.every(({ metadata }) => metadata?.labels?.[REVISION_HASH_LABEL] === revisionHash(after)));
    }),
    { numRuns: 60 },
  );
});

test('OnDelete: nothing is replaced by itself, one pod a node, whatever is left of the settings of a rolling update', t => {
  const [before, set] = [daemon('1'), daemon('2', { maxSurge: 1, maxUnavailable: 0 })];
  const onDelete = {
    ...set,
    spec: {
      ...(set.spec as NonNullable<DaemonSet['spec']>),
      updateStrategy: { type: 'OnDelete', rollingUpdate: { maxSurge: 1 } },
    },
  };
  const [old, next] = [podOn('a', before), podOn('a', onDelete)];
  t.like(plan(onDelete, [node('a')], [old]), { create: [], delete: [] });
  t.like(plan(onDelete, [node('a')], [old, next]), { create: [], delete: [next] });
  t.like(plan(onDelete, [node('a')], []), { create: ['a'], delete: [] });
});

test('what failed waits longer each time; what succeeded does not wait', t => {
  const set = daemon();
  const [failed, succeeded] = [podOn('a', set, { phase: 'Failed' }), podOn('b', set, { phase: 'Succeeded' })];
  const state = { set, nodes: [node('a'), node('b')], pods: [failed, succeeded], nowMs: 0 };
  t.like(planDaemonSet({ ...state, retryInMs: () => 2000 }), { delete: [succeeded], afterMs: 2000 });
  t.like(planDaemonSet({ ...state, retryInMs: () => 0 }), { delete: [failed, succeeded], afterMs: undefined });
});

test('while its pod goes, a node gets the next one only where a surge is allowed', t => {
  for (const [rollingUpdate, create] of [
    [{ maxUnavailable: 1 }, []],
    [{ maxSurge: 1, maxUnavailable: 0 }, ['a']],
    [{ maxSurge: '10%', maxUnavailable: 0 }, ['a']],
  ] as const) {
    const set = daemon('1', rollingUpdate);
    t.like(plan(set, [node('a')], [leave(podOn('a', set))]), { create, delete: [] });
    // One that failed has to go first, and that waits.
    const failed = podOn('a', set, { phase: 'Failed' });
    const state = { set, nodes: [node('a')], pods: [failed], nowMs: 0, retryInMs: () => 2000 };
    t.like(planDaemonSet(state), { create: [], delete: [] });
  }
});

test('surging: of two of one template the older stays, and an old one that does not serve makes way', t => {
  const [before, set] = [
    daemon('1', { maxSurge: 1, maxUnavailable: 0 }),
    daemon('2', { maxSurge: 1, maxUnavailable: 0 }),
  ];
  const [old, later] = [podOn('a', before), podOn('a', before)];
  const next = podOn('a', set, { ready: false });
  t.deepEqual(plan(set, [node('a')], [old, later, next]).delete, [later]);
  t.deepEqual(plan(set, [node('a')], [old, next]).delete, []);
  const broken = podOn('a', before, { ready: false });
  t.deepEqual(plan(set, [node('a')], [broken, next]).delete, [broken]);
});

test('a pod that waits for a node which is gone goes too; one that ended and leaves holds nobody back', t => {
  const set = daemon();
  const matchFields = [{ key: 'metadata.name', operator: 'In', values: ['gone'] }];
  const affinity = {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields }] } },
  };
  const waiting = { ...podOn('', set), spec: { containers: [], affinity } };
  const ended = podOn('a', set, { phase: 'Failed' });
  const leaving = { ...ended, metadata: { ...ended.metadata, deletionTimestamp: 'now' } };
  t.like(plan(set, [node('a')], [waiting, leaving]), { create: ['a'], delete: [waiting] });
});

test('a pod of an old template on a node that is not wanted any more goes with the update, in a surge when others serve', t => {
  const tainted = node('b', { taints: [{ key: 'x', effect: 'NoSchedule' }] });
  const [replacing, surging] = [daemon('2'), daemon('2', { maxSurge: 1, maxUnavailable: 0 })];
  const old = podOn('b', daemon('1'));
  t.deepEqual(plan(replacing, [node('a'), tainted], [podOn('a', replacing), old]).delete, [old]);
  t.deepEqual(plan(surging, [node('a'), tainted], [podOn('a', surging), old]).delete, [old]);
  t.deepEqual(plan(surging, [node('a'), tainted], [podOn('a', surging, { ready: false }), old]).delete, []);
});

const arbitraryPod = fc.record({
  isNew: fc.boolean(),
  kind: fc.constantFrom('ready', 'ready', 'starting', 'failed', 'succeeded', 'leaving'),
});
const arbitraryNode = fc.record({
  taint: fc.constantFrom(undefined, undefined, undefined, 'NoSchedule', 'NoExecute'),
  pods: fc.array(arbitraryPod, { maxLength: 3 }),
});
const arbitraryCluster = fc.record({
  nodes: fc.array(arbitraryNode, { maxLength: 6 }),
  strategy: fc.constantFrom(...strategies),
  /** Whether what is under way in a round comes to its end in it. */
  luck: fc.array(fc.boolean(), { maxLength: 40 }),
});

const leave = (each: Pod): Pod => ({ ...each, metadata: { ...each.metadata, deletionTimestamp: 'now' } });
const isLeaving = ({ metadata }: Pod) => metadata?.deletionTimestamp !== undefined;
const isReady = (each: Pod) =>
  !isLeaving(each) && each.status?.phase === 'Running' && Boolean(each.status.conditions?.length);
const ready = (each: Pod): Pod => ({
  ...each,
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
});

test('from any mix of pods and nodes it converges within its bounds, and then does nothing', t => {
  const check = ({
    nodes: given,
    strategy,
    luck,
  }: typeof arbitraryCluster extends fc.Arbitrary<infer T> ? T : never) => {
    const [before, set] = [daemon('1', strategy), daemon('2', strategy)];
    const nodes = given.map(({ taint: effect }, index) =>
      node(`n${index}`, effect ? { taints: [{ key: 'x', effect }] } : {}),
    );
    const wanted = nodes.filter(each => fits(set, each).shouldRun).map(({ metadata }) => metadata?.name ?? '');
    const amount = (value: string | number = 0) =>
      typeof value === 'string' ? Math.ceil((wanted.length * Number.parseInt(value, 10)) / 100) : value;
    const surge = 'maxSurge' in strategy ? amount(strategy.maxSurge) : 0;
    const allowed = surge > 0 ? 0 : Math.max(1, amount(strategy.maxUnavailable));
    let pods = given.flatMap((each, index) =>
      each.pods.map(({ isNew, kind }) => {
        const phase = { failed: 'Failed', succeeded: 'Succeeded' }[kind as string] ?? 'Running';
        const made = podOn(`n${index}`, isNew ? set : before, { phase, ready: kind === 'ready' || kind === 'leaving' });
        return kind === 'leaving' ? leave(made) : made;
      }),
    );
    const on = (all: readonly Pod[], name: string) =>
      all.filter(each => each.spec?.nodeName === name && !isLeaving(each));
    const dark = (all: readonly Pod[]) => wanted.filter(name => !on(all, name).some(isReady));
    const doubled = (all: readonly Pod[]) => wanted.filter(name => on(all, name).length > 1).length;
    for (let round = 0, quiet = 0; quiet < 2; round++) {
      if (round > 300) return t.fail('does not converge');
      const planned = plan(set, nodes, pods);
      const marked = pods.map(each => (planned.delete.includes(each) ? leave(each) : each));
      const created = planned.create.map(name => podOn(name, set, { ready: false }));
      // Where two ran before, the younger goes, whatever state the older is in.
      const newlyDark = dark(marked).filter(name => !dark(pods).includes(name) && on(pods, name).length < 2);
      t.true(
        newlyDark.length === 0 || dark(marked).length <= allowed,
        `${dark(marked).length} dark, ${allowed} allowed`,
      );
      const besides = created.filter(({ spec }) => on(pods, spec?.nodeName ?? '').some(isReady));
      t.true(besides.length === 0 || doubled([...marked, ...created]) <= surge);
      t.true(created.every(({ spec }) => wanted.includes(spec?.nodeName ?? '')));
      const isOver = round >= luck.length || luck[round];
      const next = marked.flatMap(each => {
        if (!isOver || !pods.includes(each)) return [each];
        if (isLeaving(each)) return [];
        return [each.status?.phase === 'Running' ? ready(each) : each];
      });
      const isQuiet = planned.create.length + planned.delete.length === 0 && pods.every(isReady);
      quiet = isQuiet ? quiet + 1 : 0;
      pods = [...next, ...created];
    }
    const places = pods.filter(({ spec }) => wanted.includes(spec?.nodeName ?? ''));
    t.deepEqual(places.map(({ spec }) => spec?.nodeName ?? '').toSorted(), wanted.toSorted());
    t.true(places.every(({ metadata }) => metadata?.labels?.[REVISION_HASH_LABEL] === revisionHash(set)));
  };
  fc.assert(fc.property(arbitraryCluster, check), { numRuns: 300 });
});
