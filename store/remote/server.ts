/**
 * Serves the store to remote clients over WebSockets, with mutual TLS. Any member serves: a follower forwards writes and
 * read barriers to the leader itself.
 */
import { createServer as createPlainServer, type Server as PlainServer } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { OpenSockets } from '../../raft/index.ts';
import type { CommandClient } from '../client/base.ts';
import { CompactedError, InvalidRequestError, UnavailableError, type WatchBatch } from '../client/client.ts';
import type { TurnClock } from '../clock.ts';
import { decodeCommand } from '../codec/command.ts';
import {
  CONNECTION_SNAPSHOTS_MAX,
  FRAME_BYTES_MAX,
  HANDSHAKE_TIMEOUT_MS,
  SNAPSHOT_WINDOW_PARTS,
  STORE_LIMITS,
  type StoreLimits,
} from '../limits.ts';
import { type Logger, silentLogger } from '../logger.ts';
import { answerCall } from './calls.ts';
import { Outbox } from './outbox.ts';
import {
  type ClientMessage,
  PROTOCOL_WITH_CALLS,
  PROTOCOLS,
  packBatch,
  packRange,
  packValue,
  type ServerMessage,
  unpackBounds,
  unpackFrame,
  type WatchStart,
  type WireError,
} from './protocol.ts';

/** Key, certificate and the authority that both sides trust, in PEM. */
export interface TlsMaterial {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
  readonly ca: string | Buffer;
}

export interface StoreServerOptions {
  readonly client: CommandClient;
  readonly clock: TurnClock;
  readonly listen: { readonly host: string; readonly port: number };
  /** Clients must show a certificate of `ca`. Without it the server speaks plain text: for tests on loopback only. */
  readonly tls?: TlsMaterial;
  readonly limits?: StoreLimits;
  readonly logger?: Logger;
}

export class StoreServer {
  readonly #options: StoreServerOptions;
  readonly #http: PlainServer | TlsServer;
  /** Also those that never became a WebSocket. */
  readonly #openSockets: OpenSockets;
  readonly #sockets: WebSocketServer;

  constructor(options: StoreServerOptions) {
    this.#options = options;
    const { tls } = options;
    this.#http =
      tls === undefined
        ? createPlainServer()
        : createTlsServer({
            ...{ ...tls, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
            handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
          });
    this.#openSockets = new OpenSockets(this.#http);
    this.#sockets = new WebSocketServer({
      server: this.#http,
      perMessageDeflate: false,
      maxPayload: FRAME_BYTES_MAX,
      handleProtocols: offered => PROTOCOLS.find(protocol => offered.has(protocol)) ?? false,
    });
    this.#sockets.on('connection', socket => this.#serve(socket));
  }

  /** Listens. Resolves with the port, which is chosen by the system if 0 was asked for. */
  async start(): Promise<number> {
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(port, host, () => {
        this.#http.off('error', reject);
        resolve();
      });
    });
    this.#http.on('error', error => this.#logger.warn({ error }, 'the store server has trouble'));
    // A server that listens on a port has such an address.
    return (this.#http.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    this.#openSockets.destroy();
    await new Promise<void>(resolve => this.#http.close(() => resolve()));
  }

  get #logger(): Logger {
    return this.#options.logger ?? silentLogger;
  }

  #serve(socket: WebSocket): void {
    if (!PROTOCOLS.some(protocol => protocol === socket.protocol)) {
      socket.close(1002, `only ${PROTOCOLS.join(' and ')} are spoken here`);
      return;
    }
    const session = new Session(socket, this.#options);
    socket.on('message', (frame: Buffer) => {
      try {
        session.receive(frame);
      } catch (error) {
        this.#logger.warn({ error }, 'a client sent what cannot be understood');
        socket.terminate();
      }
    });
    socket.on('error', error => this.#logger.warn({ error }, 'a client connection broke'));
    socket.on('close', () => session.end());
  }
}

/** A watch, or a snapshot that is being sent. */
interface Streaming {
  readonly abort: AbortController;
  /** Batches or parts that may still be sent before the reader takes one. */
  window: number;
  wake: () => void;
}

class Session {
  readonly #client: CommandClient;
  readonly #limits: StoreLimits;
  readonly #outbox: Outbox;
  readonly #watches = new Map<number, Streaming>();
  readonly #snapshots = new Map<number, Streaming>();
  readonly #knowsShared: boolean;
  /** The batch that was queued last, with those it goes to. */
  #shared: { readonly batch: WatchBatch; readonly frame: number; readonly ids: number[] } | undefined;
  #requests = 0;

  constructor(socket: WebSocket, options: StoreServerOptions) {
    this.#client = options.client;
    this.#limits = options.limits ?? STORE_LIMITS;
    this.#knowsShared = socket.protocol === PROTOCOL_WITH_CALLS;
    this.#outbox = new Outbox(socket, options.clock);
  }

  receive(frame: Uint8Array): void {
    // Fields are checked where they are used; what does not fit is answered with an error.
    for (const message of unpackFrame(frame)) this.#handle(message as ClientMessage);
  }

