/** Why a life of a member ends, told from the error that it ended with. */
import { LogCorruptError } from '../../raft/index.ts';

/** Thrown to end a life at a crash point. */
export class Crashed extends Error {}
/** A write that was made to fail. */
export class DiskFailed extends Error {}

/** A fault of the run was the cause, however deep. */
export function isExpected(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof Crashed || cause instanceof DiskFailed) return true;
  }
  return false;
}

/** The log is not what the member promised. */
export function isLogLoss(error: unknown): boolean {
  return error instanceof LogCorruptError || hasCode(error, 'RAFT_LOG_CORRUPT');
}

/** The cluster said that the member was taken out. */
export function isRemoval(error: unknown): boolean {
  return hasCode(error, 'RAFT_REMOVED');
}

/** The others said that the member holds something else. */
export function isDivergence(error: unknown): boolean {
  return hasCode(error, 'STORE_STATE_DIVERGED');
}

/** Which part of the disks a member found damaged when it started, if that was it. */
export function damageFound(error: unknown): 'log' | 'state' | undefined {
  if (error instanceof LogCorruptError) return 'log';
  return hasCode(error, 'STORE_STATE_CORRUPT') ? 'state' : undefined;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
