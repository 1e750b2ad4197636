/** One CSI driver by its socket: its calls with their deadlines, and what it says when it refuses. */
import type { Clock } from '../../clock.ts';
import { type CallFailure, GrpcConnection } from '../../grpc/connection.ts';
import type { Method } from '../../grpc/method.ts';
import { status, statusName } from '../../grpc/status.ts';

/** A driver, or its registrar, refused or did not answer; the message is as gRPC's clients write it. */
export class CsiError extends Error {
  override readonly name = 'CsiError';
  readonly code = 'NODE_CSI';
  /** gRPC's status code. */
  readonly grpcCode: number;

  constructor({ grpcCode, message, cause }: CallFailure) {
    // Go's names: DeadlineExceeded for DEADLINE_EXCEEDED.
    const name = (statusName(grpcCode) ?? 'Unknown').replace(
      /([A-Z])([A-Z]*)_?/g,
      (_, first: string, rest: string) => first + rest.toLowerCase(),
    );
    super(`rpc error: code = ${name} desc = ${message}`, { cause });
    this.grpcCode = grpcCode;
  }
}

/** No driver of that name is registered on this node now. */
export class CsiDriverMissingError extends Error {
  override readonly name = 'CsiDriverMissingError';
  readonly code = 'NODE_CSI_DRIVER_MISSING';
}

/** The path in `unix:///path`, `unix:/path` or a bare path. Throws {@link CsiError} for anything else. */
export function socketPathOf(endpoint: string): string {
  const path = endpoint.replace(/^unix:(\/\/)?(?=\/)/, '');
  if (path.startsWith('/') && path.length > 1) return path;
  const message = `the endpoint ${JSON.stringify(endpoint)} is no unix socket`;
  throw new CsiError({ grpcCode: status.INVALID_ARGUMENT, message });
}

/** One call over a connection of its own: drivers are called seldom, and one that was restarted listens on a new socket. */
export async function callSocket<I, O>(
  { socketPath, clock }: { readonly socketPath: string; readonly clock: Clock },
  target: Method<I, O>,
  request: I,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<O> {
  const connection = new GrpcConnection({ socketPath, clock, explain: failure => new CsiError(failure) });
  try {
    return await connection.call(target, request, options);
  } finally {
    connection.close();
  }
}
