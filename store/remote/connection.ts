/** One WebSocket to one member: requests with answers, watches, and the knowledge of what was certainly not sent. */
import { WebSocket } from 'ws';
import { type WatchBatch, WatchLostError } from '../client/client.ts';
import { errorFromCode } from '../client/errors.ts';
import type { TurnClock } from '../clock.ts';
import { CONNECT_TIMEOUT_MS, FRAME_BYTES_MAX, PING_INTERVAL_MS } from '../limits.ts';
import { Outbox } from './outbox.ts';
import {
  type ClientMessage,
  PROTOCOL_WITH_CALLS,
  PROTOCOLS,
  packBounds,
  type ServerMessage,
  unpackBatch,
  unpackFrame,
  type WatchStart,
} from './protocol.ts';
import type { TlsMaterial } from './server.ts';

/** The connection broke, or was never there. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code = 'STORE_CONNECTION';
  /** True if the request never left: it was certainly not carried out. */
  readonly isUnsent: boolean;
  constructor(message: string, options: { readonly isUnsent: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.isUnsent = options.isUnsent;
  }
}

type RequestKind = 'execute' | 'range' | 'status' | 'call';
type Answer = Extract<ServerMessage, readonly [number, 'value' | 'ranged' | 'status' | 'called', unknown]>;

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly cancelTimeout: () => void;
}

/** Who hears of a watch. */
export interface WatchReader {
  onBatch(batch: WatchBatch): void;
  onError(error: Error): void;
}

/** Who hears of a snapshot. */
export interface SnapshotReader {
  onPart(part: Uint8Array): void;
  onEnd(): void;
  onError(error: Error): void;
}

export class Connection {
  readonly url: string;
  readonly #socket: WebSocket;
  readonly #clock: TurnClock;
  readonly #outbox: Outbox;
  readonly #waiting = new Map<number, Waiting>();
  readonly #watches = new Map<number, WatchReader>();
  readonly #snapshots = new Map<number, SnapshotReader>();
  #lastId = 0;
  /** What is told in the frame that is being gathered, if its number is that one. */
  #taken: { readonly frame: number; readonly ids: number[] } = { frame: -1, ids: [] };
  #cancelPing: (() => void) | undefined;
  #hasHeard = true;
  #isLeaving = false;

