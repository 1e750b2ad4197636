/**
 * The process that stands between containers and agents: parent of all containers of one node, reader of their output,
 * witness of their end. One for a node, so that a container costs no process of Node's size; it outlives the agent, so
 * that an agent's restart disturbs no container. It decides nothing. Without containers and without anybody who listens it
 * ends by itself: an agent that comes starts another.
 */
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { delay } from '../../clock.ts';
import { Cgroups } from '../cgroups.ts';
import type { Layout } from '../layout.ts';
import { requestBytesMax, supervisorIdleMs } from '../limits.ts';
import type { SupervisorClock } from './clock.ts';
import { SupervisedContainer } from './container.ts';
import { type Answer, type Request, requestSchema } from './protocol.ts';

export class Supervisor {
  readonly #layout: Layout;
  readonly #clock: SupervisorClock;
  readonly #nonce: string;
  readonly #cgroups: Cgroups;
  readonly #containers = new Map<string, SupervisedContainer>();
  readonly #listeners = new Set<Socket>();
  readonly #server: Server;
  readonly #left = Promise.withResolvers<void>();
  /** Aborted when somebody needs it again. */
  #idling = new AbortController();

  private constructor(layout: Layout, clock: SupervisorClock, cgroups: Cgroups, nonce: string) {
    this.#layout = layout;
    this.#clock = clock;
    this.#cgroups = cgroups;
    this.#nonce = nonce;
    // Input may end while output still comes.
    this.#server = createServer({ allowHalfOpen: true }, socket => this.#serve(socket));
  }

  /**
   * Listens. Resolves with a promise that resolves when it was told to leave, or when nobody needs it any more. Throws if
   * another one listens: its containers would be out of reach.
   */
  static async run(layout: Layout, clock: SupervisorClock, nonce: string): Promise<{ readonly left: Promise<void> }> {
    const supervisor = new Supervisor(layout, clock, await Cgroups.detect(), nonce);
    if (await isListening(layout.supervisorSocket)) throw new Error(`${layout.supervisorSocket} has a supervisor`);
    await rm(layout.supervisorSocket, { force: true });
    await new Promise<void>((resolve, reject) => {
      supervisor.#server.once('error', reject);
      supervisor.#server.listen(layout.supervisorSocket, resolve);
    });
    supervisor.#considerLeaving();
    return { left: supervisor.#left.promise };
  }

  #serve(socket: Socket): void {
    let text = '';
    socket.on('error', () => socket.destroy());
    const read = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\n');
      if (end === -1) {
        if (text.length > requestBytesMax) socket.destroy();
        return;
      }
      socket.off('data', read);
      socket.pause();
      const rest = Buffer.from(text.slice(end + 1), 'latin1');
      if (rest.length > 0) socket.unshift(rest);
      this.#obey(socket, text.slice(0, end)).catch((error: unknown) => {
        reply(socket, { result: 'failed', message: error instanceof Error ? error.message : String(error) });
        socket.end();
      });
    };
    socket.on('data', read);
  }

  async #obey(socket: Socket, line: string): Promise<void> {
    const request: Request = requestSchema.parse(JSON.parse(line));
    const ok: Answer = { result: 'ok', supervisor: this.#nonce };
    switch (request.ask) {
      case 'hello':
        reply(socket, ok);
        socket.end();
        return;
      case 'start':
        await this.#start(request.id);
        reply(socket, ok);
        socket.end();
        return;
      case 'attach': {
        const container = this.#containers.get(request.id);
        if (container === undefined) throw new Error('the container does not run');
        reply(socket, ok);
        container.attach(socket, request.stdin);
        socket.resume();
        return;
      }
      case 'news':
        reply(socket, ok);
        this.#listeners.add(socket);
        this.#considerLeaving();
        socket.once('close', () => {
          this.#listeners.delete(socket);
          this.#considerLeaving();
        });
        socket.once('end', () => socket.end());
        socket.resume();
        return;
      case 'leave':
        if (this.#containers.size > 0) throw new Error('containers run');
        reply(socket, ok);
        socket.end(() => this.#leave());
    }
  }

  /** Called whenever what keeps it has changed. */
  #considerLeaving(): void {
    this.#idling.abort();
    if (this.#containers.size > 0 || this.#listeners.size > 0) return;
    const idling = new AbortController();
    this.#idling = idling;
    void delay(this.#clock, supervisorIdleMs, idling.signal).then(() => {
      if (!idling.signal.aborted) this.#leave();
    });
  }

  /** Closing takes the socket's file away, too. */
  #leave(): void {
    this.#server.close();
    for (const listener of this.#listeners) listener.destroy();
    this.#left.resolve();
  }

  async #start(id: string): Promise<void> {
    if (this.#containers.has(id)) return;
    const record = await this.#layout.readContainer(id);
    const sandbox = record && (await this.#layout.readSandbox(record.sandboxId));
    if (record === undefined || sandbox === undefined) throw new Error('there is no such container');
    // It may have ended while the answer was on its way: a container runs once.
    if ((await this.#layout.readExit(id)) !== undefined || this.#containers.has(id)) return;
    const context = {
      layout: this.#layout,
      cgroups: this.#cgroups,
      clock: this.#clock,
      nonce: this.#nonce,
      changed: (podUid: string) => this.#tell(podUid),
    };
    const container = new SupervisedContainer(context, record, sandbox);
    this.#containers.set(id, container);
    this.#considerLeaving();
    const forget = () => {
      this.#containers.delete(id);
      this.#considerLeaving();
    };
    const started = await container.start().catch((error: unknown) => {
      forget();
      throw error;
    });
    // A failure here is a full disk: the agent then finds the process gone and no record of its end.
    started.ended.then(forget, forget);
  }

  #tell(podUid: string): void {
    for (const listener of this.#listeners) listener.write(`${podUid}\n`);
  }
}

function isListening(socketPath: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ path: socketPath }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function reply(socket: Socket, answer: Answer): void {
  socket.write(`${JSON.stringify(answer)}\n`);
}
