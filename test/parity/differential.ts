/**
 * Plays command lines with kubectl and with the program's own command line side by side against one server, each in a
 * namespace of its own, and tells where they print differently or end with another code.
 *
 *   KUBECONFIG=… KUBECTL=/path/to/kubectl OWN=/path/to/own/kubectl node test/parity/differential.ts [TABLE | TABLE:WORD …]
 *
 * A table is a text file under `differential/`. Lines that start with "$ " are commands, run by bash with `kubectl` on the PATH,
 * `$NAMESPACE` as the default namespace, in a folder that lasts for the table. "<<<" … ">>>" after a command is its standard
 * input. "# ignore" before one: it prepares something, and is not compared. "# eventually": it is repeated for a while until
 * both print the same. "# differs: REASON": it is known to differ. All other lines that start with "#" are remarks.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const tablesFolder = join(dirname(fileURLToPath(import.meta.url)), 'differential');
const STEP_TIMEOUT_MS = 60_000;
const EVENTUALLY_MS = 15_000;

interface Step {
  readonly command: string;
  readonly input: string;
  readonly isIgnored: boolean;
  readonly isEventual: boolean;
  readonly differs: string | undefined;
}

interface Printed {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

export interface Difference {
  readonly command: string;
  readonly kubectl: string;
  readonly own: string;
}

export interface TableResult {
  readonly comparedCount: number;
  readonly differences: readonly Difference[];
  /** Commands that are known to differ, and do no longer. */
  readonly mended: readonly string[];
}

interface Programs {
  readonly kubeconfig: string;
  readonly kubectl: string;
  readonly own: string;
}

/** The names of all tables. */
export async function tableNames(): Promise<readonly string[]> {
  return (await readdir(tablesFolder)).filter(name => name.endsWith('.txt')).map(name => basename(name, '.txt'));
}

export function parseTable(text: string): readonly Step[] {
  const steps: { command: string; input: string; notes: string[] }[] = [];
  let notes: string[] = [];
  let isInput = false;
  for (const line of text.split('\n')) {
    const last = steps.at(-1);
    if (isInput && last) {
      if (line === '>>>') isInput = false;
      else last.input += `${line}\n`;
    } else if (line === '<<<') isInput = true;
    else if (line.startsWith('# ')) notes.push(line.slice(2));
    else if (line.startsWith('$ ')) {
      steps.push({ command: line.slice(2), input: '', notes });
      notes = [];
    }
  }
  return steps.map(step => ({
    command: step.command,
    input: step.input,
    isIgnored: step.notes.includes('ignore'),
    isEventual: step.notes.includes('eventually'),
    differs: step.notes.find(note => note.startsWith('differs: ')),
  }));
}

/** One program with its namespace and folder. */
class Side {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #folders: readonly string[];
  readonly namespace: string;

  private constructor(environment: NodeJS.ProcessEnv, folders: readonly string[], namespace: string) {
    this.#environment = environment;
    this.#folders = folders;
    this.namespace = namespace;
  }

  static async open({
    program,
    kubeconfig,
    namespace,
  }: {
    readonly program: string;
    readonly kubeconfig: string;
    readonly namespace: string;
  }): Promise<Side> {
    const home = await mkdtemp(join(tmpdir(), 'differential-'));
    const programs = await mkdtemp(join(tmpdir(), 'differential-bin-'));
    await mkdir(join(home, '.kube'));
    await symlink(program, join(programs, 'kubectl'));
    await writeFile(join(home, '.kube/config'), await readFile(kubeconfig));
    const { PATH = '' } = process.env;
    const environment = { PATH: `${programs}:${PATH}`, HOME: home, NAMESPACE: namespace, TZ: 'UTC', LC_ALL: 'C.UTF-8' };
    const side = new Side(environment, [home, programs], namespace);
    await side.run(`kubectl delete namespace ${namespace} --ignore-not-found --timeout=50s`, '');
    await side.run(
      `kubectl create namespace ${namespace} && kubectl config set-context --current --namespace=${namespace}
       for try in 1 2 3 4 5 6 7 8; do kubectl get sa/default cm/kube-root-ca.crt && break; sleep 0.3; done`,
      '',
    );
    return side;
  }

  run(command: string, input: string): Promise<Printed> {
    return new Promise(resolve => {
      const child = spawn('bash', ['-c', `set -o pipefail\n${command}`], {
        env: this.#environment,
        cwd: this.#environment.HOME,
        detached: true,
      });
      const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'), STEP_TIMEOUT_MS);
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', data => {
        stdout += String(data);
      });
      child.stderr.on('data', data => {
        stderr += String(data);
      });
      child.stdin.on('error', () => {});
      child.stdin.end(input);
      child.on('close', code => {
        clearTimeout(timer);
        resolve({ stdout, stderr, code: code ?? 137 });
      });
    });
  }

  /** What it printed, without what may not be the same. */
  async play({ command, input }: Step): Promise<string> {
    const { stdout, stderr, code } = await this.run(command, input);
    const told = stderr === '' ? '' : `[stderr]\n${stderr}`;
    const text = `${stdout}${told}${code === 0 ? '' : `[exit ${code}]\n`}`;
    return folded(text.replaceAll(this.namespace, '<namespace>').replaceAll(this.#environment.HOME ?? '', '<home>'));
  }

  async close(): Promise<void> {
    await this.run(`kubectl delete namespace ${this.namespace} --ignore-not-found --wait=false`, '');
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true });
  }
}