  private constructor(url: string, socket: WebSocket, clock: TurnClock) {
    this.url = url;
    this.#socket = socket;
    this.#clock = clock;
    this.#outbox = new Outbox(socket, clock);
    socket.on('message', (frame: Buffer) => this.#receive(frame));
    socket.on('pong', () => {
      this.#hasHeard = true;
    });
    socket.on('close', () => this.#broken());
    this.#armPing();
  }

  /** Connects. @throws {ConnectionError} nobody answers at `url`, or its certificate is not trusted */
  static async open(
    url: string,
    options: { readonly clock: TurnClock; readonly tls?: TlsMaterial },
  ): Promise<Connection> {
    const socket = new WebSocket(url, [...PROTOCOLS], {
      ...options.tls,
      perMessageDeflate: false,
      maxPayload: FRAME_BYTES_MAX,
      // Masks protect plain HTTP proxies; inside TLS they only cost time. With this mask both sides skip the work.
      ...(options.tls !== undefined && { generateMask: (mask: Buffer) => mask.fill(0) }),
      handshakeTimeout: CONNECT_TIMEOUT_MS,
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => resolve());
      // Stays for later errors too: each is followed by a close, which says all that matters.
      socket.on('error', cause =>
        reject(new ConnectionError(`${url} cannot be reached: ${cause.message}`, { isUnsent: true, cause })),
      );
    });
    return new Connection(url, socket, options.clock);
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** False at a member of an older version, which knows neither `call` nor `snapshot`. */
  get hasCalls(): boolean {
    return this.#socket.protocol === PROTOCOL_WITH_CALLS;
  }

  /** Asks and waits for the answer. @throws {ConnectionError} and the errors of `client.ts` that the member answers with */
  request(kind: RequestKind, body: unknown, timeoutMs: number): Promise<Answer> {
    if (!this.isOpen) return Promise.reject(new ConnectionError(`${this.url} is gone`, { isUnsent: true }));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const cancelTimeout = this.#clock.setTimeout(() => {
        this.#waiting.delete(id);
        reject(new ConnectionError(`${this.url} did not answer in time`, { isUnsent: false }));
      }, timeoutMs);
      this.#waiting.set(id, { resolve, reject, cancelTimeout });
      // The caller pairs kind and body.
      this.#outbox.send([id, kind, body] as ClientMessage);
    });
  }

  /** Watches; the answer tells the member that a batch was taken, or ends the watch. */
  watch(start: WatchStart, reader: WatchReader): { taken(): void; cancel(): void } {
    if (!this.isOpen) throw new WatchLostError('the connection broke; start again after the last revision seen');
    const id = ++this.#lastId;
    this.#watches.set(id, reader);
    this.#outbox.send([id, 'watch', packBounds(start)]);
    return {
      taken: () => this.#sendTaken(id),
      cancel: () => {
        if (this.#watches.delete(id)) this.#outbox.send([id, 'cancel', null]);
        this.#maybeLeave();
      },
    };
  }

  /** What the watches of this connection have taken within one turn is told together. */
  #sendTaken(id: number): void {
    if (!this.hasCalls) {
      this.#outbox.send([id, 'taken', null]);
      return;
    }
    if (this.#taken.frame === this.#outbox.frame) {
      this.#taken.ids.push(id);
      return;
    }
    this.#taken = { frame: this.#outbox.frame, ids: [id] };
    this.#outbox.send([0, 'takes', this.#taken.ids]);
  }

  /** Asks for a snapshot. */
  snapshot(reader: SnapshotReader): { taken(): void; cancel(): void } {
    if (!this.isOpen) throw new ConnectionError(`${this.url} is gone`, { isUnsent: true });
    const id = ++this.#lastId;
    this.#snapshots.set(id, reader);
    this.#outbox.send([id, 'snapshot', null]);
    return {
      taken: () => this.#outbox.send([id, 'taken', null]),
      cancel: () => {
        if (this.#snapshots.delete(id)) this.#outbox.send([id, 'cancel', null]);
        this.#maybeLeave();
      },
    };
  }

  close(): void {
    this.#cancelPing?.();
    this.#socket.terminate();
  }

  /** Closes once nothing is awaited any more. */
  closeWhenIdle(): void {
    this.#isLeaving = true;
    this.#maybeLeave();
  }

  #maybeLeave(): void {
    const isIdle = this.#waiting.size === 0 && this.#watches.size === 0 && this.#snapshots.size === 0;
    if (this.#isLeaving && isIdle) this.close();
  }

  #receive(frame: Uint8Array): void {
    // The member is authenticated and speaks the protocol that was agreed on.
    for (const message of unpackFrame(frame) as readonly ServerMessage[]) this.#handle(message);
  }

  #handle(message: ServerMessage): void {
    const [id, kind, body] = message;
    if (kind === 'batch') {
      this.#watches.get(id)?.onBatch(unpackBatch(body));
    } else if (kind === 'shared') {
      const [ids, packed] = body;
      const batch = unpackBatch(packed);
      for (const one of ids) this.#watches.get(one)?.onBatch(batch);
    } else if (kind === 'part') {
      this.#snapshots.get(id)?.onPart(body);
    } else if (kind === 'end') {
      this.#snapshots.get(id)?.onEnd();
      this.#snapshots.delete(id);
    } else if (kind === 'error') {
      const error = errorFromCode(body.code, body.message, body.compactedRevision);
      this.#take(id)?.reject(error);
      this.#watches.get(id)?.onError(error);
      this.#watches.delete(id);
      this.#snapshots.get(id)?.onError(error);
      this.#snapshots.delete(id);
    } else this.#take(id)?.resolve(message);
    this.#maybeLeave();
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.cancelTimeout();
    return waiting;
  }

  #broken(): void {
    this.#cancelPing?.();
    for (const id of [...this.#waiting.keys()]) {
      this.#take(id)?.reject(new ConnectionError(`the connection to ${this.url} broke`, { isUnsent: false }));
    }
    for (const reader of this.#watches.values()) {
      reader.onError(new WatchLostError('the connection broke; start again after the last revision seen'));
    }
    this.#watches.clear();
    for (const reader of this.#snapshots.values()) reader.onError(new Error(`the connection to ${this.url} broke`));
    this.#snapshots.clear();
  }

  /** A machine that is gone says nothing; silence is noticed by asking. */
  #armPing(): void {
    this.#cancelPing = this.#clock.setTimeout(() => {
      if (!this.#hasHeard) {
        this.#socket.terminate();
        return;
      }
      this.#hasHeard = false;
      if (this.isOpen) this.#socket.ping();
      this.#armPing();
    }, PING_INTERVAL_MS);
  }
}
