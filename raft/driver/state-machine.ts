/**
 * What Raft replicates for: the state machine behind the log. Implemented by `store/replica.ts`.
 *
 * Contract: `apply` is deterministic and synchronous in its effect on readers; it may write to disk in its own time,
 * unsynced, because the log is the truth. `flush` makes everything applied so far durable; only then may the log
 * forget it.
 */
import type { Membership, SnapshotMetadata } from '../core/types.ts';

/** A committed command, in log order. */
export interface CommittedCommand {
  readonly index: number;
  /** The term of the entry: the leadership under which it was accepted. Writes can be fenced by it. */
  readonly term: number;
  /** May be a view into a larger buffer that is shared with the log: copy what is kept for long; never change it. */
  readonly data: Uint8Array;
}

/** A consistent picture of the state machine at `metadata.index`; stays valid while later commands are applied. */
export interface StateMachineSnapshot {
  readonly index: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  release(): void;
}

export interface StateMachine<Result = unknown> {
  /** Loads what is on disk and says up to which index it has applied (0 when new). */
  open(): Promise<{ readonly appliedIndex: number }>;
  /**
   * Applies committed commands in order; `throughIndex` is the last index covered, also when the last entries were
   * noops or membership changes. Returns one result a command, handed to the proposer if it is on this member.
   */
  apply(commands: readonly CommittedCommand[], throughIndex: number): readonly Result[];
  /** Makes all that was applied durable; resolves with the index up to which the log may forget. */
  flush(): Promise<number>;
  snapshot(): StateMachineSnapshot;
  /**
   * Replaces the whole state, atomically: a crash in between leaves the old or the new state. The new state must not
   * take effect before `chunks` has ended: at its end the log is replaced on disk first. If it throws, or `chunks` does,
   * the old state stays. `apply` is not called meanwhile.
   */
  restore(metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Called when the committed membership changes. */
  onMembership?(membership: Membership): void;
  close(): Promise<void>;
}
