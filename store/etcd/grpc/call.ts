/** One call from its first byte to its status: what is known of it, its deadline, and its answers. It ends exactly once. */
import type { TurnClock } from '../../clock.ts';
import type { Header } from '../http2/hpack.ts';
import type { Fields, Http2Stream, StreamListener } from '../http2/stream.ts';
import { GrpcError, STATUS, statusFields } from './status.ts';

/** What is known of a call besides its messages. */
export interface CallContext {
  readonly headers: ReadonlyMap<string, string>;
  /** The common name of the client's certificate; undefined without TLS. */
  readonly commonName: string | undefined;
  /** The size of a unary call's request. */
  readonly requestBytes: number;
  /** Aborts when the client goes away or its deadline passes. */
  readonly signal: AbortSignal;
}

/** What a call is made from. */
export interface CallStart {
  readonly stream: Http2Stream;
  readonly headers: ReadonlyMap<string, string>;
  readonly commonName: string | undefined;
  readonly clock: TurnClock;
  /** Turns what a handler threw into what the client sees. */
  readonly toStatus: (error: unknown) => GrpcError;
  /** The call has ended with this status. */
  readonly onDone: (status: number) => void;
  /** Counts the bytes of messages. */
  readonly bytes: { sentBytes: number; receivedBytes: number };
}

const HEAD: readonly Header[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
const OK: readonly Header[] = [['grpc-status', '0']];
const ANSWER_HEAD: Fields = { constants: HEAD };
const ANSWER_OK: Fields = { constants: OK };

/** A call under way. */
export class Call implements CallContext {
  readonly headers: ReadonlyMap<string, string>;
  readonly commonName: string | undefined;
  readonly stream: Http2Stream;
  requestBytes = 0;
  readonly #start: CallStart;
  readonly #cancelDeadline: (() => void) | undefined;
  #controller: AbortController | undefined;
  #isAborted = false;
  #isDone = false;
  #hasHead = false;

  constructor(start: CallStart) {
    this.#start = start;
    this.headers = start.headers;
    this.commonName = start.commonName;
    this.stream = start.stream;
    const timeoutMs = timeoutOf(start.headers);
    if (timeoutMs !== undefined) {
      this.#cancelDeadline = start.clock.setTimeout(() => {
        this.abort();
        this.fail(new GrpcError(STATUS.deadlineExceeded, 'context deadline exceeded'));
      }, timeoutMs);
    }
  }

  /** Made when it is first asked for: most calls never do. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isAborted) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  abort(): void {
    this.#isAborted = true;
    this.#controller?.abort();
    this.#finish(STATUS.cancelled);
  }

  received(bytes: number): void {
    this.#start.bytes.receivedBytes += bytes;
  }

  reply(message: Buffer): void {
    if (!this.#finish(STATUS.ok)) return;
    this.#start.bytes.sentBytes += message.length;
    this.stream.reply(ANSWER_HEAD, message, ANSWER_OK);
  }

  send(message: Buffer): Promise<void> | undefined {
    if (this.#isDone) return undefined;
    this.#start.bytes.sentBytes += message.length;
    this.sendHead();
    this.stream.write(message);
    return this.stream.room();
  }

  sendHead(): void {
    if (this.#hasHead || this.#isDone) return;
    this.#hasHead = true;
    this.stream.respond(ANSWER_HEAD);
  }

  end(): void {
    this.sendHead();
    if (this.#finish(STATUS.ok)) this.stream.end(ANSWER_OK);
  }

  fail(error: unknown): void {
    // Also after an abort: a deadline's status still goes out to those who listen.
    const wasDone = this.#isDone && !this.#isAborted;
    const status = this.#start.toStatus(error);
    this.#finish(status.status);
    if (wasDone || this.stream.isOver) return;
    if (!this.#hasHead) this.stream.respond(ANSWER_HEAD);
    this.stream.end(statusFields(status));
  }

  /** The call has its status. True the first time. */
  #finish(status: number): boolean {
    if (this.#isDone) return false;
    this.#isDone = true;
    this.#cancelDeadline?.();
    this.#start.onDone(status);
    return true;
  }
}

/** Answers a request that no method takes. */
export function refuse(stream: Http2Stream, error: GrpcError): StreamListener {
  stream.respond({ constants: HEAD });
  stream.end(statusFields(error));
  return { data() {}, end() {}, aborted() {} };
}

const TIMEOUT_UNITS_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** Timers cannot wait longer. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

function timeoutOf(headers: ReadonlyMap<string, string>): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(headers.get('grpc-timeout') ?? '');
  if (match === null) return undefined;
  const timeoutMs = Number(match[1]) * (TIMEOUT_UNITS_MS[match[2] ?? ''] ?? 1);
  return timeoutMs > TIMEOUT_MS_MAX ? undefined : timeoutMs;
}
