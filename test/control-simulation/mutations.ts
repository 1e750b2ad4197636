/** Takes out each rule of `mutation-list.ts` in turn and shows that the simulation notices. */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { flagsOf } from '../helpers/flags.ts';
import { copySources, withChange } from '../helpers/source-copy.ts';
import { MUTATIONS } from './mutation-list.ts';

const USAGE = `Takes out each rule of mutation-list.ts in turn and shows that the simulation of the control plane notices:

  node test/control-simulation/mutations.ts [--only TEXT] [--seeds 100] [--jobs N]

Each is taken out of a copy of the sources in a temporary folder. A rule whose absence is not noticed is a hole in the
simulation: exit code 1.`;

const values = flagsOf(USAGE, {
  only: { type: 'string' },
  seeds: { type: 'string', default: '100' },
  jobs: { type: 'string' },
});

const copy = copySources(['raft', 'store', 'control', 'test/simulation', 'test/control-simulation']);
try {
  process.exitCode = await run();
} finally {
  rmSync(copy, { recursive: true });
}

async function run(): Promise<number> {
  const chosen = MUTATIONS.filter(({ rule }) => rule.includes(values.only ?? ''));
  let unnoticed = 0;
  for (const mutation of chosen) {
    const finding = await withChange(copy, mutation, firstFailure);
    if (finding === undefined) unnoticed++;
    console.log(
      finding === undefined
        ? `✘ NOT NOTICED in ${values.seeds} seeds: ${mutation.rule}`
        : `✔ ${mutation.rule}\n    ${finding}`,
    );
  }
  console.log(`${chosen.length} rules taken out, ${unnoticed} not noticed`);
  return unnoticed > 0 || chosen.length === 0 ? 1 : 0;
}

/** Runs seeds on the changed copy, up to the first in which a judge speaks. */
function firstFailure(): Promise<string | undefined> {
  const main = join(copy, 'test/control-simulation/main.ts');
  const jobs = values.jobs === undefined ? [] : ['--jobs', values.jobs];
  const child = spawn(process.execPath, [main, '--seeds', values.seeds, '--first-failure', '--quiet', ...jobs], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', code => {
      const finding = /^seed \d+ failed \((?:violation|unhealed)\): .*$/m.exec(text)?.[0];
      // Where nothing was noticed, all seeds have run: they fail together only where something rare never happened.
      const isWhole = code === 0 || /^never happened|^seed \d+ failed/m.test(text);
      if (finding === undefined && !isWhole) reject(new Error(`the seeds could not be run: ${text}`));
      else resolve(finding);
    });
  });
}
