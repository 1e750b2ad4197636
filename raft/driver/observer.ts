/**
 * What a member tells whoever keeps count of it, for metrics. Called on the hot path, but once a batch and never once a
 * command: must be quick and must not throw. All times are on the driver's clock.
 */
import type { MemberId } from '../core/types.ts';
import type { TransportObserver } from '../transport/observer.ts';

/** How a snapshot's way to or from a peer ended. */
export interface SnapshotTransfer {
  readonly isComplete: boolean;
  readonly durationMs: number;
  readonly bytes: number;
}

export interface RaftObserver extends TransportObserver {
  /** Another leader is known, or none is any more. */
  leaderChanged?(leader: MemberId | undefined, term: number): void;
  /** So many proposals of this member's own callers failed, for whatever reason. */
  proposalsFailed?(count: number): void;
  /** The log's write, with its fsync, is done. */
  appended?(durationMs: number, entries: number, bytes: number): void;
  /** On the leader: from handing a batch to disk and followers to knowing that it is committed. */
  committed?(durationMs: number): void;
  /** The state machine has taken a batch. */
  applied?(durationMs: number, entries: number): void;
  /** An attempt to read linearizably was confirmed; all reads of a turn share one. */
  readIndexed?(durationMs: number): void;
  /** So many reads found no leader to confirm them in time. */
  readsFailed?(count: number): void;
  /** On the leader: this member was too slow to send the peer its heartbeats in time. */
  heartbeatFailed?(peer: MemberId): void;
  snapshotSending?(to: MemberId): void;
  snapshotSent?(to: MemberId, transfer: SnapshotTransfer): void;
  snapshotReceiving?(from: MemberId): void;
  snapshotReceived?(from: MemberId, transfer: SnapshotTransfer): void;
}
