/** How a gRPC call ends: the codes, the error that carries one, and the trailers that tell it to the client. */
import type { Fields } from '../http2/stream.ts';
import { ProtoError } from '../proto/wire.ts';

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

/** What a handler threw, where it is about the call itself. */
export function callError(error: unknown): GrpcError | undefined {
  if (error instanceof GrpcError) return error;
  if (error instanceof ProtoError) {
    return new GrpcError(STATUS.internal, `the request cannot be decoded: ${error.message}`, { cause: error });
  }
  return undefined;
}

/** The trailers that end a call with this error. */
export function statusFields(error: GrpcError): Fields {
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
