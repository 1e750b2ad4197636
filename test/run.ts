/**
 * `npm test`: the steps in order, then one line that counts. Unit tests run side by side; what starts clusters, engines
 * or containers runs alone, because it measures time. What cannot run here is skipped by name, with the reason.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

interface Counts {
  passed: number;
  failed: number;
  readonly skipped: string[];
}
const counts: Counts = { passed: 0, failed: 0, skipped: [] };
const only = process.argv.slice(2);
const started = performance.now();
const elapsed = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

function run(command: string, args: readonly string[], onLine: (line: string) => void): Promise<number> {
  return new Promise(resolve => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, FORCE_COLOR: '0' },
    });
    createInterface({ input: child.stdout }).on('line', onLine);
    child.once('close', code => resolve(code ?? 1));
  });
}

/** A step of which only success or failure counts. */
async function step(name: string, command: string, args: readonly string[]): Promise<void> {
  const since = performance.now();
  const lines: string[] = [];
  const code = await run(command, args, line => lines.push(line));
  if (code === 0) counts.passed++;
  else counts.failed++;
  console.log(`${code === 0 ? '✔' : '✘'} ${name} (${elapsed(since)})`);
  if (code !== 0) console.log(lines.join('\n'));
}

/** A group of test files. TAP is what ava offers for machines to read. */
async function tests(name: string, args: readonly string[]): Promise<void> {
  const since = performance.now();
  const before = { passed: counts.passed, failed: counts.failed, skipped: counts.skipped.length };
  let failing = false;
  const code = await run('ava', ['--tap', ...args], line => {
    const result = /^(not ok|ok) \d+ - (.*)$/.exec(line);
    if (result) {
      const title = result[2] ?? '';
      failing = result[1] === 'not ok' && !/ # (SKIP|TODO)/.test(title);
      if (/ # SKIP/.test(title)) counts.skipped.push(title.replace(/ # SKIP.*$/, ''));
      else if (failing) counts.failed++;
      else counts.passed++;
      if (failing) console.log(`✘ ${title}`);
    } else if (/^# {3}\S/.test(line)) console.log(`  ${line.slice(4)}`);
    else if (failing || /^(#|\s*)\s*(Uncaught|Unhandled|No tests|Exited|Timed out)/.test(line)) console.log(line);
  });
  const failed = counts.failed - before.failed;
  if (code !== 0 && failed === 0) {
    counts.failed++;
    console.log(`✘ ${name}: the test runner ended with exit code ${code}`);
  }
  const skipped = counts.skipped.length - before.skipped;
  console.log(
    `${code === 0 ? '✔' : '✘'} ${name}: ${counts.passed - before.passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''} (${elapsed(since)})`,
  );
}

if (only.length > 0) await tests('chosen tests', ['--concurrency=1', '--timeout=10m', ...only]);
else {
  await step('build', 'tsc', ['-p', 'tsconfig.build.json']);
  process.env.RAFTSMAN_BUILT = 'yes';
  await step('types', 'tsc', ['--noEmit', '-p', 'tsconfig.json']);
  await step('style', 'biome', ['check', '--error-on-warnings', '.']);
  await tests('unit tests', ['--timeout=2m', '{raft,store,control,node,cli}/**/*.test.ts', 'test/*.test.ts']);
  for (const folder of ['simulation', 'parity', 'e2e', 'store', 'chaos', 'soak']) {
    // Those of the store wait more than they work, and measure nothing.
    const files = folder === 'store' ? '--concurrency=2' : '--concurrency=1';
    if (existsSync(`test/${folder}`))
      await tests(folder, [files, '--serial', '--timeout=10m', `test/${folder}/**/*.test.ts`]);
  }
}
if (counts.skipped.length > 0) {
  console.log(`\nSkipped here, each with what it needs:\n${counts.skipped.map(title => `  - ${title}`).join('\n')}`);
}
console.log(`\n(${elapsed(started)})`);
console.log(
  `${counts.passed} passed, ${counts.failed} failed${counts.skipped.length ? `, ${counts.skipped.length} skipped` : ''}`,
);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
