/** Takes out each rule of `mutation-list.ts` in turn and shows that the simulation notices. */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { flagsOf } from '../helpers/flags.ts';
import { copySources, withChange } from '../helpers/source-copy.ts';
import { MUTATIONS, type Mutation } from './mutation-list.ts';
import { NOTICED_AT } from './mutation-seeds.ts';

const SEEDS_DEFAULT = 1_000;
/**
 * The short form begins where each rule was noticed last time, and with another rule each day, so that all get their turn.
 * Seeds shift with each change of the sources, so it looks at many more; rules that were noticed late last time are left to
 * the long form, since they may not be noticed even so.
 */
const SEEDS_SHORT = 300;
const NOTICED_SOON = 40;
const SHORT_MS_MAX = 85_000;
const DAY_MS = 86_400_000;
const RULES_A_DAY = 15;

/** A run that takes so long is stuck, be it in the product or in the harness: no judge has spoken, so it does not count. */
const SEED_SECONDS_MAX = '120';

interface Finding {
  readonly seed: number;
  /** Who noticed: a judge, the product itself, or nobody but for the lack of progress. */
  readonly kind: string;
  readonly message: string;
}

const USAGE = `Takes out each safety rule of mutation-list.ts in turn and shows that the simulation of the store notices:

  node test/simulation/mutations.ts [--only TEXT] [--seeds 1000] [--jobs N] [--short]

Each is taken out of a copy of the sources in a temporary folder. A rule whose absence is not noticed is a hole in the
simulation: exit code 1. --short looks where each was noticed last time, and ends after a minute and a half.`;

const values = flagsOf(USAGE, {
  only: { type: 'string' },
  seeds: { type: 'string' },
  jobs: { type: 'string' },
  short: { type: 'boolean' },
});
const isShort = values.short === true;
const seeds = values.seeds ?? String(isShort ? SEEDS_SHORT : SEEDS_DEFAULT);

const copy = copySources(['raft', 'store', 'test/simulation']);
try {
  process.exitCode = await run();
} finally {
  rmSync(copy, { recursive: true });
}

async function run(): Promise<number> {
  const begunMs = performance.now();
  const fitting = MUTATIONS.filter(
    ({ rule, isRedundantBecause }) =>
      rule.includes(values.only ?? '') &&
      isRedundantBecause === undefined &&
      (!isShort || (NOTICED_AT[rule] ?? Number.POSITIVE_INFINITY) <= NOTICED_SOON),
  );
  const first = isShort ? (Math.floor(Date.now() / DAY_MS) * RULES_A_DAY) % fitting.length : 0;
  const chosen = [...fitting.slice(first), ...fitting.slice(0, first)];
  let unnoticed = 0;
  let tried = 0;
  let undecided = 0;
  for (const mutation of chosen) {
    const sinceMs = performance.now();
    const leftMs = isShort ? SHORT_MS_MAX - (sinceMs - begunMs) : undefined;
    if (leftMs !== undefined && leftMs <= 0) break;
    const finding = await tryOut(mutation, leftMs);
    if (finding === 'outOfTime') {
      undecided++;
      continue;
    }
    tried++;
    const seconds = ((performance.now() - sinceMs) / 1000).toFixed(1);
    if (finding === undefined) {
      unnoticed++;
      console.log(`✘ NOT NOTICED in ${seeds} seeds (${seconds} s): ${mutation.rule}`);
    } else {
      console.log(
        `✔ ${mutation.rule}\n    seed ${finding.seed}, ${finding.kind} (${seconds} s): ${finding.message.slice(0, 160)}`,
      );
    }
  }
  if (undecided > 0) console.log('the time ended before the last one was decided');
  console.log(`${tried} of ${MUTATIONS.length} rules taken out, ${unnoticed} not noticed`);
  return unnoticed > 0 || tried === 0 ? 1 : 0;
}

type Result = Finding | 'outOfTime' | undefined;

function tryOut(mutation: Mutation, timeMsMax: number | undefined): Promise<Result> {
  const from = isShort ? (NOTICED_AT[mutation.rule] ?? 1) : 1;
  return withChange(copy, mutation, () => firstFailure(from, timeMsMax));
}

/** Runs seeds on the changed copy, up to the first that fails. */
function firstFailure(from: number, timeMsMax: number | undefined): Promise<Result> {
  const jobs = values.jobs === undefined ? [] : ['--jobs', values.jobs];
  const main = join(copy, 'test/simulation/main.ts');
  const child = spawn(
    process.execPath,
    [
      main,
      '--from',
      String(from),
      '--seeds',
      seeds,
      '--first-failure',
      '--seed-seconds',
      SEED_SECONDS_MAX,
      '--quiet',
      ...jobs,
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    const watch = timeMsMax === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), timeMsMax);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(watch);
      if (signal === 'SIGKILL' && watch !== undefined) {
        resolve('outOfTime');
        return;
      }
      const finding = findingIn(text);
      // Where nothing was noticed, all seeds have run: they fail together only where something rare never happened.
      const isWhole = code === 0 || /^never happened|^seed \d+ failed \(harness\)/m.test(text);
      if (finding === undefined && !isWhole) reject(new Error(`the seeds could not be run: ${text}`));
      else resolve(finding);
    });
  });
}

/** A failure of the harness, such as a run that did not end, is no finding: it is told apart by its kind. */
function findingIn(text: string): Finding | undefined {
  for (const [, seed, kind, message] of text.matchAll(/^seed (\d+) failed \((\w+)\): (.*)$/gm)) {
    if (kind === 'harness') console.log(`  (seed ${seed} ended without a verdict: ${message})`);
    else return { seed: Number(seed), kind: kind ?? '', message: message ?? '' };
  }
  return undefined;
}
