/**
 * `npm test`: the steps in order, then one line that counts. Unit tests run side by side, and so does what waits more than
 * it works; what measures time, or looks at the whole machine, runs alone. What cannot run here is skipped by name, with the
 * reason.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { failedFiles } from './failed-files.ts';

interface Counts {
  passed: number;
  /** Titles of what failed. */
  readonly failed: string[];
  readonly skipped: string[];
}
const counts: Counts = { passed: 0, failed: [], skipped: [] };
/**
 * What failed beside others, and passed when its file was run once more, alone. Most tests wait for real processes, on a machine
 * that may stand still for seconds; so many may be unlucky in a run, one more and the run has failed. They are listed at the
 * end: each is a bug, of the test or of what it tests.
 */
const unsteady: string[] = [];
const MAX_UNSTEADY = 3;
/** They run beside those of the store. */
const PATIENT_E2E = ['test/e2e/errors.test.ts', 'test/e2e/join.test.ts'];
/** The same commands with several clients. */
const SCRIPTS = ['test/clients/kubectl.test.ts', 'test/clients/helm.test.ts'];
const PATIENT_CHAOS = 'test/chaos/nodes.test.ts';
/** What takes minutes and is no way in for a change: `npm run test:all` and CI run these too. */
const LONG = [
  'test/chaos/agent-kills.test.ts',
  'test/chaos/fast-failover.test.ts',
  'test/chaos/leadership.test.ts',
  'test/chaos/rolling-update.test.ts',
  'test/chaos/rollouts.test.ts',
  'test/clients/helm.test.ts',
  'test/clients/informers.test.ts',
  'test/e2e/csi.test.ts',
  'test/e2e/dns.test.ts',
  'test/e2e/ingress.test.ts',
  'test/e2e/networks.test.ts',
  'test/e2e/rollouts.test.ts',
  'test/e2e/storage.test.ts',
  'test/e2e/webhooks.test.ts',
  'test/soak/soak.test.ts',
  'test/store/etcdctl.test.ts',
];
const isAll = process.argv.includes('--all');
const only = process.argv.slice(2).filter(word => word !== '--all');
/** Patterns that leave files out. */
const without = (...names: readonly string[]) => names.map(file => `!${file}`);
const started = performance.now();
const elapsed = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

interface Wait {
  readonly onLine: (line: string) => void;
  /** How long the command may say nothing before it is killed. */
  readonly silenceMs?: number;
}

function run(command: string, args: readonly string[], { onLine, silenceMs }: Wait): Promise<number> {
  return new Promise(resolve => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, FORCE_COLOR: '0' },
    });
    const timer = silenceMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), silenceMs);
    createInterface({ input: child.stdout }).on('line', line => {
      timer?.refresh();
      onLine(line);
    });
    child.once('close', code => {
      clearTimeout(timer);
      resolve(code ?? 1);
    });
  });
}

/** A step of which only success or failure counts. */
async function step(name: string, command: string, args: readonly string[]): Promise<void> {
  const since = performance.now();
  const lines: string[] = [];
  const code = await run(command, args, { onLine: line => lines.push(line) });
  if (code === 0) counts.passed++;
  else counts.failed.push(name);
  console.log(`${code === 0 ? '✔' : '✘'} ${name} (${elapsed(since)})`);
  if (code !== 0) console.log(lines.join('\n'));
}

/** Ava gives a test up after its time-out, and then says so. A runner that is silent for this much longer hangs. */
const SILENCE_MS_MORE = 120_000;
const silenceOf = (args: readonly string[]) =>
  Number(/--timeout=(\d+)m/.exec(args.join(' '))?.[1] ?? 0) * 60_000 + SILENCE_MS_MORE;

