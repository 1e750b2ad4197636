/** One running container as the supervisor sees it: a child process, its output into log and clients, its end on disk. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import path from 'node:path';
import { delay } from '../../clock.ts';
import { systemEnvironment } from '../../command.ts';
import type { Cgroups } from '../cgroups.ts';
import type { ContainerRecord, Layout, SandboxRecord } from '../layout.ts';
import { attachBacklogBytesMax, logLineBytesMax, settlePollMs, startTimeoutMs } from '../limits.ts';
import { LogFile } from '../log-file.ts';
import { EntrySplitter, formatTime } from '../log-format.ts';
import { childrenOf, descendantsOf, processRecord } from '../proc.ts';
import { readyWord } from '../setup-script.ts';
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
const waitingShell = 'exec 5>&2 2>/dev/null; sh "$0" 2>&5 5>&-; exit $?';
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
    const closed = once(child, 'close');
    const drained = this.#capture(child, log);
    if (!spec.stdin) child.stdin?.end();
    child.stdin?.on('error', () => undefined);
    const said = await setupResult(child);
    if (said !== readyWord) {
      if (child.pid !== undefined) for (const pid of await descendantsOf(child.pid)) clock.kill(pid);
      child.kill('SIGKILL');
      await closed;
      log.close();
      const message = said.trim() || 'the container could not be set up';
      await this.#finish({ exitCode: child.exitCode ?? startFailedExitCode, message });
      throw new Error(message);
    }
    const init = await this.#init(child);
    if (init !== undefined) await layout.writeStarted(id, { supervisor: nonce, startedAt: this.#startedAt, init });
    changed(this.podUid);
    const ended = Promise.all([closed, drained]).then(async () => {
      log.close();
      await this.#finish(exitOf(child));
    });
    return { ended };
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
    const script = path.join(this.#context.layout.containerDir(this.#record.id), 'setup.sh');
    const enter = namespaces.map(name => `--${name}=/proc/${holder.pid}/ns/${name}`);
    // `slave`: what the machine mounts later shows inside, nothing goes the other way.
    const unshare = ['--mount', '--propagation', 'slave', ...(ownPid ? ['--pid'] : [])];
    return spawn('nsenter', [...enter, '--', 'unshare', ...unshare, '--', 'sh', '-c', waitingShell, script], {
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
        await once(stream, 'close');
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
    // Sharing a process namespace puts a forked nsenter in between.
    let pid: number | undefined = child.pid;
    const depth = this.#sandbox.shareProcessNamespace && !this.#sandbox.hostPid ? 2 : 1;
    for (let step = 0; step < depth && pid !== undefined; step += 1) [pid] = await childrenOf(pid);
    return pid === undefined ? undefined : await processRecord(pid);
  }

  async #finish(exit: { exitCode: number; signal?: number; message?: string }): Promise<void> {
    const { cgroups, clock, layout, changed } = this.#context;
    const { id } = this.#record;
    const oomKilled = exit.message === undefined && (await cgroups.oomKilled(id));
    await this.#endStragglers();
    await layout.writeExit(id, { ...exit, oomKilled, startedAt: this.#startedAt, finishedAt: clock.now() });
    for (const client of this.#clients) client.end();
    changed(this.podUid);
  }

  /** Without a process namespace of its own a container may leave processes behind. */
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
  let text = '';
  pipe.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    if (text.endsWith(readyWord)) settled.resolve(readyWord);
  });
  pipe.once('close', () => settled.resolve(text));
  child.once('error', error => settled.resolve(error.message));
  const late = AbortSignal.timeout(startTimeoutMs);
  late.addEventListener('abort', () => settled.resolve(`setting up took longer than ${startTimeoutMs} ms: ${text}`));
  return await settled.promise;
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
