/** The agent's side of the supervisor: finds it, starts it, asks it. */
import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Clock, delay } from '../clock.ts';
import { systemEnvironment } from '../command.ts';
import { thisNode } from '../processes.ts';
import { RuntimeUnavailableError } from '../runtime.ts';
import {
  requestBytesMax,
  settlePollMs,
  supervisorAnswerTimeoutMs,
  supervisorHeapMegabytes,
  supervisorStartTimeoutMs,
} from './limits.ts';
import { type Answer, answerSchema, type Request } from './supervisor/protocol.ts';

/** The supervisor said no. */
export class SupervisorRefusedError extends Error {
  override readonly name = 'SupervisorRefusedError';
  readonly code = 'RUNTIME_SUPERVISOR_REFUSED';
}

/** It ended, or hung up, before it had answered. */
class SupervisorGoneError extends Error {
  override readonly name = 'SupervisorGoneError';
  readonly code = 'RUNTIME_SUPERVISOR_GONE';
}
/** What says that nobody is there; anything else, such as a lack of descriptors, says nothing about that. */
const goneCodes: readonly unknown[] = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'RUNTIME_SUPERVISOR_GONE'];

export class SupervisorClient {
  readonly #socketPath: string;
  readonly #dataDir: string;
  readonly #clock: Clock;
  #starting: Promise<string> | undefined;

  constructor(options: { readonly dataDir: string; readonly socketPath: string; readonly clock: Clock }) {
    this.#dataDir = options.dataDir;
    this.#socketPath = options.socketPath;
    this.#clock = options.clock;
  }

  /** Which supervisor runs; undefined if none does. Throws if that cannot be told. */
  async current(): Promise<string | undefined> {
    try {
      return await this.ask({ ask: 'hello' });
    } catch (error) {
      if (error instanceof Error && 'code' in error && goneCodes.includes(error.code)) return undefined;
      throw error;
    }
  }

  /** Starts one unless one runs. It outlives this process. */
  ensure(): Promise<string> {
    this.#starting ??= this.#ensure().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  async #ensure(): Promise<string> {
    const running = await this.current();
    if (running !== undefined) return running;
    // Beside this file: TypeScript in a clone, JavaScript in the package.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const program = fileURLToPath(new URL(`./supervisor/main.${extension}`, import.meta.url));
    const args = [`--max-old-space-size=${supervisorHeapMegabytes}`, program, this.#dataDir];
    const child = spawn(thisNode(), args, { detached: true, stdio: 'ignore', env: systemEnvironment });
    child.on('error', () => undefined);
    child.unref();
    const deadline = this.#clock.now() + supervisorStartTimeoutMs;
    while (this.#clock.now() < deadline) {
      const answer = await this.current();
      if (answer !== undefined) return answer;
      await delay(this.#clock, settlePollMs);
    }
    throw new RuntimeUnavailableError(`the supervisor of native containers does not start (${program})`);
  }

  /** One answer. Throws {@link SupervisorRefusedError}, or the system's error if nobody is there. */
  async ask(request: Request): Promise<string> {
    const { socket, supervisor } = await this.open(request);
    socket.destroy();
    return supervisor;
  }

  /** The connection behind the answer, paused. */
  async open(request: Request): Promise<{ readonly socket: Socket; readonly supervisor: string }> {
    const socket = connect({ path: this.#socketPath, allowHalfOpen: true });
    try {
      const answer = await firstLine(socket, `${JSON.stringify(request)}\n`);
      if (answer.result === 'failed') throw new SupervisorRefusedError(answer.message);
      return { socket, supervisor: answer.supervisor };
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }
}

/** Throws {@link SupervisorGoneError}, the system's error, or what is wrong with the answer. */
function firstLine(socket: Socket, request: string): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  let text = '';
  const hungUp = () => reject(new SupervisorGoneError('the supervisor hung up'));
  const silent = () => reject(new Error(`the supervisor has not answered for ${supervisorAnswerTimeoutMs} ms`));
  const read = (chunk: Buffer) => {
    text += chunk.toString('latin1');
    const end = text.indexOf('\n');
    if (end === -1) {
      if (text.length > requestBytesMax) reject(new Error('the supervisor answers without an end'));
      return;
    }
    socket.off('data', read);
    socket.off('error', reject);
    socket.off('close', hungUp);
    socket.off('end', hungUp);
    socket.setTimeout(0, silent);
    socket.on('error', () => socket.destroy());
    socket.pause();
    const rest = Buffer.from(text.slice(end + 1), 'latin1');
    if (rest.length > 0) socket.unshift(rest);
    try {
      // Messages may hold more than ASCII.
      resolve(answerSchema.parse(JSON.parse(Buffer.from(text.slice(0, end), 'latin1').toString())));
    } catch (error) {
      reject(error);
    }
  };
  socket.on('data', read);
  socket.once('error', reject);
  socket.once('close', hungUp);
  // Half open as it is, the connection to one that died does not close by itself.
  socket.once('end', hungUp);
  socket.setTimeout(supervisorAnswerTimeoutMs, silent);
  socket.write(request);
  return promise;
}
