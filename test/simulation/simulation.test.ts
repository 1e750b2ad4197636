import { readFileSync } from 'node:fs';
import test from 'ava';
import { MUTATIONS } from './mutation-list.ts';
import { NOTICED_AT } from './mutation-seeds.ts';
import { runSeeds } from './runner.ts';
import { NAMED_SEEDS } from './seeds.ts';
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

test('seeds that once found a bug find none', async t => {
  for (const { seed, workload, found } of NAMED_SEEDS) {
    await t.notThrowsAsync(
      simulate({ seed, ...(workload === undefined ? {} : { workload }) }),
      `seed ${seed}: ${found}`,
    );
  }
});

test('each mutation still fits the source that it changes', t => {
  for (const { rule, file, find, replace } of MUTATIONS) {
    const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
    t.is(source.split(find).length, 2, `${file} holds the rule once: ${rule}`);
    t.not(find, replace);
  }
  t.is(new Set(MUTATIONS.map(({ rule }) => rule)).size, MUTATIONS.length);
  const wanted = new Set(MUTATIONS.flatMap(one => (one.isRedundantBecause === undefined ? [one.rule] : [])));
  t.deepEqual(
    Object.keys(NOTICED_AT).filter(rule => !wanted.has(rule)),
    [],
    'only rules that are looked for were noticed',
  );
});
