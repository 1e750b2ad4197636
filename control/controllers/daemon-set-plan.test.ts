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
  t.deepEqual(planned.failed, [failed]);
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
