import test from 'ava';
import { runSeeds } from './runner.ts';
import { simulate } from './world.ts';

const SEEDS = Number(process.env.RAFTSMAN_SIMULATION_SEEDS ?? 300);

test('a cluster stays safe and comes back to life, whatever the seed', async t => {
  t.timeout(SEEDS * 2_000, 'the seeds take longer than they should');
  const totals = await runSeeds({ first: 1, count: SEEDS });
  t.deepEqual(
    totals.failures.map(({ seed, message }) => `${message}: npm run simulate -- --seed ${seed}`),
    [],
  );
  t.is(totals.seeds, SEEDS);
  // A simulation in which nothing happens proves nothing.
  t.true(totals.answered > SEEDS * 100, `${totals.answered} answers`);
  t.true((totals.coverage.crash ?? 0) > SEEDS * 5, `${totals.coverage.crash} crashes`);
});

test('a seed replays its run exactly, whether its story is told or not', async t => {
  for (const seed of [7, 8]) {
    const story: string[] = [];
    const told = await simulate({ seed, chaosMs: 10_000, trace: line => story.push(line) });
    t.deepEqual(await simulate({ seed, chaosMs: 10_000 }), told);
    t.true(story.length > 50, 'the story is told');
    t.notDeepEqual({ ...(await simulate({ seed: seed + 2, chaosMs: 10_000 })), seed }, told);
  }
});
