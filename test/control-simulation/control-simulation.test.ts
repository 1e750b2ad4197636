import { readFileSync } from 'node:fs';
import test from 'ava';
import { MUTATIONS } from './mutation-list.ts';
import { runSeeds } from './runner.ts';
import { simulate } from './world.ts';

const SEEDS = Number(process.env.RAFTSMAN_CONTROL_SEEDS ?? 8);

test('a control plane comes to what its objects ask for, and oversteps nothing on the way, whatever the seed', async t => {
  t.timeout(SEEDS * 60_000, 'the seeds take longer than they should');
  const totals = await runSeeds({ first: 1, count: SEEDS });
  t.deepEqual(
    totals.failures.map(({ seed, message }) => `${message}: node test/control-simulation/main.ts --seed ${seed}`),
    [],
  );
  t.is(totals.seeds, SEEDS);
  // A simulation in which nothing happens proves nothing.
  t.true(totals.operations > SEEDS * 10, `${totals.operations} operations`);
  t.true(totals.revisions > SEEDS * 200, `${totals.revisions} writes`);
});

test('a seed replays its run exactly, whether its story is told or not', async t => {
  t.timeout(240_000);
  const story: string[] = [];
  const told = await simulate({ seed: 7, hours: 1, trace: line => story.push(line) });
  t.deepEqual(await simulate({ seed: 7, hours: 1 }), told);
  t.true(story.length > 100, 'the story is told');
});

test('each mutation still fits the source that it changes', t => {
  for (const { rule, file, find, replace } of MUTATIONS) {
    const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
    t.is(source.split(find).length, 2, `${file} holds the rule once: ${rule}`);
    t.not(find, replace);
  }
});
