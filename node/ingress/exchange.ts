/**
 * One try of one request at one endpoint. A body is not read before the connection stands, so a try that could not connect
 * leaves the request whole for the next endpoint.
 */
import type { Agent, ClientRequest as EndpointRequest, IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { http } from '../api.ts';
import type { Endpoint } from './backends.ts';
import { CONNECT_TIMEOUT_MS } from './limits.ts';

export interface TryOptions {
  readonly endpoint: Endpoint;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
  readonly responseTimeoutMs: number;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}
export interface Answered {
  readonly type: 'answered';
  readonly response: IncomingMessage;
  readonly socket: Socket;
}
export interface Upgraded {
  readonly type: 'upgraded';
  readonly response: IncomingMessage;
  readonly socket: Socket;
  readonly head: Buffer;
}

/** Why an endpoint gave no answer. */
export class TryError extends Error {
  override readonly name = 'TryError';
  readonly code = 'INGRESS_TRY';
  /**
   * `unconnected`: it was never reached. `stale`: a connection that had been used before ended. `broken`: a new one ended.
   * `timeout`: it was silent for too long. `unreadable`: what it sent is no HTTP.
   */
  readonly kind: 'unconnected' | 'stale' | 'broken' | 'timeout' | 'unreadable' | 'aborted';
  constructor(kind: TryError['kind'], cause: unknown) {
    super(`an endpoint gave no answer (${kind})`, { cause });
    this.kind = kind;
  }
}

/** Sends a request with its body, which is opened at the last moment; resolves when the answer begins. Throws {@link TryError}. */
export function tryRequest(
  options: TryOptions,
  agent: Agent,
  openBody: (() => Readable) | undefined,
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const outgoing = open(options, { agent });
    const watch = new Watch(outgoing, options, reject);
    outgoing.once('response', response => {
      watch.settle();
      // Breaking off later is the reader's business: an error of the body must not be an uncaught one.
      outgoing.on('error', () => undefined);
      if (watch.socket) resolve({ type: 'answered', response, socket: watch.socket });
    });
    watch.onConnected(() => {
      if (!openBody) {
        outgoing.end();
        return;
      }
      const body = openBody();
      body.pipe(outgoing);
      body.once('error', error => outgoing.destroy(error));
      // The endpoint may answer and hang up before it has taken the whole body.
      outgoing.once('close', () => {
        body.unpipe(outgoing);
        body.resume();
      });
    });
  });
}

/** Asks for an upgrade; resolves with the endpoint's answer, whichever it is. */
export function tryUpgrade(options: TryOptions): Promise<Answered | Upgraded> {
  return new Promise((resolve, reject) => {
    const { address, port } = options.endpoint;
    const createConnection = () =>
      connect({ host: address, port, allowHalfOpen: true, noDelay: true, timeout: CONNECT_TIMEOUT_MS });
    const outgoing = open(options, { createConnection });
    const watch = new Watch(outgoing, options, reject);
    outgoing.once('response', response => {
      watch.settle();
      outgoing.on('error', () => undefined);
      if (watch.socket) resolve({ type: 'answered', response, socket: watch.socket });
    });
    outgoing.once('upgrade', (response, _socket, head) => {
      watch.settle();
      if (watch.socket) resolve({ type: 'upgraded', response, socket: watch.socket, head });
    });
    outgoing.end();
  });
}

function open(
  { endpoint, method, path, headers }: TryOptions,
  how: { readonly agent: Agent } | { readonly createConnection: () => Socket },
): EndpointRequest {
  return http.request({
    host: endpoint.address,
    port: endpoint.port,
    method,
    path,
    headers: [...headers],
    timeout: CONNECT_TIMEOUT_MS,
    ...how,
  });
}

/** Watches a request until its answer begins: connection, time, errors, and the client's leaving. */
class Watch {
  socket: Socket | undefined;
  readonly #outgoing: EndpointRequest;
  readonly #options: TryOptions;
  readonly #reject: (error: TryError) => void;
  readonly #connected = Promise.withResolvers<void>();
  #isConnected = false;
  #isSettled = false;

  constructor(outgoing: EndpointRequest, options: TryOptions, reject: (error: TryError) => void) {
    this.#outgoing = outgoing;
    this.#options = options;
    this.#reject = reject;
    outgoing.once('socket', socket => {
      this.socket = socket;
      if (socket.connecting) socket.once('connect', () => this.#connect(socket));
      else this.#connect(socket);
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => this.#fail(this.#kindOf(error), error));
    outgoing.on('timeout', () => {
      if (this.#isSettled) outgoing.destroy(new Error('the answer paused for too long'));
      else this.#fail(this.#isConnected ? 'timeout' : 'unconnected', new Error('timeout'));
    });
    outgoing.once('close', () => this.#fail('broken', new Error('closed')));
    options.signal.addEventListener('abort', this.#abort, { once: true });
    if (options.signal.aborted) this.#abort();
  }

  onConnected(send: () => void): void {
    void this.#connected.promise.then(send);
  }

  settle(): void {
    this.#isSettled = true;
    this.#options.signal.removeEventListener('abort', this.#abort);
  }

  readonly #abort = (): void => this.#fail('aborted', new Error('the client has gone'));

  #connect(socket: Socket): void {
    this.#isConnected = true;
    socket.setTimeout(this.#options.responseTimeoutMs);
    this.#connected.resolve();
  }

  #fail(kind: TryError['kind'], cause: Error): void {
    if (this.#isSettled) return;
    this.settle();
    this.#reject(new TryError(kind, cause));
    this.#outgoing.destroy();
  }

  #kindOf(error: NodeJS.ErrnoException): TryError['kind'] {
    if (!this.#isConnected) return 'unconnected';
    if (error.code?.startsWith('HPE_')) return 'unreadable';
    return this.#outgoing.reusedSocket ? 'stale' : 'broken';
  }
}
