import test from 'ava';
import { HISTORY_REVISIONS_MAX } from '../limits.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { Compactor, planCompaction } from './compactor.ts';

test('plans to keep as much history as asked for, and no more revisions than fit', t => {
  const notes = [
    { atMs: 0, revision: 10 },
    { atMs: 50, revision: 20 },
    { atMs: 100, revision: 30 },
  ];
  const plan = (nowMs: number, revision = 40) => planCompaction({ notes, nowMs, keepMs: 100, revision });
  t.is(plan(99), 0);
  t.is(plan(100), 10);
  t.is(plan(160), 20);
  t.is(plan(1_000), 30);
  t.is(plan(50, HISTORY_REVISIONS_MAX + 7), 7);
  t.is(planCompaction({ notes: [], nowMs: 50, keepMs: 100, revisionsMax: 15, revision: 40 }), 25);
});

test('compacts to what is older than the time to keep, again and again', t => {
  const clock = new ManualClock();
  const state = { revision: 1, compactedRevision: 0 };
  const compactor = new Compactor({
    clock,
    keepMs: 1_000,
    revisions: () => state,
    async compact(revision) {
      state.compactedRevision = revision;
    },
  });
  compactor.start();
  for (let second = 0; second < 50; second++) {
    state.revision += 10;
    clock.advance(100);
  }
  t.true(state.compactedRevision >= state.revision - 120 && state.compactedRevision <= state.revision - 100);
  compactor.stop();
  const { compactedRevision } = state;
  state.revision += 1_000;
  clock.advance(10_000);
  t.is(state.compactedRevision, compactedRevision);
});
