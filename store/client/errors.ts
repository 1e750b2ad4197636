/** Turns what the replicated state refused into the errors that clients see, and back from their codes. */
import type { Refusal } from '../mvcc/command.ts';
import {
  AuthRefusedError,
  CompactedError,
  FencedError,
  FutureRevisionError,
  InvalidRequestError,
  KeyNotFoundError,
  LeaseExistsError,
  LeaseNotFoundError,
  MembershipRefusedError,
  NoSpaceError,
  QuotaExceededError,
  TransferFailedError,
  UnavailableError,
  UnknownOutcomeError,
  WatchLostError,
} from './client.ts';

/** The error for a refusal by the replicated state. */
export function refusalError(refusal: Refusal): Error {
  if (refusal.authReason !== undefined) return new AuthRefusedError(refusal.authReason, refusal.message);
  return errorFromCode(refusal.code, refusal.message, refusal.compactedRevision);
}

/** The error for a code that came over the wire; an unknown code leaves the outcome unknown. */
export function errorFromCode(code: string, message: string, compactedRevision?: number): Error {
  switch (code) {
    case 'STORE_COMPACTED':
      return new CompactedError(compactedRevision ?? 0);
    case 'STORE_FUTURE_REVISION':
      return new FutureRevisionError(message);
    case 'STORE_FENCED':
      return new FencedError(message);
    case 'STORE_INVALID_REQUEST':
      return new InvalidRequestError(message);
    case 'STORE_LEASE_NOT_FOUND':
      return new LeaseNotFoundError(message);
    case 'STORE_NO_SPACE':
      return new NoSpaceError(message);
    case 'STORE_LEASE_EXISTS':
      return new LeaseExistsError(message);
    case 'STORE_KEY_NOT_FOUND':
      return new KeyNotFoundError(message);
    case 'STORE_QUOTA_EXCEEDED':
      return new QuotaExceededError(message);
    case 'STORE_MEMBERSHIP_REFUSED':
      return new MembershipRefusedError(message);
    case 'STORE_TRANSFER_FAILED':
      return new TransferFailedError(message);
    case 'STORE_AUTH_REFUSED':
      // Which reason it was is asked for only where etcd's API is served, and there it does not come over a wire.
      return new AuthRefusedError('denied', message);
    case 'STORE_UNAVAILABLE':
      return new UnavailableError(message);
    case 'STORE_WATCH_LOST':
      return new WatchLostError(message);
    default:
      return new UnknownOutcomeError(message);
  }
}