  end(): void {
    for (const { abort } of [...this.#watches.values(), ...this.#snapshots.values()]) abort.abort();
  }

  #handle([id, kind, body]: ClientMessage): void {
    switch (kind) {
      case 'execute':
        this.#answer(id, async () => [id, 'value', packValue(await this.#client.execute(decode(body)))]);
        return;
      case 'range':
        this.#answer(id, async () => [id, 'ranged', packRange(await this.#client.range(unpackBounds(body)))]);
        return;
      case 'status':
        this.#answer(id, async () => [id, 'status', await this.#client.status()]);
        return;
      case 'watch':
        this.#watch(id, unpackBounds(body)).catch((error: unknown) => this.#fail(id, error));
        return;
      case 'taken': {
        const streaming = this.#streaming(id);
        if (streaming === undefined) return;
        streaming.window++;
        streaming.wake();
        return;
      }
      case 'takes':
        for (const one of body) {
          const watching = this.#watches.get(one);
          if (watching === undefined) continue;
          watching.window++;
          if (watching.window === 1) watching.wake();
        }
        return;
      case 'cancel':
        this.#streaming(id)?.abort.abort();
        return;
      case 'call':
        this.#answer(id, async () => [id, 'called', await answerCall(this.#client, ...body)]);
        return;
      case 'snapshot':
        this.#snapshot(id).catch((error: unknown) => this.#fail(id, error));
        return;
      default:
        throw new TypeError('a message of unknown kind');
    }
  }

  #answer(id: number, work: () => Promise<ServerMessage>): void {
    if (this.#requests >= this.#limits.connectionRequestsMax) {
      this.#fail(id, new UnavailableError('too many requests wait on this connection'));
      return;
    }
    this.#requests++;
    work().then(
      message => {
        this.#requests--;
        this.#outbox.send(message);
      },
      (error: unknown) => {
        this.#requests--;
        this.#fail(id, error);
      },
    );
  }

  async #watch(id: number, start: WatchStart): Promise<void> {
    const { connectionWatchesMax, watchWindowBatches } = this.#limits;
    if (this.#watches.size >= connectionWatchesMax) throw new UnavailableError('too many watches on this connection');
    const watching: Streaming = { abort: new AbortController(), window: watchWindowBatches, wake: () => {} };
    this.#watches.set(id, watching);
    try {
      for await (const batch of this.#client.watch({ ...start, signal: watching.abort.signal })) {
        this.#sendBatch(id, batch);
        watching.window--;
        while (watching.window <= 0 && !watching.abort.signal.aborted) await nextWake(watching);
      }
    } finally {
      this.#watches.delete(id);
    }
  }

  /** Watches of the same key are given the same batch; it goes out once for all of them that are served within a turn. */
  #sendBatch(id: number, batch: WatchBatch): void {
    if (!this.#knowsShared) {
      this.#outbox.send([id, 'batch', packBatch(batch)]);
      return;
    }
    if (this.#shared?.batch === batch && this.#shared.frame === this.#outbox.frame) {
      this.#shared.ids.push(id);
      return;
    }
    this.#shared = { batch, frame: this.#outbox.frame, ids: [id] };
    this.#outbox.send([0, 'shared', [this.#shared.ids, packBatch(batch)]]);
  }

  async #snapshot(id: number): Promise<void> {
    if (this.#snapshots.size >= CONNECTION_SNAPSHOTS_MAX) {
      throw new UnavailableError('too many snapshots are being read on this connection');
    }
    const streaming: Streaming = { abort: new AbortController(), window: SNAPSHOT_WINDOW_PARTS, wake: () => {} };
    this.#snapshots.set(id, streaming);
    const { signal } = streaming.abort;
    try {
      for await (const part of this.#client.saveSnapshot()) {
        if (signal.aborted) return;
        this.#outbox.send([id, 'part', part]);
        streaming.window--;
        while (streaming.window <= 0 && !signal.aborted) await nextWake(streaming);
      }
      this.#outbox.send([id, 'end', null]);
    } finally {
      this.#snapshots.delete(id);
    }
  }

  #streaming(id: number): Streaming | undefined {
    return this.#watches.get(id) ?? this.#snapshots.get(id);
  }

  #fail(id: number, error: unknown): void {
    this.#outbox.send([id, 'error', wireError(error)]);
  }
}

function nextWake(watching: Streaming): Promise<void> {
  return new Promise(resolve => {
    watching.wake = resolve;
    watching.abort.signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function decode(body: Uint8Array) {
  try {
    // What is proposed is encoded anew, so nothing of this frame is kept.
    return decodeCommand(body);
  } catch (error) {
    throw new InvalidRequestError('the command cannot be understood', { cause: error });
  }
}

function wireError(error: unknown): WireError {
  if (error instanceof CompactedError) {
    return { code: error.code, message: error.message, compactedRevision: error.compactedRevision };
  }
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return { code: error.code, message: error.message };
  }
  return { code: 'STORE_UNKNOWN_OUTCOME', message: error instanceof Error ? error.message : String(error) };
}