/** What one run of ava says, with its lines worth reading. TAP is what ava offers for machines to read. */
async function play(
  name: string,
  args: readonly string[],
  isNice: boolean,
): Promise<{ readonly own: Counts; readonly said: readonly string[] }> {
  const own: Counts = { passed: 0, failed: [], skipped: [] };
  const said: string[] = [];
  let failing = false;
  const [command, ...before] = isNice ? ['nice', '-n', '19', 'ava'] : ['ava'];
  const onLine = (line: string) => {
    const result = /^(not ok|ok) \d+ - (.*)$/.exec(line);
    if (result) {
      const title = result[2] ?? '';
      failing = result[1] === 'not ok' && !/ # (SKIP|TODO)/.test(title);
      if (/ # SKIP/.test(title)) own.skipped.push(title.replace(/ # SKIP.*$/, ''));
      else if (failing) own.failed.push(title);
      else own.passed++;
      if (failing) said.push(`✘ ${title}`);
    } else if (/^# {3}\S/.test(line)) said.push(`  ${line.slice(4)}`);
    else if (failing || /^(#|\s*)\s*(Uncaught|Unhandled|No tests|Exited|Timed out)/.test(line)) said.push(line);
  };
  const code = await run(command ?? 'ava', [...before, '--tap', ...args], { onLine, silenceMs: silenceOf(args) });
  if (code !== 0 && own.failed.length === 0) {
    own.failed.push(`${name}: the test runner ended with exit code ${code}`);
    said.push(`✘ ${own.failed[0]}`);
  }
  return { own, said };
}

/** A group of test files, and those of them that failed once more, alone. */
async function tests(name: string, args: readonly string[], { isNice = false } = {}): Promise<void> {
  const since = performance.now();
  const { own, said } = await play(name, args, isNice);
  if (said.length > 0) console.log(said.join('\n'));
  const again =
    own.failed.length === 0
      ? []
      : (failedFiles(own.failed, globSync('{raft,store,control,node,cli,test}/**/*.test.ts').sort()) ?? []);
  if (again.length > 0) {
    console.log(`once more, alone: ${again.join(' ')}`);
    const second = await play(name, [...args.filter(arg => arg.startsWith('--timeout')), '--serial', ...again], isNice);
    if (second.said.length > 0) console.log(second.said.join('\n'));
    if (second.own.failed.length === 0) {
      unsteady.push(...own.failed);
      own.passed += own.failed.length;
      own.failed.length = 0;
    }
  }
  const skipped = own.skipped.length > 0 ? `, ${own.skipped.length} skipped` : '';
  const mark = own.failed.length === 0 ? '✔' : '✘';
  console.log(`${mark} ${name}: ${own.passed} passed, ${own.failed.length} failed${skipped} (${elapsed(since)})`);
  counts.passed += own.passed;
  counts.failed.push(...own.failed);
  counts.skipped.push(...own.skipped);
}

/** So many files at a time. One at a time, their tests run one by one too; ava's `--serial` would mean both anyway. */
function files(name: string, patterns: readonly string[], { concurrency = 1, isNice = false } = {}): Promise<void> {
  const pace = concurrency === 1 ? '--serial' : `--concurrency=${concurrency}`;
  return tests(name, [pace, '--timeout=10m', ...patterns], { isNice });
}

// Every test file has a process of its own, which loads the same modules again: they are compiled once.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'raftsman-test-compiled');

// Tables of cases are played in part otherwise.
if (isAll) {
  for (const name of ['RAFTSMAN_CLI_CASES', 'RAFTSMAN_POD_CASES']) process.env[name] ??= 'all';
}
const left = isAll ? [] : without(...LONG);

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
  const simulation = files('simulation', ['test/simulation/**/*.test.ts', 'test/control-simulation/**/*.test.ts'], {
    isNice: true,
  });
  await files('parity', ['test/parity/**/*.test.ts']);
  // Those that measure the start of a cluster, and look what it leaves behind on the machine.
  await files('e2e', ['test/e2e/**/*.test.ts', ...without(...PATIENT_E2E), ...left]);
  await files('pods', ['test/pods/**/*.test.ts']);
  await simulation;
  // These measure nothing, and stand still for minutes: until a node counts as dead, until etcdctl has put its load.
  await files('store', ['test/store/**/*.test.ts', PATIENT_CHAOS, ...PATIENT_E2E, ...left], { concurrency: 4 });
  const attacks = ['test/security/**/*.test.ts', 'test/fuzz/**/*.test.ts'];
  const demands = 'test/conformance/**/*.test.ts';
  await files('security, clients and conformance', [...attacks, ...SCRIPTS, demands, ...left], { concurrency: 3 });
  // How long clients wait for the next leader.
  await files('chaos', [
    'test/chaos/**/*.test.ts',
    'test/clients/**/*.test.ts',
    ...without(PATIENT_CHAOS, ...SCRIPTS),
    ...left,
  ]);
  await files('soak', ['test/soak/**/*.test.ts', ...left]);
}
if (only.length === 0 && !isAll) {
  console.log(`\nLeft to \`npm run test:all\`:\n${LONG.map(file => `  - ${file}`).join('\n')}`);
}
if (counts.skipped.length > 0) {
  console.log(`\nSkipped here, each with what it needs:\n${counts.skipped.map(title => `  - ${title}`).join('\n')}`);
}
if (unsteady.length > 0) {
  console.log(
    `\nUnsteady, failed beside others and passed alone:\n${unsteady.map(title => `  - ${title}`).join('\n')}`,
  );
}
if (unsteady.length > MAX_UNSTEADY) counts.failed.push(`more than ${MAX_UNSTEADY} tests were unsteady`);
if (counts.failed.length > 0) console.log(`\nFailed:\n${counts.failed.map(title => `  - ${title}`).join('\n')}`);
console.log(`\n(${elapsed(started)})`);
const skipped = counts.skipped.length > 0 ? `, ${counts.skipped.length} skipped` : '';
console.log(`${counts.passed} passed, ${counts.failed.length} failed${skipped}`);
process.exitCode = counts.failed.length > 0 || counts.passed === 0 ? 1 : 0;
