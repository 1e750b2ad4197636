/**
 * gRPC over our HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), server side: methods with one request
 * or a stream of them, as routes that the server hands streams to. Compression is not offered. Start reading here.
 */
import type { StreamListener } from '../http2/stream.ts';
import type { Method } from '../proto/services.ts';
import { Call, type CallContext, type CallStart } from './call.ts';
import { Deframer, framed, PREFIX_BYTES } from './framing.ts';
import { RequestQueue } from './request-queue.ts';
import { GrpcError, STATUS } from './status.ts';

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
