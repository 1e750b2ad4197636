/** One running container as the supervisor sees it: a child process, its output into log and clients, its end on disk. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { delay } from '../../clock.ts';
import { systemEnvironment } from '../../command.ts';
import type { Cgroups } from '../cgroups.ts';
import type { ContainerRecord, Layout, SandboxRecord } from '../layout.ts';
import {
  attachBacklogBytesMax,
  logLineBytesMax,
  outputDrainMs,
  settlePollMs,
  setupDrainMs,
  startTimeoutMs,
} from '../limits.ts';
import { LogFile } from '../log-file.ts';
import { EntrySplitter, formatTime } from '../log-format.ts';
import { childrenOf, descendantsOf, processRecord } from '../proc.ts';
import { readyWord } from '../setup-program.ts';
import { quoteAll } from '../shell.ts';
import type { SupervisorClock } from './clock.ts';
import { frameOf } from './protocol.ts';

export interface ContainerContext {
  readonly layout: Layout;
  readonly cgroups: Cgroups;
  readonly clock: SupervisorClock;
  /** Of the supervisor. */
  readonly nonce: string;
  readonly changed: (podUid: string) => void;
}

const startFailedExitCode = 128;
/**
 * Starts the container's first process and waits for it. A shell, because it tells a death by signal as 128 + signal;
 * `unshare --fork` of util-linux 2.38 tells one by SIGKILL as 1. What the shell itself says of it is not the container's.
 */
const waitingShell = 'exec 5>&2 2>/dev/null; "$@" 2>&5 5>&-; exit $?';
/**
 * A terminal of the container's own: its instance of devpts stands in the place of the machine's before `script` opens one.
 * What these programs say goes to the supervisor.
 */
const terminalShell = [
  'set -e; exec 4>&2 2>&3',
  'mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5,nosuid,noexec devpts /dev/pts',
  'mount --bind /dev/pts/ptmx /dev/ptmx',
  'exec 2>&4 4>&-; exec script -qefc "exec $0" /dev/null',
].join('\n');
const signalExitBase = 128;
/** SIGRTMAX. */
const signalMax = 64;

export class SupervisedContainer {
  readonly #context: ContainerContext;
  readonly #record: ContainerRecord;
  readonly #sandbox: SandboxRecord;
  readonly #clients = new Set<Socket>();
  #child: ChildProcess | undefined;
  #startedAt = 0;

  constructor(context: ContainerContext, record: ContainerRecord, sandbox: SandboxRecord) {
    this.#context = context;
    this.#record = record;
    this.#sandbox = sandbox;
  }

  get podUid(): string {
    return this.#record.podUid;
  }

  /** Resolves when the command runs. Rejects with what was said instead. `ended` resolves when its end is on disk. */
  async start(): Promise<{ readonly ended: Promise<void> }> {
    const { clock, layout, nonce, changed } = this.#context;
    const { id, spec } = this.#record;
    const log = new LogFile(layout.logFile(id));
    this.#startedAt = clock.now();
    const child = this.#spawn();
    this.#child = child;
    const ended = this.#end(child, this.#capture(child, log)).finally(() => log.close());
    if (!spec.stdin) child.stdin?.end();
    child.stdin?.on('error', () => undefined);
    const said = await setupResult(child);
    if (said !== readyWord) throw await this.#failed(child, ended, said.trim());
    const init = await this.#init(child);
    try {
      if (init !== undefined) await layout.writeStarted(id, { supervisor: nonce, startedAt: this.#startedAt, init });
    } catch (error) {
      // Without that record it would be started a second time.
      throw await this.#failed(child, ended, `its start cannot be noted: ${String(error)}`);
    }
    changed(this.podUid);
    const finished = ended.then(() => this.#finish(exitOf(child)));
    // One that is over already is told as that, never as one that has yet to be started.
    if (init === undefined) await finished;
    return { ended: finished };
  }

  /** Ends what was started, and gives what was said as an error. */
  async #failed(child: ChildProcess, ended: Promise<void>, said: string): Promise<Error> {
    if (child.pid !== undefined) for (const pid of await descendantsOf(child.pid)) this.#context.clock.kill(pid);
    child.kill('SIGKILL');
    await ended;
    const how = child.signalCode ?? `exit code ${child.exitCode}`;
    const message = said || `the container could not be set up: its first process ended with ${how}`;
    await this.#finish({ exitCode: child.exitCode ?? startFailedExitCode, message });
    return new Error(message);
  }

  /**
   * Resolves when the first process has ended and all output is in the log. Without a process namespace of its own a
   * container may leave processes behind that hold its output: they end with it, as with every runtime.
   */
  async #end(child: ChildProcess, drained: Promise<void>): Promise<void> {
    const closed = new Promise<void>(resolve => child.once('close', () => resolve()));
    await Promise.race([new Promise<void>(resolve => child.once('exit', () => resolve())), closed]);
    await this.#endStragglers();
    const inTime = new AbortController();
    const late = delay(this.#context.clock, outputDrainMs, inTime.signal).then(() => {
      // Somebody of another container, or of the machine, got hold of it.
      for (const stream of child.stdio) stream?.destroy();
    });
    await Promise.all([closed, drained]);
    inTime.abort();
    await late;
  }

