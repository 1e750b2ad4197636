/** What Raft's errors mean to a client: certainly not done is told apart from not known. */
import { NotLeaderError, OutcomeUnknownError, OverloadedError, ProposalDroppedError } from '../../raft/index.ts';
import { UnavailableError, UnknownOutcomeError } from './client.ts';

export function writeError(error: unknown): unknown {
  if (error instanceof OutcomeUnknownError) {
    return new UnknownOutcomeError(`the write may or may not have happened: ${error.message}`, { cause: error });
  }
  return isCertainlyNotDone(error) ? unavailable(error) : error;
}

/** Reading twice does no harm, so a lost answer is only an answer not there yet. */
export function readError(error: unknown): unknown {
  return error instanceof OutcomeUnknownError || isCertainlyNotDone(error) ? unavailable(error) : error;
}

export function isCertainlyNotDone(error: unknown): error is Error {
  return error instanceof NotLeaderError || error instanceof ProposalDroppedError || error instanceof OverloadedError;
}

export function unavailable(cause: Error): UnavailableError {
  return new UnavailableError(`the store cannot answer now: ${cause.message}`, { cause });
}
