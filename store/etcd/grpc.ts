/**
 * gRPC over our HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), server side: unary and streaming
 * calls, deadlines, status codes, bounded messages. Compression is not offered.
 */
import type { TurnClock } from '../clock.ts';
import type { Header } from './http2/hpack.ts';
import type { Fields, Http2Stream, StreamListener } from './http2/stream.ts';
import { MESSAGE_BYTES_MAX, STREAM_REQUESTS_MAX } from './limits.ts';
import type { Message } from './proto/message.ts';
import type { Method } from './proto/services.ts';
import { ProtoError } from './proto/wire.ts';

/** gRPC's status codes. */
export const STATUS = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** As gRPC's Go libraries, and so etcd's dashboards, spell them. */
export const STATUS_NAMES: readonly string[] = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

/** What a call fails with, as the client will see it. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  readonly code = 'ETCD_GRPC';
  readonly status: number;
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

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

export interface StreamingCall<Req, Res> extends CallContext {
  /** What the client sends, until it ends its side or goes away. */
  readonly requests: AsyncIterable<Req>;
  /** Queues an answer; the promise, if there is one, resolves when there is room for more. */
  send(response: Res): Promise<void> | undefined;
}

/** How a method is carried out. Made by {@link unary} and {@link streaming}. */
export interface Route {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  begin(call: CallStart): StreamListener;
}

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

const PREFIX_BYTES = 5;
const HEAD: readonly Header[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
];
const OK: readonly Header[] = [['grpc-status', '0']];
const ANSWER_HEAD: Fields = { constants: HEAD };
const ANSWER_OK: Fields = { constants: OK };

/** A method with one request and one answer. */
export function unary<ReqRead, ResInit>(
  method: Method<never, ReqRead, ResInit, unknown>,
  handle: (request: ReqRead, call: CallContext) => Promise<ResInit>,
): Route {
  return { ...shapeOf(method), begin: start => new UnaryListener(method, handle, new Call(start)) };
}

/** A method whose client sends one request or many, and whose server answers with many. */
export function streaming<ReqRead, ResInit>(
  method: Method<never, ReqRead, ResInit, unknown>,
  handle: (call: StreamingCall<ReqRead, ResInit>) => Promise<void>,
): Route {
  return { ...shapeOf(method), begin: start => new StreamingListener(method, handle, new Call(start)) };
}

function shapeOf({ path, requestStream, responseStream }: Omit<Route, 'begin'>): Omit<Route, 'begin'> {
  return { path, requestStream, responseStream };
}

/** Answers a request that no method takes. */
export function refuse(stream: Http2Stream, error: GrpcError): StreamListener {
  stream.respond({ constants: HEAD });
  stream.end(statusFields(error));
  return { data() {}, end() {}, aborted() {} };
}

class Call implements CallContext {
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

  /** True the first time. */
  #finish(status: number): boolean {
    if (this.#isDone) return false;
    this.#isDone = true;
    this.#cancelDeadline?.();
    this.#start.onDone(status);
    return true;
  }
}

class UnaryListener<ReqRead, ResInit> implements StreamListener {
  readonly #method: Method<never, ReqRead, ResInit, unknown>;
  readonly #handle: (request: ReqRead, call: CallContext) => Promise<ResInit>;
  readonly #call: Call;
  readonly #deframer = new Deframer();
  #request: Buffer | undefined;

  constructor(
    method: Method<never, ReqRead, ResInit, unknown>,
    handle: (request: ReqRead, call: CallContext) => Promise<ResInit>,
    call: Call,
  ) {
    this.#method = method;
    this.#handle = handle;
    this.#call = call;
  }

