/** The sockets: UDP and TCP on one port, with bounds on what they take. What is asked and answered is `responder.ts`'. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import {
  CONNECTION_IDLE_MS,
  CONNECTION_REQUESTS_MAX,
  CONNECTIONS_MAX,
  CONNECTIONS_PER_CLIENT_MAX,
  REQUESTS_MAX,
  REQUESTS_PER_CLIENT_MAX,
} from './limits.ts';
import type { Measures } from './measures.ts';
import { rcodeOf } from './message.ts';
import type { Responder } from './responder.ts';
import { Tally } from './tally.ts';

export interface DnsServerOptions {
  readonly responder: Pick<Responder, 'respond' | 'refuse'>;
  readonly mayAsk: (address: string) => boolean;
  readonly measures: Measures;
  readonly now: () => number;
  /** Told of an answer that could not be made: a fault of ours. */
  readonly onError: (error: unknown) => void;
}
export interface ListenOptions {
  readonly address: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** Several servers of one machine listen on one address. */
  readonly shared?: boolean;
}

/** Ports that are free for TCP may be taken for UDP: another is tried. */
const PORT_TRIES_MAX = 5;
const LENGTH_BYTES = 2;

export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #requests = new Tally(REQUESTS_MAX, REQUESTS_PER_CLIENT_MAX);
  readonly #connections = new Tally(CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX);
  readonly #sockets = new Set<Socket>();
  readonly #listeners: { readonly udp: UdpSocket; readonly tcp: Server }[] = [];

  constructor(options: DnsServerOptions) {
    this.#options = options;
  }

  /** Gives the port. May be called for several addresses. Rejects with the system's error if the port is taken. */
  async listen({ address, port, shared = false }: ListenOptions): Promise<number> {
    for (let attempt = 1; ; attempt += 1) {
      const tcp = createServer(socket => this.#connected(socket));
      tcp.listen({ host: address, port, ...(shared && { reusePort: true }) });
      await once(tcp, 'listening');
      const bound = tcp.address();
      const chosen = typeof bound === 'object' && bound ? bound.port : port;
      const udp = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', ...(shared && { reusePort: true }) });
      try {
        udp.bind({ address, port: chosen, exclusive: true });
        await once(udp, 'listening');
      } catch (error) {
        udp.close();
        tcp.close();
        if (port !== 0 || attempt >= PORT_TRIES_MAX) throw error;
        continue;
      }
      // A client that is gone by now is no error of the server.
      udp.on('error', () => undefined);
      tcp.on('error', () => undefined);
      udp.on('message', (message, from) => void this.#received(udp, message, from));
      this.#listeners.push({ udp, tcp });
      return chosen;
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closing = this.#listeners.splice(0).map(async ({ udp, tcp }) => {
      const ends = [once(udp, 'close'), once(tcp, 'close')];
      udp.close();
      tcp.close();
      await Promise.all(ends);
    });
    await Promise.all(closing);
  }

  async #received(udp: UdpSocket, message: Buffer, from: { address: string; port: number }): Promise<void> {
    // Not even a refusal: its sender may be forged.
    if (!this.#options.mayAsk(from.address)) return;
    const response = await this.#respond(message, from.address, { stream: false });
    try {
      if (response) udp.send(response, from.port, from.address, () => undefined);
    } catch (error) {
      // The server was closed meanwhile.
      if (!hasCode(error, 'ERR_SOCKET_DGRAM_NOT_RUNNING')) throw error;
    }
  }

  /** Never rejects. */
  async #respond(message: Buffer, client: string, options: { readonly stream: boolean }): Promise<Buffer | undefined> {
    const { measures, now } = this.#options;
    const startedAt = now();
    const response = await this.#bounded(message, client, options);
    const proto = options.stream ? 'tcp' : 'udp';
    if (response) measures.answered({ proto, rcode: rcodeOf(response), tookMs: Math.max(0, now() - startedAt) });
    return response;
  }

  async #bounded(message: Buffer, client: string, options: { readonly stream: boolean }): Promise<Buffer | undefined> {
    const { responder, onError } = this.#options;
    if (!this.#requests.enter(client)) return responder.refuse(message);
    try {
      return await responder.respond(message, options);
    } catch (error) {
      onError(error);
      return responder.refuse(message);
    } finally {
      this.#requests.leave(client);
    }
  }

  #connected(socket: Socket): void {
    const client = socket.remoteAddress;
    socket.on('error', () => socket.destroy());
    if (client === undefined || !this.#options.mayAsk(client) || !this.#connections.enter(client)) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#connections.leave(client);
    });
    socket.setTimeout(CONNECTION_IDLE_MS, () => socket.destroy());
    this.#serve(socket, client).catch(() => socket.destroy());
  }

  /** Messages of one connection, each with its length in front; answered as they come out, which may be another order. */
  async #serve(socket: Socket, client: string): Promise<void> {
    let received = Buffer.alloc(0);
    const running = new Set<Promise<void>>();
    const closed = new AbortController();
    socket.once('close', () => closed.abort());
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      while (received.length >= LENGTH_BYTES && received.length >= LENGTH_BYTES + received.readUInt16BE(0)) {
        const end = LENGTH_BYTES + received.readUInt16BE(0);
        const message = received.subarray(LENGTH_BYTES, end);
        received = received.subarray(end);
        const answering = this.#answer(socket, message, client).finally(() => running.delete(answering));
        running.add(answering);
        // Nothing more is read until there is room, so a client that only asks is held up by TCP itself.
        if (running.size >= CONNECTION_REQUESTS_MAX) await Promise.race(running);
        // Nor from one that does not read its answers.
        if (socket.writableNeedDrain) await once(socket, 'drain', { signal: closed.signal });
      }
    }
    await Promise.all(running);
  }

  /** Never rejects. */
  async #answer(socket: Socket, message: Buffer, client: string): Promise<void> {
    const response = await this.#respond(message, client, { stream: true });
    if (!response || !socket.writable) return;
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(response.length);
    socket.write(Buffer.concat([length, response]));
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
