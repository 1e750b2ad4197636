/** What members say to each other. Owned by the core; the transport carries it without looking inside. */
import type { Entry, MemberId } from './types.ts';

interface Envelope {
  readonly from: MemberId;
  readonly to: MemberId;
  /** The sender's term; for a pre-vote the term it would campaign in. */
  readonly term: number;
}

/** Asks whether an election could be won, without disturbing anyone (thesis 9.6), or asks for a real vote (3.4). */
export interface VoteRequest extends Envelope {
  readonly type: 'preVoteRequest' | 'voteRequest';
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
  /** Set by a leadership transfer: the receiver must not apply leader stickiness (thesis 4.2.3). */
  readonly transfer: boolean;
}

export interface VoteResponse extends Envelope {
  readonly type: 'preVoteResponse' | 'voteResponse';
  readonly granted: boolean;
}

/** Replicates entries; empty entries make a heartbeat (thesis 3.5). */
export interface AppendRequest extends Envelope {
  readonly type: 'appendRequest';
  readonly previousIndex: number;
  readonly previousTerm: number;
  readonly entries: readonly Entry[];
  readonly commit: number;
  /** What the receiver acknowledged to this leader in this term. One that has less has lost what it promised. */
  readonly acknowledgedIndex: number;
  /** Names the round of heartbeats, so that an acknowledgement proves leadership for a ReadIndex (thesis 6.4). */
  readonly readContext: number;
}

export interface AppendResponse extends Envelope {
  readonly type: 'appendResponse';
  readonly success: boolean;
  /** On success the last index known to match; on refusal a hint where to try next. */
  readonly matchIndex: number;
  /** On refusal, the term of the entry at the hint, to skip whole terms (thesis 3.5, end). */
  readonly hintTerm: number;
  /** The request's `previousIndex`, so that the leader can tell an answer to an old probe from one to its last. */
  readonly previousIndex: number;
  /** True if the member's state machine is behind the start of its own log: only a snapshot helps. */
  readonly needsSnapshot: boolean;
  readonly readContext: number;
}

/** Tells the leader how a snapshot transfer ended at the receiver. */
export interface SnapshotStatus extends Envelope {
  readonly type: 'snapshotStatus';
  readonly success: boolean;
  readonly matchIndex: number;
}

/** Tells a follower to campaign at once (thesis 3.10). */
export interface TimeoutNow extends Envelope {
  readonly type: 'timeoutNow';
}

export type Message = VoteRequest | VoteResponse | AppendRequest | AppendResponse | SnapshotStatus | TimeoutNow;
