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
  /** Proposals of this member's own callers that wait for their result. */
  readonly pendingProposals: number;
  /** What the log holds in memory. */
  readonly logBytes: number;
  /** How long the log's write that is under way has taken by now; 0 if none is. A disk that hangs shows here. */
  readonly appendingMs: number;
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

/** A member as it is announced; its role is the cluster's business. */
export type NewMember = Omit<MembershipEntry, 'role' | 'replaces'>;

/** What may be changed of a member. */
export interface MemberChanges {
  readonly name?: string;
  readonly peerAddress?: string;
  readonly clientUrl?: string;
}

export interface MembershipOptions {
  readonly timeoutMs?: number;
  /** Skips the check that a quorum of the new membership answers. The rules of Raft are never skipped. */
  readonly force?: boolean;
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
  /**
   * Adds a member that receives the log and never votes until it is promoted. Repeating it is harmless. Like all changes of
   * membership below, it works on any member (it is forwarded to the leader), and one runs at a time.
   * @throws {MembershipRefusedError} it makes no sense, or would cost the quorum; `message` says why and what to do.
   * @throws {OutcomeUnknownError} it did not end in time; it may still come about, and can be repeated.
   */
  addLearner(member: NewMember, options?: MembershipOptions): Promise<Membership>;
  /** Makes a learner a voter. Refused until it has caught up (thesis 4.2.1). A voter stays as it is. */
  promoteMember(id: MemberId, options?: MembershipOptions): Promise<Membership>;
  /** Adds a learner, waits until it has caught up, makes it a voter. What is there already is not done again. */
  addMember(member: NewMember, options?: MembershipOptions): Promise<Membership>;
  /** Takes a member out; its id is refused from then on. A leader that is to go hands over first. */
  removeMember(id: MemberId, options?: MembershipOptions): Promise<Membership>;
  /**
   * Puts a new member into the place of a voter, dead or alive: the new one comes in as a learner and catches up, then one
   * joint change swaps the two (thesis 4.3), so that there is never one voter more or less. It may bear the old one's name.
   */
  replaceMember(id: MemberId, by: NewMember, options?: MembershipOptions): Promise<Membership>;
  /** Changes what is known of a member, never its role. Peers use the new address at once. */
  updateMember(id: MemberId, changes: MemberChanges, options?: MembershipOptions): Promise<Membership>;
  /**
   * Hands leadership to a voter, by default the most complete one that answers.
   * @throws {TransferFailedError} there is no such voter, or it did not take over within an election timeout.
   */
  transferLeadership(to?: MemberId): Promise<void>;
  /**
   * Asks another member, or the leader, what raft itself does not know: their `onRequest` answers. Asking oneself works.
   * @throws {NotLeaderError} the leader was asked and is not known, cannot be reached, or no longer leads: nothing happened.
   * @throws {OutcomeUnknownError} the answer did not come.
   * @throws {PeerError} the other side's handler threw; `code` is its error's code.
   */
  request(
    to: MemberId | 'leader',
    method: string,
    body: Uint8Array,
    options: { readonly timeoutMs: number },
  ): Promise<Uint8Array>;
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
/** This member was removed from the cluster and will never be let in again. Reported through `onFatal`. */
export class RemovedError extends Error {
  override readonly name = 'RemovedError';
  readonly code = 'RAFT_REMOVED';
}
export function removedError(): RemovedError {
  return new RemovedError(
    'this member was removed from the cluster, and its id is never let in again: keep its data aside, and join again as a new member with an empty data directory',
  );
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
