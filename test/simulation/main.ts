/**
 * Runs seeds: `node test/simulation/main.ts [--seed N] [--seeds COUNT] [--from N]`. With `--seed` exactly one, as it
 * failed before. Exit code 1 if any fails.
 */
import { parseArgs } from 'node:util';
import { simulate } from './world.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string' }, seeds: { type: 'string' }, from: { type: 'string' } },
});
const first = Number(values.seed ?? values.from ?? 1);
const count = values.seed === undefined ? Number(values.seeds ?? process.env.SEEDS ?? 100) : 1;
const begunMs = performance.now();
const totals = { failed: 0, commands: 0, answered: 0, crashes: 0, simulatedMs: 0 };
for (let seed = first; seed < first + count; seed++) {
  try {
    const report = await simulate({ seed });
    totals.commands += report.commands;
    totals.answered += report.answered;
    totals.crashes += report.crashes;
    totals.simulatedMs += report.simulatedMs;
    if (count === 1) console.log(report);
  } catch (error) {
    totals.failed++;
    console.error(`seed ${seed} failed; replay it with: npx node test/simulation/main.ts --seed ${seed}`);
    console.error(error);
  }
}
const seconds = (performance.now() - begunMs) / 1000;
console.log(
  `${count} seeds in ${seconds.toFixed(1)} s: ${totals.failed} failed; ${totals.commands} commands, ` +
    `${totals.answered} answers, ${totals.crashes} crashes, ${(totals.simulatedMs / 1000).toFixed(0)} s simulated`,
);
process.exitCode = totals.failed > 0 ? 1 : 0;
