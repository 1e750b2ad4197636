/**
 * `npm test`: the steps in order, then one line that counts. Unit tests run side by side, and so does what waits more than
 * it works; what measures time, or looks at the whole machine, runs alone. What cannot run here is skipped by name, with the
 * reason.
 */
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

interface Counts {
  passed: number;
  failed: number;
  readonly skipped: string[];
}
const counts: Counts = { passed: 0, failed: 0, skipped: [] };
/** They run beside those of the store. */
const PATIENT_E2E = ['test/e2e/errors.test.ts', 'test/e2e/join.test.ts'];
/** The same commands with several clients. */
const SCRIPTS = ['test/clients/kubectl.test.ts', 'test/clients/helm.test.ts'];
const PATIENT_CHAOS = 'test/chaos/nodes.test.ts';
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
async function tests(name: string, args: readonly string[], { isNice = false } = {}): Promise<void> {
  const since = performance.now();
  const own: Counts = { passed: 0, failed: 0, skipped: [] };
  const said: string[] = [];
  let failing = false;
  const [command, ...before] = isNice ? ['nice', '-n', '19', 'ava'] : ['ava'];
  const code = await run(command ?? 'ava', [...before, '--tap', ...args], line => {
    const result = /^(not ok|ok) \d+ - (.*)$/.exec(line);
    if (result) {
      const title = result[2] ?? '';
      failing = result[1] === 'not ok' && !/ # (SKIP|TODO)/.test(title);
      if (/ # SKIP/.test(title)) own.skipped.push(title.replace(/ # SKIP.*$/, ''));
      else if (failing) own.failed++;
      else own.passed++;
      if (failing) said.push(`✘ ${title}`);
    } else if (/^# {3}\S/.test(line)) said.push(`  ${line.slice(4)}`);
    else if (failing || /^(#|\s*)\s*(Uncaught|Unhandled|No tests|Exited|Timed out)/.test(line)) said.push(line);
  });
  if (code !== 0 && own.failed === 0) {
    own.failed++;
    said.push(`✘ ${name}: the test runner ended with exit code ${code}`);
  }
  const skipped = own.skipped.length > 0 ? `, ${own.skipped.length} skipped` : '';
  said.push(
    `${code === 0 ? '✔' : '✘'} ${name}: ${own.passed} passed, ${own.failed} failed${skipped} (${elapsed(since)})`,
  );
  console.log(said.join('\n'));
  counts.passed += own.passed;
  counts.failed += own.failed;
  counts.skipped.push(...own.skipped);
}

/** So many files at a time. One at a time, their tests run one by one too; ava's `--serial` would mean both anyway. */
function files(name: string, patterns: readonly string[], { concurrency = 1, isNice = false } = {}): Promise<void> {
  const pace = concurrency === 1 ? '--serial' : `--concurrency=${concurrency}`;
  return tests(name, [pace, '--timeout=10m', ...patterns], { isNice });
}

// Every test file has a thread of its own, which loads the same modules again: they are compiled once.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'raftsman-test-compiled');

if (only.length > 0) await tests('chosen tests', ['--concurrency=1', '--timeout=10m', ...only]);
else {
  await step('build', 'tsc', ['-p', 'tsconfig.build.json']);
  process.env.RAFTSMAN_BUILT = 'yes';
  await step('types', 'tsc', ['--noEmit', '-p', 'tsconfig.json']);
  await step('style', 'biome', ['check', '--error-on-warnings', '.']);
  // Those of programs, networks and timers wait: on two cores a third file has time.
  await tests('unit tests', [
    '--concurrency=3',
    '--timeout=2m',
    '{raft,store,control,node,cli}/**/*.test.ts',
    'test/*.test.ts',
  ]);
  // Simulated time does not care how much of the processor it gets, and the others wait more than they work.
  const simulation = files('simulation', ['test/simulation/**/*.test.ts'], { isNice: true });
  await files('parity', ['test/parity/**/*.test.ts']);
  // Those that measure the start of a cluster, and look what it leaves behind on the machine.
  await files('e2e', ['test/e2e/**/*.test.ts', ...PATIENT_E2E.map(file => `!${file}`)]);
  await simulation;
  // These measure nothing, and stand still for minutes: until a node counts as dead, until etcdctl has put its load.
  await files('store', ['test/store/**/*.test.ts', PATIENT_CHAOS, ...PATIENT_E2E], { concurrency: 4 });
  const attacks = ['test/security/**/*.test.ts', 'test/fuzz/**/*.test.ts'];
  await files('security and clients', [...attacks, ...SCRIPTS], { concurrency: 3 });
  // How long clients wait for the next leader.
  await files('chaos', [
    'test/chaos/**/*.test.ts',
    `!${PATIENT_CHAOS}`,
    'test/clients/**/*.test.ts',
    ...SCRIPTS.map(file => `!${file}`),
  ]);
  await files('soak', ['test/soak/**/*.test.ts']);
}
if (counts.skipped.length > 0) {
  console.log(`\nSkipped here, each with what it needs:\n${counts.skipped.map(title => `  - ${title}`).join('\n')}`);
}
console.log(`\n(${elapsed(started)})`);
console.log(
  `${counts.passed} passed, ${counts.failed} failed${counts.skipped.length ? `, ${counts.skipped.length} skipped` : ''}`,
);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
