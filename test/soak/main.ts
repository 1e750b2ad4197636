/** Real members under faults, with a verdict. Runs in namespaces of its own, so that nothing outlives it. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flagsOf } from '../helpers/flags.ts';
import { seededRandom } from '../simulation/random.ts';
import { type SoakReport, soak } from './soak.ts';

const INSIDE = 'RAFTSMAN_SOAK_INSIDE';
const SEED_MAX = 2 ** 32;

const USAGE = `Real members under faults, with a verdict. Needs root.

  npm run soak -- [--for 30m] [--members 3] [--seed N] [--only TEXT] [--keep]

--only: the faults whose names hold this; --keep: leaves the members' folders. Exit code 1 if anything that was promised
was not kept.`;

const values = flagsOf(USAGE, {
  for: { type: 'string', default: '30m' },
  members: { type: 'string', default: '3' },
  seed: { type: 'string' },
  only: { type: 'string' },
  keep: { type: 'boolean', default: false },
});

if (process.env[INSIDE] === undefined) await runInside();
else process.exitCode = await run();

/** Runs this program again where it may do what it likes. */
async function runInside(): Promise<void> {
  if (process.getuid?.() !== 0) {
    console.error('the soak makes network namespaces and file systems of its own: run it as root');
    process.exitCode = 2;
    return;
  }
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child', ...again], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: 'yes' },
  });
  process.exitCode = await new Promise<number>(resolve => child.once('close', code => resolve(code ?? 1)));
}

async function run(): Promise<number> {
  const seed = Number(values.seed ?? Math.floor(Math.random() * SEED_MAX));
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-soak-'));
  const begunMs = performance.now();
  const tell = (line: string) =>
    console.log(`${((performance.now() - begunMs) / 1000).toFixed(1).padStart(7)} s  ${line}`);
  tell(`seed ${seed}, ${values.members} members, for ${values.for}, in ${folder}`);
  let isKept = values.keep;
  try {
    const report = await soak({
      folder,
      members: Number(values.members),
      durationMs: durationMs(values.for),
      random: seededRandom(seed),
      only: values.only,
      tell,
    });
    print(report);
    if (report.violations.length > 0) isKept = true;
    return report.violations.length === 0 ? 0 : 1;
  } catch (error) {
    isKept = true;
    console.error(error);
    console.log('verdict: FAILED, the cluster did not come back');
    return 1;
  } finally {
    if (isKept) console.log(`logs are in ${folder}`);
    else await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

function print(report: SoakReport): void {
  for (const [name, count] of report.faults) console.log(`  ${String(count).padStart(4)} × ${name}`);
  for (const lack of report.left) console.log(`  left out: ${lack}`);
  console.log(
    `${report.calls} calls: ${report.acknowledged} writes acknowledged, ${report.refused} refused, ${report.unknown} without an answer; ` +
      `${report.revisions} revisions watched; ${report.leasesEnded} leases ended in time; ` +
      `longest recovery ${(report.recoveryMsMax / 1000).toFixed(2)} s; general checker: ${report.linearizability}`,
  );
  for (const violation of report.violations) console.log(`VIOLATION: ${violation}`);
  console.log(report.violations.length === 0 ? 'verdict: nothing promised was broken' : 'verdict: FAILED');
}

/** `90s`, `30m`, `2h`. */
function durationMs(text: string): number {
  const units: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000 };
  const [, count, unit = ''] = /^(\d+)([smh])$/.exec(text) ?? [];
  const unitMs = units[unit];
  if (count === undefined || unitMs === undefined)
    throw new Error(`--for takes a time such as 90s or 30m, not ${text}`);
  return Number(count) * unitMs;
}
