import test from 'ava';
import { simulate } from './world.ts';

const SEEDS = Number(process.env.RAFTSMAN_SIMULATION_SEEDS ?? 100);

test('a cluster stays safe and comes back to life, whatever the seed', async t => {
  t.timeout(SEEDS * 2_000, 'the seeds take longer than they should');
  let answered = 0;
  let crashes = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const report = await simulate({ seed }).catch((cause: unknown) => {
      throw new Error(`seed ${seed} failed; replay it with: npx node test/simulation/main.ts --seed ${seed}`, {
        cause,
      });
    });
    answered += report.answered;
    crashes += report.crashes;
  }
  // A simulation in which nothing happens proves nothing.
  t.true(answered > SEEDS * 20, `${answered} answers`);
  t.true(crashes > SEEDS, `${crashes} crashes`);
});

test('a seed replays its run exactly, whether its story is told or not', async t => {
  for (const seed of [7, 8]) {
    const story: string[] = [];
    const told = await simulate({ seed, trace: line => story.push(line) });
    t.deepEqual(await simulate({ seed }), told);
    t.true(story.length > 100, 'the story is told');
    t.notDeepEqual({ ...(await simulate({ seed: seed + 2 })), seed }, told);
  }
});
