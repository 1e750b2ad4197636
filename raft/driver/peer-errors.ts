/** What an error that came back over the wire means to who asked: the errors that `node.ts` promises. */
import { PeerError, PeerUnreachableError } from '../transport/transport.ts';
import {
  MembershipRefusedError,
  NotLeaderError,
  OutcomeUnknownError,
  OverloadedError,
  ProposalDroppedError,
  TransferFailedError,
} from './node.ts';

export function meaningOf(error: unknown): unknown {
  if (error instanceof PeerUnreachableError) {
    if (error.isUnsent) return new NotLeaderError('the member cannot be reached', { cause: error });
    return new OutcomeUnknownError('the connection broke before the answer came', { cause: error });
  }
  if (!(error instanceof PeerError)) return error;
  switch (error.code) {
    case 'RAFT_NOT_LEADER':
      return new NotLeaderError(error.message);
    case 'RAFT_PROPOSAL_DROPPED':
      return new ProposalDroppedError(error.message);
    case 'RAFT_OVERLOADED':
      return new OverloadedError(error.message);
    case 'RAFT_MEMBERSHIP_REFUSED':
      return new MembershipRefusedError(error.message);
    case 'RAFT_TRANSFER_FAILED':
      return new TransferFailedError(error.message);
    case 'RAFT_OUTCOME_UNKNOWN':
      return new OutcomeUnknownError(error.message, { cause: error });
    default:
      return error;
  }
}

/** True where a call that may be repeated should be: nobody led, or the way to the leader was lost. */
export function isSafeToRepeat(error: unknown): boolean {
  if (error instanceof NotLeaderError || error instanceof ProposalDroppedError) return true;
  return error instanceof OutcomeUnknownError && error.cause instanceof PeerUnreachableError;
}
