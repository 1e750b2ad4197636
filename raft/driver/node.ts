/** What `raft/` offers to the store: one running member of a Raft group. Implemented by `driver.ts`. */
import type { MemberId, Membership, MembershipEntry } from '../core/types.ts';

/** Where this member stands, for status pages and for finding the leader. */
export interface RaftStatus {
  readonly id: MemberId;
  readonly clusterId: string;
  readonly role: 'leader' | 'follower' | 'candidate' | 'preCandidate' | 'learner';
  readonly term: number;
  /** The leader as far as this member knows. */
  readonly leader: MemberId | undefined;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly lastIndex: number;
  readonly membership: Membership;
  /** Only on the leader: how far each peer is. */
  readonly progress?: Readonly<Record<MemberId, { readonly matchIndex: number; readonly active: boolean }>>;
}

/** Leadership as the rest of the process sees it. */
export interface Leadership {
  /** True only while this member leads and has applied everything up to its own term's noop. */
  readonly isLeader: boolean;
  readonly term: number;
  readonly leader: MemberId | undefined;
}

export interface RaftNode<Result = unknown> {
  start(): Promise<void>;
  /**
   * Proposes a command on any member; a follower forwards it to the leader. Resolves with the state machine's result
   * once the command is committed and applied on this member.
   * @throws {NotLeaderError} nobody leads, and the command was certainly not accepted: safe to retry.
   * @throws {ProposalDroppedError} the command was certainly not committed: safe to retry.
   * @throws {OutcomeUnknownError} the command may or may not be committed: only the caller can know if a retry is safe.
   * @throws {OverloadedError} too much is waiting: certainly not accepted, retry later.
   */
  propose(data: Uint8Array, options?: { readonly timeoutMs?: number }): Promise<Result>;
  /** Resolves with an index once it is applied here, so that reading now is linearizable (ReadIndex, thesis 6.4). */
  readBarrier(options?: { readonly timeoutMs?: number }): Promise<number>;
  status(): RaftStatus;
  /** Calls back at once with the present leadership and then at each change; the answer ends it. */
  onLeadership(listener: (leadership: Leadership) => void): () => void;
  /** Adds a learner, waits until it has caught up, makes it a voter. On the leader, or forwarded to it. */
  addMember(member: Omit<MembershipEntry, 'role'>, options?: { readonly timeoutMs?: number }): Promise<Membership>;
  transferLeadership(to?: MemberId): Promise<void>;
  close(): Promise<void>;
}

/** Nobody leads, or the leader is not known: the command was certainly not accepted. */
export class NotLeaderError extends Error {
  override readonly name = 'NotLeaderError';
  readonly code = 'RAFT_NOT_LEADER';
}
/** Accepted, then certainly lost to a change of leader. */
export class ProposalDroppedError extends Error {
  override readonly name = 'ProposalDroppedError';
  readonly code = 'RAFT_PROPOSAL_DROPPED';
}
/** The answer did not come; the command may still be committed. */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError';
  readonly code = 'RAFT_OUTCOME_UNKNOWN';
}
/** A bound was reached: certainly not accepted. */
export class OverloadedError extends Error {
  override readonly name = 'OverloadedError';
  readonly code = 'RAFT_OVERLOADED';
}
/** The membership cannot change like that; `message` says why. */
export class MembershipRefusedError extends Error {
  override readonly name = 'MembershipRefusedError';
  readonly code = 'RAFT_MEMBERSHIP_REFUSED';
}
/** Leadership stayed where it was: the target did not catch up or did not answer in time. */
export class TransferFailedError extends Error {
  override readonly name = 'TransferFailedError';
  readonly code = 'RAFT_TRANSFER_FAILED';
}
/** The storage holds no identity and none was given to start with. */
export class NotInitializedError extends Error {
  override readonly name = 'NotInitializedError';
  readonly code = 'RAFT_NOT_INITIALIZED';
}
