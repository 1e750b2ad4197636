/** Which pods a drain takes, and what it tells of the others. */
import test from 'ava';
import type { Pod } from '../../control/api/generated/types.ts';
import { drainPlan } from './drain-filters.ts';

const NOW_MS = Date.parse('2026-01-01T00:01:00Z');
const RULES = { force: false, ignoreDaemonsets: false, deleteEmptydirData: false, skipWaitSeconds: 0 };

function pod(name: string, { owner, ...rest }: { owner?: string } & Partial<Pod> = {}): Pod {
  const ownerReferences = owner && [{ apiVersion: 'apps/v1', kind: owner, name: 'o', uid: 'u', controller: true }];
  return {
    ...rest,
    metadata: { name, namespace: 'ns', ...rest.metadata, ...(ownerReferences && { ownerReferences }) },
  };
}
const scratch = { spec: { containers: [], volumes: [{ name: 'v', emptyDir: {} }] } };
const plan = (pods: readonly Pod[], rules: Partial<typeof RULES> = {}) => {
  const { taken, warning, problems } = drainPlan(pods, { ...RULES, ...rules }, NOW_MS);
  return { taken: taken.map(({ metadata }) => metadata?.name), warning, problems };
};

test('pods of a controller go, and so do those that have ended', t => {
  const ended = pod('ended', { status: { phase: 'Succeeded' }, ...scratch });
  t.deepEqual(plan([pod('a', { owner: 'ReplicaSet' }), ended]), {
    taken: ['a', 'ended'],
    warning: undefined,
    problems: [],
  });
});

test('what nothing brings back goes only by force, with a warning', t => {
  t.deepEqual(plan([pod('a'), pod('b')]).problems, [
    'cannot delete cannot delete Pods that declare no controller (use --force to override): ns/a, ns/b',
  ]);
  t.deepEqual(plan([pod('a'), pod('b')], { force: true }), {
    taken: ['a', 'b'],
    warning: 'deleting Pods that declare no controller: ns/a, ns/b',
    problems: [],
  });
});

test('pods of daemon sets stay', t => {
  const daemon = pod('d', { owner: 'DaemonSet' });
  t.deepEqual(plan([daemon]).problems, [
    'cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): ns/d',
  ]);
  t.deepEqual(plan([daemon], { ignoreDaemonsets: true }), {
    taken: [],
    warning: 'ignoring DaemonSet-managed Pods: ns/d',
    problems: [],
  });
});

test('what an emptyDir holds is lost only when that was said', t => {
  const pods = [pod('a', { owner: 'ReplicaSet', ...scratch })];
  t.deepEqual(plan(pods).problems, [
    'cannot delete Pods with local storage (use --delete-emptydir-data to override): ns/a',
  ]);
  t.is(plan(pods, { deleteEmptydirData: true }).warning, 'deleting Pods with local storage: ns/a');
});

test('mirror pods stay, and those that are going for long where that was said', t => {
  const mirror = pod('m', { metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } } });
  const going = pod('g', { owner: 'ReplicaSet', metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } });
  t.deepEqual(plan([mirror, going]).taken, ['g']);
  t.deepEqual(plan([mirror, going], { skipWaitSeconds: 30 }).taken, []);
});
