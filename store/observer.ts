/** What the replicated state tells whoever keeps count of it. Called on the hot path: must be quick and must not throw. */
import type { Applied, Command } from './mvcc/command.ts';

export interface ReplicaObserver {
  commandApplied?(command: Command, applied: Applied): void;
  /** What was applied went to the state's store on disk, which keeps it for a restart; without fsync. */
  stateWritten?(durationMs: number, bytes: number): void;
  /** The state on disk was made durable. */
  stateFlushed?(durationMs: number): void;
  /** The whole state was written anew. */
  checkpointWritten?(durationMs: number, bytes: number): void;
  /** A snapshot of another member has become the state. */
  snapshotRestored?(durationMs: number): void;
}
