/**
 * Runs the processes of a local cluster: starts each with its own log and pid file, starts one again that died, stops
 * all in order. It knows nothing of what they do.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** One process to run. */
export interface ProcessSpec {
  readonly name: string;
  /** Arguments after the program: `['server', '--name', …]`. */
  readonly args: readonly string[];
  /** Instead of the supervisor's. */
  readonly command?: readonly [string, ...string[]];
  readonly pidFile: string;
  readonly logFile: string;
}
export interface SupervisorOptions {
  /** The program and its leading arguments. */
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  /** Sentences for the operator. */
  readonly say: (line: string) => void;
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
  /** How long a process that died stays away; doubled each time that it dies early again. */
  readonly restartDelayMs: number;
}

/** A process that died is started again after this: long enough to see that it died, short enough not to matter. */
export const RESTART_DELAY_MS = 5_000;
const RESTART_DELAY_MS_MAX = 60_000;
/** A process that ran this long is taken to be well again. */
const HEALTHY_AFTER_MS = 10_000;
/** After this a process that will not stop is killed. */
const STOP_TIMEOUT_MS = 45_000;

/** Exit code of a process that must not be started again (its data is not its own any more, or a flag is wrong). */
export const EXIT_DO_NOT_RESTART = 3;

interface Running {
  readonly spec: ProcessSpec;
  readonly child: ChildProcess;
  readonly exited: Promise<string>;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #running = new Map<string, Running>();
  readonly #stopping = new AbortController();

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Starts a process and keeps it running until `stop`. Resolves once it has been spawned. */
  async start(spec: ProcessSpec): Promise<void> {
    await this.#spawn(spec, this.#options.restartDelayMs);
  }

  /** True while the process is there. */
  isRunning(name: string): boolean {
    return this.#running.has(name);
  }

  /** Resolves with how a process ended ("was killed by SIGKILL"), when it does. */
  exitOf(name: string): Promise<string> {
    return this.#running.get(name)?.exited ?? Promise.resolve('is not running');
  }

  /** Ends the processes with these names, side by side, and waits for them. Nothing is started again from now on. */
  async stop(names: readonly string[], signal: NodeJS.Signals): Promise<void> {
    this.#stopping.abort();
    await Promise.all(names.map(name => this.#stopOne(name, signal)));
  }

  async #stopOne(name: string, signal: NodeJS.Signals): Promise<void> {
    const running = this.#running.get(name);
    if (!running) return;
    running.child.kill(signal);
    const giveUp = new AbortController();
    const late = this.#options
      .delay(STOP_TIMEOUT_MS, giveUp.signal)
      .then(() => {
        this.#options.say(`${name} did not stop within ${STOP_TIMEOUT_MS / 1000} s and is killed`);
        running.child.kill('SIGKILL');
      })
      .catch(() => {});
    await running.exited;
    giveUp.abort();
    await late;
  }

  async #spawn(spec: ProcessSpec, nextDelayMs: number): Promise<void> {
    await mkdir(dirname(spec.logFile), { recursive: true });
    const log = openSync(spec.logFile, 'a');
    const [program, ...leading] = spec.command ?? this.#options.command;
    const startedAt = performance.now();
    // In a group of its own: a terminal sends Ctrl-C to all of its group, and an agent that is told so leaves its pods running.
    const child = spawn(program, [...leading, ...spec.args], {
      stdio: ['ignore', log, log],
      env: this.#options.env,
      detached: true,
    });
    closeSync(log);
    const exited = new Promise<{ text: string; code: number | null }>(resolve => {
      child.once('error', error => resolve({ text: `could not be started: ${error.message}`, code: null }));
      child.once('exit', (code, signal) =>
        resolve({ text: signal ? `was killed by ${signal}` : `ended with exit code ${code}`, code }),
      );
    });
    this.#running.set(spec.name, { spec, child, exited: exited.then(({ text }) => text) });
    if (child.pid !== undefined) await writeFile(spec.pidFile, `${child.pid}\n`);
    void exited.then(({ text, code }) => {
      // Only a process that fails by itself is given more and more time; one that was killed is not to blame.
      const isWell = code === null || performance.now() - startedAt > HEALTHY_AFTER_MS;
      const delayMs = isWell ? this.#options.restartDelayMs : nextDelayMs;
      return this.#afterExit(spec, { text, code, pid: child.pid, delayMs });
    });
  }

  async #afterExit(
    spec: ProcessSpec,
    {
      text,
      code,
      pid,
      delayMs,
    }: {
      readonly text: string;
      readonly code: number | null;
      readonly pid: number | undefined;
      readonly delayMs: number;
    },
  ): Promise<void> {
    this.#running.delete(spec.name);
    const stopping = this.#stopping.signal;
    if (pid !== undefined && (await readPid(spec.pidFile)) === pid) await rm(spec.pidFile, { force: true });
    if (stopping.aborted) return;
    if (code === EXIT_DO_NOT_RESTART) {
      this.#options.say(`${spec.name} ${text} and is not started again; see ${spec.logFile}`);
      return;
    }
    this.#options.say(`${spec.name} ${text}; it is started again in ${delayMs / 1000} s (log: ${spec.logFile})`);
    try {
      await this.#options.delay(delayMs, stopping);
    } catch {
      return;
    }
    const other = await readPid(spec.pidFile);
    if (other !== undefined && isAlive(other)) {
      this.#options.say(`${spec.name} runs already as process ${other}, which was started by somebody else`);
      return;
    }
    await this.#spawn(spec, Math.min(delayMs * 2, RESTART_DELAY_MS_MAX));
  }
}

/** Reads a pid file; undefined where there is none or it is damaged. */
export async function readPid(path: string): Promise<number | undefined> {
  try {
    const pid = Number.parseInt(await readFile(path, 'utf8'), 10);
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** True if a process with this id is there and not a zombie. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Sends a signal; one that has ended meanwhile is as good as told. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
