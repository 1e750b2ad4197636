/** A connection to a gRPC server on a unix socket: calls with their deadlines. What an error means, its user says. */
import type { Client, ClientDuplexStream, ClientReadableStream, Metadata, ServiceError } from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { grpc } from './libraries.ts';
import { messageBytesMax, reconnectMsMax, reconnectMsMin } from './limits.ts';
import type { Method } from './method.ts';
import { status } from './status.ts';

export interface CallOptions {
  /** How long the answer may take. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Headers. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What gRPC says of a call that failed. */
export interface CallFailure {
  /** gRPC's status code. */
  readonly grpcCode: number;
  readonly message: string;
  readonly cause?: unknown;
}

export interface GrpcConnectionOptions {
  readonly socketPath: string;
  readonly clock: Clock;
  /** The error that the caller sees. */
  readonly explain: (failure: CallFailure) => Error;
}

export class GrpcConnection {
  readonly #options: GrpcConnectionOptions;
  readonly #client: Client;

  /** Connects at the first call. */
  constructor(options: GrpcConnectionOptions) {
    this.#options = options;
    const { Client, credentials } = grpc();
    this.#client = new Client(`unix://${options.socketPath}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_send_message_length': messageBytesMax,
      'grpc.initial_reconnect_backoff_ms': reconnectMsMin,
      'grpc.max_reconnect_backoff_ms': reconnectMsMax,
      // gRPC must repeat nothing by itself: it cannot know what may be done twice.
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
    });
  }

  /** One request, one answer. Throws what `explain` makes of a failure. */
  call<I, O>(target: Method<I, O>, request: I, { timeoutMs, signal, metadata }: CallOptions): Promise<O> {
    const { promise, resolve, reject } = Promise.withResolvers<O>();
    const call = this.#client.makeUnaryRequest<I, O>(
      target.path,
      value => target.request.encode(value),
      answer => target.response.decode(answer),
      request,
      metadataOf(metadata),
      { deadline: this.#options.clock.now() + timeoutMs },
      (error, answer) => {
        signal?.removeEventListener('abort', abandon);
        if (error !== null) reject(this.#explain(error));
        else if (answer === undefined)
          reject(this.#options.explain({ grpcCode: status.UNKNOWN, message: 'no answer was given' }));
        else resolve(answer);
      },
    );
    const abandon = () => call.cancel();
    if (signal?.aborted) abandon();
    signal?.addEventListener('abort', abandon, { once: true });
    return promise;
  }

  /** One request, answers until one side ends. Errors come while reading, as from {@link call}. */
  async *stream<I, O>(target: Method<I, O>, request: I, signal: AbortSignal): AsyncGenerator<O> {
    const answers: ClientReadableStream<O> = this.#client.makeServerStreamRequest<I, O>(
      target.path,
      value => target.request.encode(value),
      answer => target.response.decode(answer),
      request,
    );
    const abandon = () => answers.cancel();
    signal.addEventListener('abort', abandon, { once: true });
    try {
      yield* answers as AsyncIterable<O>;
    } catch (error) {
      if (!signal.aborted) throw isServiceError(error) ? this.#explain(error) : error;
    } finally {
      signal.removeEventListener('abort', abandon);
      abandon();
    }
  }

  /** Messages both ways. */
  duplex<I, O>(target: Method<I, O>, metadata: Readonly<Record<string, string>>): ClientDuplexStream<I, O> {
    return this.#client.makeBidiStreamRequest<I, O>(
      target.path,
      value => target.request.encode(value),
      answer => target.response.decode(answer),
      metadataOf(metadata),
    );
  }

  close(): void {
    this.#client.close();
  }

  #explain(error: ServiceError): Error {
    return this.#options.explain({ grpcCode: error.code, message: error.details || error.message, cause: error });
  }
}

function metadataOf(values: Readonly<Record<string, string>> = {}): Metadata {
  const metadata = new (grpc().Metadata)();
  for (const [name, value] of Object.entries(values)) metadata.set(name, value);
  return metadata;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'details' in error && 'code' in error;
}