  /** Output from now on, and input if wanted; ends with the container. */
  attach(client: Socket, stdin: boolean): void {
    this.#clients.add(client);
    client.once('close', () => this.#clients.delete(client));
    if (!stdin) return;
    const input = this.#child?.stdin;
    client.on('data', (chunk: Buffer) => {
      if (input?.writable !== true || input.write(chunk)) return;
      client.pause();
      input.once('drain', () => client.resume());
    });
    client.once('end', () => {
      if (this.#record.spec.stdinOnce) input?.end();
    });
  }

  #spawn(): ChildProcess {
    const { hostPid, shareProcessNamespace, holder } = this.#sandbox;
    const namespaces = ['net', 'ipc', 'uts', ...(shareProcessNamespace && !hostPid ? ['pid'] : [])];
    const ownPid = !hostPid && !shareProcessNamespace;
    const program = this.#context.layout.programFile(this.#record.id);
    // `script` counts every process that it has to collect as its own, so it must not be the one that collects orphans: it stays
    // outside of the container's processes.
    const alone = ownPid ? ['unshare', '--pid', '--', 'sh', '-c', waitingShell, 'sh', program] : [program];
    const { tty } = this.#record.spec;
    const words = tty ? ['sh', '-c', terminalShell, quoteAll(alone)] : [program];
    const enter = namespaces.map(name => `--${name}=/proc/${holder.pid}/ns/${name}`);
    // `slave`: what the machine mounts later shows inside, nothing goes the other way.
    const unshare = ['--mount', '--propagation', 'slave', ...(ownPid && !tty ? ['--pid'] : [])];
    return spawn('nsenter', [...enter, '--', 'unshare', ...unshare, '--', 'sh', '-c', waitingShell, 'sh', ...words], {
      // A session of its own: a signal to the supervisor's terminal must not reach it.
      detached: true,
      env: systemEnvironment,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    });
  }

  /** Resolves when both streams have ended and all is in the log. */
  async #capture(child: ChildProcess, log: LogFile): Promise<void> {
    const streams = [
      ['stdout', child.stdout],
      ['stderr', child.stderr],
    ] as const;
    await Promise.all(
      streams.map(async ([name, stream]) => {
        if (stream === null) return;
        const splitter = new EntrySplitter(name, logLineBytesMax);
        stream.on('data', (chunk: Buffer) => {
          log.append(splitter.push(chunk, formatTime(this.#context.clock.nanoseconds())));
          this.#send(frameOf(name, chunk));
        });
        await new Promise<void>(resolve => stream.once('close', () => resolve()));
        log.append(splitter.flush(formatTime(this.#context.clock.nanoseconds())));
      }),
    );
  }

  #send(frame: Buffer): void {
    for (const client of this.#clients) {
      client.write(frame);
      // Output must not wait for a client that does not read.
      if (client.writableLength > attachBacklogBytesMax) client.destroy();
    }
  }

  /** The first process inside, as the machine numbers it; undefined if it has ended already. */
  async #init(child: ChildProcess): Promise<Awaited<ReturnType<typeof processRecord>>> {
    if (child.pid === undefined) return undefined;
    let pid: number | undefined = child.pid;
    const { hostPid, shareProcessNamespace } = this.#sandbox;
    // Sharing a process namespace puts a forked nsenter in between; a terminal `script`, and a shell that waits where the container
    // has a process namespace of its own.
    const terminal = this.#record.spec.tty ? 1 + (hostPid || shareProcessNamespace ? 0 : 1) : 0;
    const depth = 1 + (shareProcessNamespace && !hostPid ? 1 : 0) + terminal;
    for (let step = 0; step < depth && pid !== undefined; step += 1) [pid] = await childrenOf(pid);
    return pid === undefined ? undefined : await processRecord(pid);
  }

  async #finish(exit: { exitCode: number; signal?: number; message?: string }): Promise<void> {
    const { cgroups, clock, layout, changed } = this.#context;
    const { id } = this.#record;
    const oomKilled = exit.message === undefined && (await cgroups.oomKilled(id));
    await layout.writeExit(id, { ...exit, oomKilled, startedAt: this.#startedAt, finishedAt: clock.now() });
    for (const client of this.#clients) client.end();
    changed(this.podUid);
  }

  async #endStragglers(): Promise<void> {
    const { cgroups, clock } = this.#context;
    const deadline = clock.now() + startTimeoutMs;
    for (;;) {
      const pids = await cgroups.processes(this.#record.id);
      if (pids.length === 0 || clock.now() > deadline) return;
      for (const pid of pids) clock.kill(pid);
      await delay(clock, settlePollMs);
    }
  }
}

/**
 * What came on descriptor 3, until it says that the command takes over or the script has ended. It stays open after
 * that: the programs that wait for the command hold it too.
 */
async function setupResult(child: ChildProcess): Promise<string> {
  const pipe = child.stdio[3];
  if (pipe === null || pipe === undefined || !('on' in pipe)) throw new Error('the child has no descriptor 3');
  const settled = Promise.withResolvers<string>();
  let said = Buffer.alloc(0);
  pipe.on('data', (chunk: Buffer) => {
    said = Buffer.concat([said, chunk]);
    if (said.toString().endsWith(readyWord)) settled.resolve(readyWord);
  });
  pipe.once('close', () => settled.resolve(explained(said)));
  // What it said last may be read only after its end is known, and others may hold the descriptor for longer.
  child.once('exit', () =>
    AbortSignal.timeout(setupDrainMs).addEventListener('abort', () => settled.resolve(explained(said))),
  );
  child.once('error', error => settled.resolve(error.message));
  const late = AbortSignal.timeout(startTimeoutMs);
  late.addEventListener('abort', () =>
    settled.resolve(`setting up took longer than ${startTimeoutMs} ms: ${explained(said)}`),
  );
  return await settled.promise;
}

/** A program of system calls says what failed, a zero, and the number of the error as eight bytes. */
function explained(said: Buffer): string {
  const end = said.indexOf(0);
  if (end === -1 || said.length < end + 9) return said.toString();
  const number = Number(said.readBigInt64LE(end + 1));
  const [, description = `error ${-number}`] = getSystemErrorMap().get(number) ?? [];
  return `${said.subarray(0, end).toString()}: ${description}`;
}

function exitOf(child: ChildProcess): { exitCode: number; signal?: number } {
  if (child.signalCode === null) {
    const exitCode = child.exitCode ?? startFailedExitCode;
    const signal = exitCode - signalExitBase;
    // A shell in between tells a signal as such a code.
    return signal > 0 && signal <= signalMax ? { exitCode, signal } : { exitCode };
  }
  const signal = constants.signals[child.signalCode];
  return { exitCode: signalExitBase + signal, signal };
}
