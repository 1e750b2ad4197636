/** Plays seeds of a cluster's simulated minute, as many at once as there are processors. */
import { flagsOf } from '../helpers/flags.ts';
import { EVENT_NAMES, missing } from './coverage.ts';
import { type RunOptions, runSeeds, type Totals } from './runner.ts';
import { simulate } from './world.ts';

/** So many seeds must meet everything that has a name. */
const SEEDS_FOR_COVERAGE = 1_000;
const SEEDS_DEFAULT = 1_000;

const USAGE = `Plays seeds of the store's simulation, each a cluster's simulated minute, on all processors:

  node test/simulation/main.ts [--seeds 1000] [--from 1] [--jobs N] [--workload list|store] [--chaos-seconds S]
                               [--seed-seconds S] [--first-failure] [--quiet]
  node test/simulation/main.ts --for 30m [--from N]      as many as fit into that time, from another place each day
  node test/simulation/main.ts --seed N                  one, exactly as it was, with its story line by line

Exit code 1 if a seed fails, or if over a thousand seeds or more something in coverage.ts never happened.`;

const values = flagsOf(USAGE, {
  seed: { type: 'string' },
  seeds: { type: 'string' },
  from: { type: 'string' },
  for: { type: 'string' },
  jobs: { type: 'string' },
  workload: { type: 'string' },
  'chaos-seconds': { type: 'string' },
  'first-failure': { type: 'boolean' },
  'seed-seconds': { type: 'string' },
  quiet: { type: 'boolean' },
});
const workload = workloadOf(values.workload);
const chaosSeconds = values['chaos-seconds'];
const how: Pick<RunOptions, 'workload' | 'chaosMs'> = {
  ...(workload === undefined ? {} : { workload }),
  ...(chaosSeconds === undefined ? {} : { chaosMs: Number(chaosSeconds) * 1000 }),
};

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
  const timeMsMax = values.for === undefined ? undefined : durationMs(values.for);
  const isSoak = timeMsMax !== undefined;
  const first = values.from === undefined ? (isSoak ? seedOfToday() : 1) : Number(values.from);
  const begunMs = performance.now();
  const totals = await runSeeds({
    first,
    count:
      values.seeds === undefined ? (isSoak ? Number.MAX_SAFE_INTEGER - first : SEEDS_DEFAULT) : Number(values.seeds),
    ...how,
    ...(isSoak ? { timeMsMax } : {}),
    ...(values.jobs === undefined ? {} : { jobs: Number(values.jobs) }),
    isOneFailureEnough: values['first-failure'] === true,
    ...(values['seed-seconds'] === undefined ? {} : { seedMsMax: Number(values['seed-seconds']) * 1000 }),
    onFailure: ({ seed, kind, message }) => {
      console.error(
        `seed ${seed} failed (${kind}): ${message}\n  its story: npm run simulate -- --seed ${seed}${replay()}`,
      );
    },
  });
  report(totals, first, (performance.now() - begunMs) / 1000);
}

function report(totals: Totals, first: number, seconds: number): void {
  const { seeds, failures, commands, answered, simulatedMs, healedAfterMsMax, coverage } = totals;
  const unmet = missing(coverage);
  if (values.quiet !== true) {
    for (const name of EVENT_NAMES) console.log(`${String(coverage[name] ?? 0).padStart(10)}  ${name}`);
  }
  const { user, system } = process.cpuUsage();
  console.log(
    `${seeds} seeds from ${first} in ${seconds.toFixed(1)} s (${((user + system) / 1e6).toFixed(1)} s of processor): ` +
      `${failures.length} failed; ${commands} commands, ${answered} answers, ${(simulatedMs / 60_000).toFixed(0)} simulated ` +
      `minutes, healed after ${(healedAfterMsMax / 1000).toFixed(1)} s at most`,
  );
  if (seeds >= SEEDS_FOR_COVERAGE && workload === undefined && unmet.length > 0) {
    console.error(`never happened: ${unmet.join(', ')}`);
    process.exitCode = 1;
  }
  if (failures.length > 0 || seeds === 0) process.exitCode = 1;
}

function workloadOf(name: string | undefined): 'list' | 'store' | undefined {
  if (name === undefined || name === 'list' || name === 'store') return name;
  throw new Error('--workload is list or store');
}

function replay(): string {
  return `${workload === undefined ? '' : ` --workload ${workload}`}${chaosSeconds === undefined ? '' : ` --chaos-seconds ${chaosSeconds}`}`;
}

function durationMs(text: string): number {
  const match = /^(\d+)(s|m|h)$/.exec(text);
  if (match === null) throw new Error('--for is a time such as 90s, 30m or 8h');
  return Number(match[1]) * { s: 1_000, m: 60_000, h: 3_600_000 }[match[2] as 's' | 'm' | 'h'];
}

/** Soaks of different days look at different seeds. */
function seedOfToday(): number {
  return Math.floor(Date.now() / 86_400_000) * 10_000_000;
}