  data(chunk: Buffer): void {
    if (this.#call.isDone) return;
    try {
      this.#deframer.push(chunk);
      this.#call.received(chunk.length);
      this.#call.stream.taken(chunk.length);
      for (let one = this.#deframer.next(); one !== undefined; one = this.#deframer.next()) this.#take(one);
    } catch (error) {
      this.#call.fail(error);
    }
  }

  end(): void {
    if (this.#call.isDone) return;
    if (this.#request === undefined) {
      this.#call.fail(new GrpcError(STATUS.internal, 'the call ended without a request'));
      return;
    }
    this.#run(this.#request).catch((error: unknown) => this.#call.fail(error));
  }

  aborted(): void {
    this.#call.abort();
  }

  #take(message: Buffer): void {
    if (this.#request !== undefined) throw new GrpcError(STATUS.internal, 'a unary call has one request');
    this.#request = message;
  }

  async #run(message: Buffer): Promise<void> {
    this.#call.requestBytes = message.length;
    const response = await this.#handle(this.#method.request.decode(message), this.#call);
    this.#call.reply(framed(this.#method.response, response));
  }
}

class StreamingListener<ReqRead, ResInit> implements StreamListener {
  readonly #method: Method<never, ReqRead, ResInit, unknown>;
  readonly #call: Call;
  readonly #deframer = new Deframer();
  readonly #requests: RequestQueue<ReqRead>;

  constructor(
    method: Method<never, ReqRead, ResInit, unknown>,
    handle: (call: StreamingCall<ReqRead, ResInit>) => Promise<void>,
    call: Call,
  ) {
    this.#method = method;
    this.#call = call;
    this.#requests = new RequestQueue(bytes => call.stream.taken(bytes));
    const requests = this.#requests;
    const streamingCall: StreamingCall<ReqRead, ResInit> = {
      headers: call.headers,
      commonName: call.commonName,
      requestBytes: 0,
      get signal() {
        return call.signal;
      },
      requests,
      send: response => call.send(framed(method.response, response)),
    };
    handle(streamingCall).then(
      () => call.end(),
      (error: unknown) => call.fail(error),
    );
  }

  data(chunk: Buffer): void {
    if (this.#call.isDone) {
      this.#call.stream.taken(chunk.length);
      return;
    }
    try {
      this.#deframer.push(chunk);
      this.#call.received(chunk.length);
      for (let one = this.#deframer.next(); one !== undefined; one = this.#deframer.next()) {
        this.#requests.push(this.#method.request.decode(one), one.length + PREFIX_BYTES);
      }
    } catch (error) {
      this.#call.fail(error);
      this.#requests.end();
    }
  }

  end(): void {
    this.#requests.end();
  }

  aborted(): void {
    this.#call.abort();
    this.#requests.end();
  }
}

/** Requests of a stream, in order. Their bytes are given back to the peer's window as they are taken. */
class RequestQueue<Req> implements AsyncIterable<Req>, AsyncIterator<Req> {
  readonly #onTaken: (bytes: number) => void;
  readonly #queue: { readonly request: Req; readonly bytes: number }[] = [];
  #waiter: ((result: IteratorResult<Req>) => void) | undefined;
  #isEnded = false;

  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
  }

  push(request: Req, bytes: number): void {
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      this.#onTaken(bytes);
      waiter({ done: false, value: request });
      return;
    }
    if (this.#queue.length >= STREAM_REQUESTS_MAX) {
      throw new GrpcError(STATUS.resourceExhausted, `more than ${STREAM_REQUESTS_MAX} requests wait on this stream`);
    }
    this.#queue.push({ request, bytes });
  }

  end(): void {
    this.#isEnded = true;
    this.#waiter?.({ done: true, value: undefined });
    this.#waiter = undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Req>> {
    const first = this.#queue.shift();
    if (first !== undefined) {
      this.#onTaken(first.bytes);
      return Promise.resolve({ done: false, value: first.request });
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise(resolve => {
      this.#waiter = resolve;
    });
  }
}

/** Cuts messages out of a stream of bytes: one byte for compression, four for the length, the message. */
class Deframer {
  #rest: Buffer | undefined;

  push(chunk: Buffer): void {
    this.#rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
  }

  next(): Buffer | undefined {
    const bytes = this.#rest;
    if (bytes === undefined || bytes.length < PREFIX_BYTES) return undefined;
    if (bytes[0] !== 0) throw new GrpcError(STATUS.unimplemented, 'compressed messages are not understood here');
    const length = bytes.readUInt32BE(1);
    if (length > MESSAGE_BYTES_MAX) {
      const text = `grpc: received message larger than max (${length} vs. ${MESSAGE_BYTES_MAX})`;
      throw new GrpcError(STATUS.resourceExhausted, text);
    }
    const end = PREFIX_BYTES + length;
    if (bytes.length < end) return undefined;
    this.#rest = bytes.length === end ? undefined : bytes.subarray(end);
    return bytes.subarray(PREFIX_BYTES, end);
  }
}

function framed<Init>(message: Message<Init, unknown>, value: Init): Buffer {
  const bytes = message.encode(value, PREFIX_BYTES);
  bytes[0] = 0;
  bytes.writeUInt32BE(bytes.length - PREFIX_BYTES, 1);
  return bytes;
}

function statusFields(error: GrpcError): Fields {
  return {
    constants: [],
    others: [
      ['grpc-status', String(error.status)],
      ['grpc-message', percentEncoded(error.message)],
    ],
  };
}

/** Printable ASCII but `%` stands for itself. */
function percentEncoded(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
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

/** What a handler threw, where it is about the call itself. */
export function callError(error: unknown): GrpcError | undefined {
  if (error instanceof GrpcError) return error;
  if (error instanceof ProtoError) {
    return new GrpcError(STATUS.internal, `the request cannot be decoded: ${error.message}`, { cause: error });
  }
  return undefined;
}
