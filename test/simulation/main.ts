/**
 * Runs seeds: `node test/simulation/main.ts [--seed N] [--seeds COUNT] [--from N] [--workload list|store]`. With `--seed`
 * exactly one, as it failed before, and its story is told line by line. Exit code 1 if any fails.
 */
import { parseArgs } from 'node:util';
import { simulate } from './world.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string' },
    workload: { type: 'string' },
  },
});
const first = Number(values.seed ?? values.from ?? 1);
const isOne = values.seed !== undefined;
const count = isOne ? 1 : Number(values.seeds ?? process.env.RAFTSMAN_SIMULATION_SEEDS ?? 100);
const { workload } = values;
if (workload !== undefined && workload !== 'list' && workload !== 'store')
  throw new Error('--workload is list or store');
const begunMs = performance.now();
const totals = { failed: 0, commands: 0, answered: 0, crashes: 0, simulatedMs: 0 };
for (let seed = first; seed < first + count; seed++) {
  try {
    const report = await simulate({
      seed,
      ...(workload === undefined ? {} : { workload }),
      ...(isOne ? { trace: (line: string) => console.log(line) } : {}),
    });
    totals.commands += report.commands;
    totals.answered += report.answered;
    totals.crashes += report.crashes;
    totals.simulatedMs += report.simulatedMs;
    if (isOne) console.log(report);
  } catch (error) {
    totals.failed++;
    const choice = workload === undefined ? '' : ` --workload ${workload}`;
    console.error(`seed ${seed} failed; replay it with: npx node test/simulation/main.ts --seed ${seed}${choice}`);
    console.error(error);
  }
}
const seconds = (performance.now() - begunMs) / 1000;
const cpuSeconds = (process.cpuUsage().user + process.cpuUsage().system) / 1e6;
console.log(
  `${count} seeds in ${seconds.toFixed(1)} s (${cpuSeconds.toFixed(1)} s of processor): ${totals.failed} failed; ` +
    `${totals.commands} commands, ${totals.answered} answers, ${totals.crashes} crashes, ` +
    `${(totals.simulatedMs / 1000).toFixed(0)} s simulated`,
);
process.exitCode = totals.failed > 0 ? 1 : 0;
