/** What the core asks of its driver, and what the driver tells it back. */
import type { Message } from './messages.ts';
import type { Entry, HardState, MemberId, SnapshotMetadata } from './types.ts';

/** One durable write. There is never more than one under way. */
export interface PersistRequest {
  /** Names the write in {@link Advance}. */
  readonly sequence: number;
  /** If set: the log is to be dropped and started after this snapshot, with `hardState`; `entries` is empty then. */
  readonly reset: SnapshotMetadata | undefined;
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  /** To be sent once the write is durable, not before: they promise what it holds (thesis 3.8). */
  readonly messages: readonly Message[];
}

/** A ReadIndex attempt that a quorum has confirmed: state applied through `index` may answer it (thesis 6.4). */
export interface ReadState {
  readonly context: number;
  readonly index: number;
}

export interface ReadyOptions {
  /** False while a snapshot comes in. */
  readonly canApply: boolean;
  /**
   * A leader's news that more is committed waits for the next append instead of going out by itself. The driver that holds
   * it back must not do so for long: {@link Ready.isCommitUntold} says that somebody waits.
   */
  readonly holdCommit?: boolean;
}

export interface Ready {
  /** May go out at once; a leader's appends go while its own disk writes (thesis 10.2.1). */
  readonly messages: readonly Message[];
  readonly persist: PersistRequest | undefined;
  /** Committed entries to apply, in order; acknowledged by {@link Advance}. Empty until the last ones are. */
  readonly committed: readonly Entry[];
  readonly reads: readonly ReadState[];
  /** Members that need a snapshot to be sent. Reported once an attempt. */
  readonly snapshotsWanted: readonly MemberId[];
  /** On a leader: some member has not been told yet how far the log is committed. */
  readonly isCommitUntold: boolean;
}

/** What the driver has done. */
export interface Advance {
  /** The {@link PersistRequest} with this sequence is durable. */
  readonly persisted?: number;
  /** The state machine has applied through here. */
  readonly applied?: number;
}

export type ProposeResult =
  | { readonly accepted: true; readonly index: number; readonly term: number }
  | { readonly accepted: false; readonly reason: ProposeRefusal; readonly detail?: string };

/** Why nothing was proposed. None of them leaves a trace in the log. */
export type ProposeRefusal = 'notLeader' | 'transferring' | 'overloaded' | 'membershipPending' | 'membershipRefused';
