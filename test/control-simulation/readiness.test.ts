import test from 'ava';
import type { Pod } from '../../control/api/generated/types.ts';
import { Readiness } from './readiness.ts';
import type { Change } from './view.ts';

const LAG_MS = 600_000;
const everyPod = () => true;

test('pods that are gone count with those that were ready at the same time, not with those that came after', t => {
  const { readiness, change } = history();
  change({ uid: 'a', to: 'ready', atMs: 0 });
  change({ uid: 'b', to: 'ready', atMs: 1 });
  change({ uid: 'a', to: 'leaving', atMs: 2 });
  change({ uid: 'c', to: 'ready', atMs: 2 });
  change({ uid: 'b', to: 'gone', atMs: 3 });
  change({ uid: 'd', to: 'unready', atMs: 4 });
  t.is(readiness.mostAtOnce(everyPod, 5), 2, 'a and b, then b and c');
  t.is(
    readiness.mostAtOnce(({ metadata }) => metadata?.uid !== 'b', 5),
    1,
    'the same millisecond is not the same moment',
  );
});

test('a pod that is ready stays so however long ago it began, and however often it is written', t => {
  const { readiness, change } = history();
  change({ uid: 'a', to: 'ready', atMs: 0 });
  change({ uid: 'b', to: 'ready', atMs: 1 });
  change({ uid: 'a', to: 'ready', atMs: 2 });
  t.is(readiness.mostAtOnce(everyPod, 10 * LAG_MS), 2);
});

test('what was so longer ago than caches lag counts for nothing', t => {
  const { readiness, change } = history();
  for (const uid of ['a', 'b', 'c']) change({ uid, to: 'ready', atMs: 0 });
  change({ uid: 'a', to: 'leaving', atMs: 1_000 });
  change({ uid: 'b', to: 'unready', atMs: 2_000 });
  t.is(readiness.mostAtOnce(everyPod, 1_000 + LAG_MS - 1), 3);
  t.is(readiness.mostAtOnce(everyPod, 1_000 + LAG_MS), 2);
  t.is(readiness.mostAtOnce(everyPod, 2_000 + LAG_MS), 1);
});

test('a pod that is ready again counts once', t => {
  const { readiness, change } = history();
  change({ uid: 'a', to: 'ready', atMs: 0 });
  change({ uid: 'a', to: 'unready', atMs: 1 });
  change({ uid: 'a', to: 'ready', atMs: 2 });
  t.is(readiness.mostAtOnce(everyPod, 3), 1);
});

interface Step {
  readonly uid: string;
  readonly to: 'ready' | 'unready' | 'leaving' | 'gone';
  readonly atMs: number;
}

/** A store's history: each change is a revision, and knows what was before it. */
function history() {
  const readiness = new Readiness(LAG_MS);
  const pods = new Map<string, Pod>();
  let revision = 0;
  const change = ({ uid, to, atMs }: Step) => {
    const before = pods.get(uid);
    const after = to === 'gone' ? undefined : pod(uid, to);
    if (after) pods.set(uid, after);
    else pods.delete(uid);
    const change: Change = { plural: 'pods', key: `default/${uid}`, before, after, revision: ++revision };
    readiness.take(change, atMs);
  };
  return { readiness, change };
}

function pod(uid: string, state: 'ready' | 'unready' | 'leaving'): Pod {
  return {
    metadata: { uid, name: uid, ...(state === 'leaving' && { deletionTimestamp: '2026-01-05T00:00:00Z' }) },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: state === 'unready' ? 'False' : 'True' }] },
  };
}