const RANDOM = 'bcdfghjklmnpqrstvwxz2456789';
const FOLDS: readonly (readonly [RegExp, string])[] = [
  [/\beyJ[\w-]{10,}\.[\w-]+\.[\w-]+/g, '<token>'],
  [/\b[IEW]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w.]+:\d+\]/g, '<log>'],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC)/g, '<time>'],
  [/(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g, '<date>'],
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uid>'],
  [/("?resourceVersion"?:\s*"?|Resource Version:\s+)\d+/g, '$1<rv>'],
  [/\b(10|127)(\.\d{1,3}){3}\b(?!\/\d)/g, '<ip>'],
  [new RegExp(`-[${RANDOM}]{7,10}-[${RANDOM}]{5}\\b`, 'g'), '-<hash>-<random>'],
  [new RegExp(`(?<=[a-z0-9])-[${RANDOM}]{5}\\b`, 'g'), '-<random>'],
  [/\.[0-9a-f]{16}\b/g, '.<random>'],
  [/\bfake:\/\/[0-9a-f]{64}\b/g, 'fake://<container>'],
  [/\(0x[0-9a-f]{6,}\)/g, '(<pointer>)'],
  [/\b3[0-2]\d{3}\b/g, '<nodeport>'],
  [/differential-\w{6}\b/g, '<folder>'],
  [/\b(?:(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+m?s|\d+[dhm])\b(?! timeout)/g, '<age>'],
  [/\(x\d+ over <age>\)/g, '(<age>)'],
];

function folded(text: string): string {
  let result = text;
  for (const [pattern, placeholder] of FOLDS) result = result.replace(pattern, placeholder);
  return result
    .split('\n')
    .map(line => line.replace(/(?<=\S)[ \t]+/g, ' ').trimEnd())
    .join('\n');
}

/** Plays one table; `word` leaves out the comparisons of commands that do not hold it. */
export async function playTable(name: string, programs: Programs, word = ''): Promise<TableResult> {
  const steps = parseTable(await readFile(join(tablesFolder, `${name}.txt`), 'utf8'));
  const { kubeconfig } = programs;
  const [kubectl, own] = await Promise.all([
    Side.open({ program: programs.kubectl, kubeconfig, namespace: `same-${name}-a` }),
    Side.open({ program: programs.own, kubeconfig, namespace: `same-${name}-b` }),
  ]);
  const differences: Difference[] = [];
  const mended: string[] = [];
  let comparedCount = 0;
  try {
    for (const step of steps) {
      if (!step.isIgnored && !step.command.includes(word)) continue;
      const both = () => Promise.all([kubectl.play(step), own.play(step)]);
      const deadline = performance.now() + EVENTUALLY_MS;
      let printed = await both();
      while (step.isEventual && printed[0] !== printed[1] && performance.now() < deadline) printed = await both();
      if (step.isIgnored) continue;
      comparedCount++;
      const isSame = printed[0] === printed[1];
      if (isSame && step.differs) mended.push(step.command);
      if (!isSame && !step.differs) differences.push({ command: step.command, kubectl: printed[0], own: printed[1] });
    }
  } finally {
    await Promise.all([kubectl.close(), own.close()]);
  }
  return { comparedCount, differences, mended };
}

/** The lines that differ, without those that both texts begin and end with. */
export function describeDifference({ command, kubectl, own }: Difference): string {
  const [a, b] = [kubectl.split('\n'), own.split('\n')];
  while (a.length && b.length && a[0] === b[0]) {
    a.shift();
    b.shift();
  }
  while (a.length && b.length && a.at(-1) === b.at(-1)) {
    a.pop();
    b.pop();
  }
  return [`$ ${command}`, ...a.map(line => `- ${line}`), ...b.map(line => `+ ${line}`)].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { KUBECONFIG: kubeconfig = '', KUBECTL: kubectl = 'kubectl', OWN: own = '' } = process.env;
  const chosen = process.argv.length > 2 ? process.argv.slice(2) : await tableNames();
  for (const each of chosen) {
    const [name = '', word] = each.split(':');
    const { comparedCount, differences, mended } = await playTable(name, { kubeconfig, kubectl, own }, word);
    for (const difference of differences) process.stdout.write(`${describeDifference(difference)}\n`);
    for (const command of mended) process.stdout.write(`no longer differs: ${command}\n`);
    process.stdout.write(`${name}: ${comparedCount - differences.length}/${comparedCount}\n`);
  }
}
