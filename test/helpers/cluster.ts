/** A real cluster for a test: `raftsman up` on free ports in a folder of its own, stopped and removed at the end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HopelessError, mustRun, type RunOptions, type RunResult, run, until } from './run.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
/** The built program, run by the Node that runs the tests. */
export const raftsmanCommand: readonly [string, string] = [process.execPath, join(root, 'dist/cli/main.js')];

export interface ClusterOptions {
  readonly masters?: number;
  readonly nodes?: number;
  readonly runtime?: 'docker' | 'cri' | 'native' | 'fake';
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** A command that `raftsman up` is started through; it has to give way to it (`exec`). */
  readonly through?: readonly string[];
}

export class TestCluster {
  readonly directory: string;
  readonly port: number;
  readonly #options: ClusterOptions;
  #child: ChildProcess | undefined;
  output = '';

  constructor(directory: string, port: number, options: ClusterOptions) {
    this.directory = directory;
    this.port = port;
    this.#options = options;
  }

  get kubeconfig(): string {
    return join(this.directory, 'kubeconfig');
  }
  get env(): NodeJS.ProcessEnv {
    return { ...process.env, ...this.#options.env, KUBECONFIG: this.kubeconfig };
  }

  /** Starts `raftsman up` and waits until it says that the cluster is up. Resolves with the time it took. */
  async start(timeoutMs = 120_000): Promise<number> {
    const startedAt = performance.now();
    const { masters = 3, nodes = 2, runtime = 'fake', args = [], through = [] } = this.#options;
    const [program = '', ...leading] = [...through, ...raftsmanCommand];
    const child = spawn(
      program,
      [
        ...leading,
        'up',
        '--data-dir',
        this.directory,
        '--port',
        String(this.port),
        '--masters',
        String(masters),
        '--nodes',
        String(nodes),
        '--runtime',
        runtime,
        ...args,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...this.#options.env } },
    );
    this.#child = child;
    const from = this.output.length;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', data => {
        this.output += String(data);
      });
    }
    let ended: number | null | undefined;
    child.once('exit', code => {
      ended = code;
    });
    await until(
      'the cluster',
      () => {
        if (ended !== undefined) throw new HopelessError(`raftsman up ended with ${ended}:\n${this.output}`);
        return this.output.slice(from).includes('The cluster is up');
      },
      timeoutMs,
    );
    return performance.now() - startedAt;
  }

  /** Stops it as Ctrl-C does and waits for the end. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGINT');
    await ended;
    this.#child = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async pidOf(name: string): Promise<number> {
    return Number.parseInt(await readFile(join(this.directory, name, 'pid'), 'utf8'), 10);
  }

  /** Command lines of processes that name the cluster's folder. */
  async processes(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const pid of await readdir('/proc')) {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
      const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (text.includes(this.directory)) found.push(text.replaceAll('\0', ' '));
    }
    return found;
  }

  /** Runs the product's own CLI against this cluster. */
  raftsman(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const [program, main] = raftsmanCommand;
    return run(program, [main, ...args], { env: this.env, ...options });
  }

  kubectl(kubectl: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    return mustRun(kubectl, args, { env: this.env, ...options });
  }
}

/** A cluster that is not started yet. */
export async function newCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'raftsman-test-'));
  return new TestCluster(directory, await freePortRange(), options);
}

/** As far as the ports of one cluster reach. */
const RANGE = 60;
const LOWEST = 20_000;
const HIGHEST = 29_000;

/**
 * Test files that run side by side look for ports at the same moment, when nothing listens yet on what the other took. So the
 * last port of a range is listened on from here to the end of the process: only one can.
 */
async function freePortRange(): Promise<number> {
  for (let port = LOWEST + (process.pid % 100) * RANGE; port < HIGHEST; port += RANGE) {
    if (!(await claim(port + RANGE - 1))) continue;
    const free = await Promise.all(
      [port, port + 1, port + 2, port + 3, port + 21, port + 22, port + 23, port + 41, port + 42].map(isFree),
    );
    if (free.every(Boolean)) return port;
  }
  throw new Error('no free range of ports');
}
function claim(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer().unref();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => resolve(true));
  });
}
function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });
}
