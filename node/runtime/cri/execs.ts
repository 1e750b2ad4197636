/** Exec and attach: sessions with a container's processes, through the runtime's streaming server. */
import { delay } from '../clock.ts';
import { runCommand } from '../command.ts';
import type { ExecRequest, ExecSession } from '../runtime.ts';
import { awaitSize, type Exec, killExec, processOf, ticksNow } from './exec-process.ts';
import { settlePollMs, settleTimeoutMs } from './limits.ts';
import { runtimeCalls } from './services.ts';
import { openSession, type TerminalSize } from './streaming.ts';
import { type CriTools, notFound, orNotFound } from './tools.ts';

const killedExitCode = 137;

export class CriExecs {
  readonly #tools: CriTools;

  constructor(tools: CriTools) {
    this.#tools = tools;
  }

  /** @throws {ContainerNotFoundError} */
  async exec(id: string, request: ExecRequest): Promise<ExecSession> {
    const { clock, connection } = this.#tools;
    const { command, tty, stdin } = request;
    const made: Exec = { initPid: await this.#runningPid(id), sinceTicks: await ticksNow(), command };
    const streams = { containerId: id, cmd: command, tty, stdin, stdout: true, stderr: !tty };
    const { url } = await orNotFound(id, connection.call(runtimeCalls.exec, streams));
    return await openSession({
      url,
      tty,
      stdin,
      resized: size => this.#resized(() => processOf(made), size),
      exitCode: () => Promise.resolve(0),
      kill: () => killExec(clock, made),
    });
  }

  /** @throws {ContainerNotFoundError} */
  async attach(id: string, request: Omit<ExecRequest, 'command'>): Promise<ExecSession> {
    const { connection } = this.#tools;
    const pid = await this.#runningPid(id);
    const { tty, stdin } = request;
    const streams = { containerId: id, tty, stdin, stdout: true, stderr: !tty };
    const { url } = await orNotFound(id, connection.call(runtimeCalls.attach, streams));
    return await openSession({
      url,
      tty,
      stdin,
      resized: size => this.#resized(() => Promise.resolve(pid), size),
      exitCode: () => this.#exitCodeOf(id),
      // The process is the container's: it lives on.
      kill: () => Promise.resolve(),
    });
  }

  async #runningPid(id: string): Promise<number> {
    const found = await this.#tools.inventory.container(id);
    if (found === undefined) throw notFound(id);
    if (found.status.state !== 'running') throw new Error(`container ${id} does not run: it is ${found.status.state}`);
    return found.status.pid;
  }

  async #resized(find: () => Promise<number | undefined>, size: TerminalSize): Promise<void> {
    const { clock, closing } = this.#tools;
    await awaitSize({ clock, run: runCommand, signal: closing }, find, size);
  }

  /** Waits a moment for the runtime to note the end. */
  async #exitCodeOf(id: string): Promise<number> {
    const { clock, inventory } = this.#tools;
    const deadline = clock.now() + settleTimeoutMs;
    for (;;) {
      const status = (await inventory.container(id))?.status;
      if (status === undefined) return killedExitCode;
      if (status.state === 'exited') return status.exitCode;
      // It closed its output and runs on.
      if (clock.now() >= deadline) return 0;
      await delay(clock, settlePollMs);
    }
  }
}
