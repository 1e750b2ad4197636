/** Plays seeds of a cluster's hours, as many at once as there are processors. */
import { flagsOf } from '../helpers/flags.ts';
import { EVENT_NAMES, missing } from './coverage.ts';
import { runSeeds, type Totals } from './runner.ts';
import { simulate } from './world.ts';

/** So many seeds must meet everything that has a name. */
const SEEDS_FOR_COVERAGE = 1_000;
const SEEDS_DEFAULT = 1_000;

const USAGE = `Plays seeds of the control plane's simulation, each some hours of a cluster, on all processors:

  node test/control-simulation/main.ts [--seeds 1000] [--from 1] [--jobs N] [--hours H] [--minutes M] [--first-failure] [--quiet]
  node test/control-simulation/main.ts --seed N [--hours H]      one, exactly as it was, with its story line by line

With --minutes no seed begins after that time, and how many of them were played is told. Exit code 1 if a seed fails, or if
over a thousand seeds or more something in coverage.ts never happened.`;

const values = flagsOf(USAGE, {
  seed: { type: 'string' },
  seeds: { type: 'string' },
  from: { type: 'string' },
  jobs: { type: 'string' },
  hours: { type: 'string' },
  minutes: { type: 'string' },
  'first-failure': { type: 'boolean' },
  quiet: { type: 'boolean' },
});
const how = values.hours === undefined ? {} : { hours: Number(values.hours) };

if (values.seed !== undefined) await tell(Number(values.seed));
else await runMany();

async function tell(seed: number): Promise<void> {
  try {
    console.log(await simulate({ seed, ...how, trace: line => console.log(line) }));
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
}

async function runMany(): Promise<void> {
  const first = values.from === undefined ? 1 : Number(values.from);
  const begunMs = performance.now();
  const count = values.seeds === undefined ? SEEDS_DEFAULT : Number(values.seeds);
  const endMs = begunMs + Number(values.minutes ?? Number.POSITIVE_INFINITY) * 60_000;
  const totals = await runSeeds({
    first,
    count,
    isTimeLeft: () => performance.now() < endMs,
    ...how,
    ...(values.jobs === undefined ? {} : { jobs: Number(values.jobs) }),
    isOneFailureEnough: values['first-failure'] === true,
    onFailure: ({ seed, kind, message }) => {
      const again = `node test/control-simulation/main.ts --seed ${seed}${values.hours === undefined ? '' : ` --hours ${values.hours}`}`;
      console.error(`seed ${seed} failed (${kind}): ${message}\n  its story: ${again}`);
    },
  });
  if (totals.seeds < count && totals.failures.length === 0) {
    console.log(`the time was over after ${totals.seeds} of ${count} seeds`);
  }
  report(totals, first, (performance.now() - begunMs) / 1000);
}

function report(totals: Totals, first: number, seconds: number): void {
  const { seeds, failures, operations, revisions, simulatedMs, healedAfterMsMax, coverage } = totals;
  const unmet = missing(coverage);
  if (values.quiet !== true) {
    for (const name of EVENT_NAMES) console.log(`${String(coverage[name] ?? 0).padStart(10)}  ${name}`);
  }
  const { user, system } = process.cpuUsage();
  console.log(
    `${seeds} seeds from ${first} in ${seconds.toFixed(1)} s (${((user + system) / 1e6).toFixed(1)} s of processor): ` +
      `${failures.length} failed; ${operations} operations, ${revisions} writes, ${(simulatedMs / 3_600_000).toFixed(0)} ` +
      `simulated hours, healed after ${(healedAfterMsMax / 60_000).toFixed(0)} min at most`,
  );
  if (seeds >= SEEDS_FOR_COVERAGE && unmet.length > 0) {
    console.error(`never happened: ${unmet.join(', ')}`);
    process.exitCode = 1;
  }
  if (failures.length > 0 || seeds === 0) process.exitCode = 1;
}
