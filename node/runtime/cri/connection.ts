/** The connection to a CRI runtime: where it listens, calls with their deadlines, what its errors mean. */
import { stat } from 'node:fs/promises';
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { RuntimeUnavailableError } from '../runtime.ts';
import { callTimeoutMs, connectTimeoutMs, messageBytesMax, reconnectMsMax, reconnectMsMin } from './limits.ts';
import { type Method, method, runtimeCalls } from './services.ts';

/** Where containerd's packages and CRI-O's have their sockets. */
export const containerdEndpoint = 'unix:///run/containerd/containerd.sock';
export const crioEndpoint = 'unix:///var/run/crio/crio.sock';

/** The runtime answered with an error. */
export class CriError extends Error {
  override readonly name = 'CriError';
  readonly code = 'RUNTIME_CRI';
  /** gRPC's status code. */
  readonly grpcCode: number;
  constructor(message: string, grpcCode: number, options?: ErrorOptions) {
    super(message, options);
    this.grpcCode = grpcCode;
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof CriError && error.grpcCode === status.NOT_FOUND;
}

export function isUnimplemented(error: unknown): boolean {
  return error instanceof CriError && error.grpcCode === status.UNIMPLEMENTED;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The path of a `unix:///path` endpoint or a bare path. Throws {@link RuntimeUnavailableError} for anything else. */
export function socketPathOf(endpoint: string): string {
  const path = endpoint.startsWith('unix://') ? endpoint.slice('unix://'.length) : endpoint;
  if (path.startsWith('/') && path.length > 1) return path;
  throw new RuntimeUnavailableError(
    `the runtime endpoint ${JSON.stringify(endpoint)} is not understood: give unix:///path/to/runtime.sock`,
  );
}

interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Headers; containerd's own services want a namespace. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export class CriConnection {
  readonly socketPath: string;
  readonly #client: Client;
  readonly #clock: Clock;

  /** Throws {@link RuntimeUnavailableError} for an endpoint that is none. Connects at the first call. */
  constructor(endpoint: string, clock: Clock) {
    this.socketPath = socketPathOf(endpoint);
    this.#clock = clock;
    this.#client = new Client(`unix://${this.socketPath}`, credentials.createInsecure(), {
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

  /**
   * One request, one answer. Throws {@link RuntimeUnavailableError} where nothing answers, {@link CriError} with what the
   * runtime says.
   */
  call<I, O>(target: Method<I, O>, request: I, options: CallOptions = {}): Promise<O> {
    const { timeoutMs = callTimeoutMs, signal } = options;
    const { promise, resolve, reject } = Promise.withResolvers<O>();
    const call = this.#client.makeUnaryRequest<I, O>(
      target.path,
      value => target.request.encode(value),
      answer => target.response.decode(answer),
      request,
      metadataOf(options.metadata),
      { deadline: this.#clock.now() + timeoutMs },
      (error, answer) => {
        signal?.removeEventListener('abort', abandon);
        if (error !== null) reject(this.#explain(error));
        else if (answer === undefined) reject(new CriError('the runtime gave no answer', status.UNKNOWN));
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
    if (error.code === status.UNAVAILABLE) {
      return new RuntimeUnavailableError(
        `the container runtime at ${this.socketPath} does not answer: ${error.details}`,
        {
          cause: error,
        },
      );
    }
    return new CriError(error.details || error.message, error.code, { cause: error });
  }
}

function metadataOf(values: Readonly<Record<string, string>> = {}): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(values)) metadata.set(name, value);
  return metadata;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'details' in error && 'code' in error;
}

export interface RuntimeIdentity {
  /** `containerd`, `cri-o` … */
  readonly name: string;
  readonly version: string;
}

const apiVersion = '0.1.0';
const oldVersionCall = method('runtime.v1alpha2.RuntimeService', 'Version', {
  request: runtimeCalls.version.request,
  response: runtimeCalls.version.response,
});

/** Finds out who is there. Throws {@link RuntimeUnavailableError} with what to do if it does not speak runtime.v1. */
export async function identify(connection: CriConnection): Promise<RuntimeIdentity> {
  const { socketPath } = connection;
  const options = { timeoutMs: connectTimeoutMs };
  if ((await stat(socketPath).catch(() => undefined)) === undefined) {
    throw new RuntimeUnavailableError(
      `no container runtime listens at ${socketPath}: install and start containerd 1.6 or CRI-O 1.25 or later, or name its socket with --runtime-endpoint`,
    );
  }
  try {
    const { runtimeName, runtimeVersion } = await connection.call(
      runtimeCalls.version,
      { version: apiVersion },
      options,
    );
    return { name: runtimeName, version: runtimeVersion };
  } catch (error) {
    if (error instanceof RuntimeUnavailableError) throw error;
    if (!isUnimplemented(error)) {
      throw new RuntimeUnavailableError(`the container runtime at ${socketPath} cannot be used: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
  const old = await connection.call(oldVersionCall, { version: apiVersion }, options).catch(() => undefined);
  if (old !== undefined) {
    throw new RuntimeUnavailableError(
      `${old.runtimeName} ${old.runtimeVersion} at ${socketPath} is too old (CRI v1alpha2 only): install containerd 1.6 or CRI-O 1.25 or later`,
    );
  }
  throw new RuntimeUnavailableError(
    `what listens at ${socketPath} offers no CRI: if it is containerd, take "cri" out of disabled_plugins in /etc/containerd/config.toml (Docker's packages switch it off) and restart it`,
  );
}
