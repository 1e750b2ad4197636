/** The connection to a CRI runtime: where it listens, calls with their deadlines, what its errors mean. */
import { stat } from 'node:fs/promises';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { type CallFailure, type CallOptions, GrpcConnection } from '../../grpc/connection.ts';
import { type Method, method } from '../../grpc/method.ts';
import { status } from '../../grpc/status.ts';
import type { Clock } from '../clock.ts';
import { RuntimeUnavailableError } from '../runtime.ts';
import { callTimeoutMs, connectTimeoutMs } from './limits.ts';
import { runtimeCalls } from './services.ts';

/** Where containerd's packages have its socket. */
export const containerdEndpoint = 'unix:///run/containerd/containerd.sock';

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

interface CriCallOptions extends Omit<CallOptions, 'timeoutMs'> {
  readonly timeoutMs?: number;
}

export class CriConnection {
  readonly socketPath: string;
  readonly #connection: GrpcConnection;

  /** Throws {@link RuntimeUnavailableError} for an endpoint that is none. Connects at the first call. */
  constructor(endpoint: string, clock: Clock) {
    const socketPath = socketPathOf(endpoint);
    this.socketPath = socketPath;
    const explain = (failure: CallFailure) => explainFailure(socketPath, failure);
    this.#connection = new GrpcConnection({ socketPath, clock, explain });
  }

  /**
   * One request, one answer. Throws {@link RuntimeUnavailableError} where nothing answers, {@link CriError} with what the
   * runtime says.
   */
  call<I, O>(target: Method<I, O>, request: I, options: CriCallOptions = {}): Promise<O> {
    return this.#connection.call(target, request, { timeoutMs: callTimeoutMs, ...options });
  }

  /** One request, answers until one side ends. Errors come while reading, as from {@link call}. */
  stream<I, O>(target: Method<I, O>, request: I, signal: AbortSignal): AsyncGenerator<O> {
    return this.#connection.stream(target, request, signal);
  }

  /** Messages both ways. */
  duplex<I, O>(target: Method<I, O>, metadata: Readonly<Record<string, string>>): ClientDuplexStream<I, O> {
    return this.#connection.duplex(target, metadata);
  }

  close(): void {
    this.#connection.close();
  }
}

function explainFailure(socketPath: string, { grpcCode, message, cause }: CallFailure): Error {
  if (grpcCode !== status.UNAVAILABLE) return new CriError(message, grpcCode, { cause });
  return new RuntimeUnavailableError(`the container runtime at ${socketPath} does not answer: ${message}`, { cause });
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
