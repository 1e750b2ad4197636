/**
 * What a failed call to etcd means. gRPC's code alone does not tell whether a write was carried out: UNAVAILABLE stands for
 * "there is no leader" as well as for "the answer was lost" (etcd issue 18424), so only what etcd is known to say before it
 * proposes anything counts as certainly not done. etcd's sentences are part of its API (api/v3rpc/rpctypes/error.go): its
 * own clients tell the errors apart by them, because the codes are too coarse.
 */
import { type ServiceError, status } from '@grpc/grpc-js';
import {
  FutureRevisionError,
  InvalidRequestError,
  KeyNotFoundError,
  LeaseExistsError,
  LeaseNotFoundError,
  QuotaExceededError,
  UnavailableError,
  UnknownOutcomeError,
} from '../../client/client.ts';

/** Whether doing a call twice changes anything. */
export type CallKind = 'read' | 'write';

/** etcd says that a revision is compacted, but not which one is the oldest that it still has. */
export class RevisionCompactedError extends Error {
  override readonly name = 'RevisionCompactedError';
  readonly code = 'ETCD_COMPACTED';
}
/** Said before anything was proposed, or instead of proposing it. */
const NOT_DONE = [
  'etcdserver: no leader',
  'etcdserver: not capable',
  'etcdserver: too many requests',
  'etcdserver: rpc not supported for learner',
  'etcdserver: corrupt cluster',
  'raft proposal dropped',
  'raft: proposal dropped',
];
const BY_SENTENCE: Readonly<Record<string, (message: string, cause: Error) => Error>> = {
  'etcdserver: mvcc: required revision has been compacted': (message, cause) =>
    new RevisionCompactedError(message, { cause }),
  'etcdserver: mvcc: required revision is a future revision': (message, cause) =>
    new FutureRevisionError(message, { cause }),
  'etcdserver: requested lease not found': (message, cause) => new LeaseNotFoundError(message, { cause }),
  'etcdserver: lease already exists': (message, cause) => new LeaseExistsError(message, { cause }),
  'etcdserver: key not found': (message, cause) => new KeyNotFoundError(message, { cause }),
  'etcdserver: mvcc: database space exceeded': (message, cause) => new QuotaExceededError(message, { cause }),
};
/** What etcd's gRPC says of a request that it does not even read. */
const TOO_LARGE = 'grpc: received message larger than max';
/** Codes that etcd gives only to what it refuses. */
const REFUSALS = new Set<number>([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.FAILED_PRECONDITION,
  status.OUT_OF_RANGE,
  status.UNIMPLEMENTED,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
]);

/** The error of `client.ts` for one that gRPC gave. */
export function callError(error: ServiceError, kind: CallKind): Error {
  const { details } = error;
  const known = BY_SENTENCE[details];
  if (known !== undefined) return known(`etcd refused: ${details}`, error);
  if (NOT_DONE.includes(details)) return unavailable(`etcd cannot answer now: ${details}`, error);
  if (REFUSALS.has(error.code) || details.startsWith(TOO_LARGE))
    return new InvalidRequestError(`etcd refused: ${details}`, { cause: error });
  if (kind === 'read') return unavailable(`etcd did not answer: ${details}`, error);
  return new UnknownOutcomeError(`the write may or may not have happened: ${details}`, { cause: error });
}

/** True where another endpoint may do better. */
export function isEndpointsFault(error: unknown): boolean {
  return error instanceof UnavailableError || error instanceof UnknownOutcomeError;
}

export function unavailable(message: string, cause?: unknown): UnavailableError {
  return new UnavailableError(message, { cause });
}
