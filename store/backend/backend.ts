/**
 * Where a member keeps the replicated state for restart. Implementations: `level.ts` and `memory.ts`; both pass
 * `contract.ts`.
 *
 * The state on disk is one checkpoint, made of chunks, and the batches that were applied after it, each under a key of its
 * own, written once. Batches are not synced: the Raft log is the truth, and after a crash what is missing is applied again
 * from there. Contract: a batch is there whole or not at all, and never without all those before it; what `flush`
 * resolved for survives any crash; a new checkpoint takes the place of the old state all at once, durably.
 */

/** What `open` found. */
export interface StoredState {
  /** The chunks of the checkpoint; undefined if there has never been one. */
  readonly checkpoint: AsyncIterable<Uint8Array> | undefined;
  /** The batches since, in order. To be read after the checkpoint, to the end, before anything is appended. */
  readonly batches: AsyncIterable<Uint8Array>;
}

/** A checkpoint in the making. Exactly one of `commit` and `abandon` ends it. */
export interface CheckpointWriter {
  write(chunk: Uint8Array): Promise<void>;
  /** Puts it in the place of everything that was appended before it was begun. */
  commit(): Promise<void>;
  abandon(): Promise<void>;
}

export interface StateBackend {
  /**
   * @throws {StateCorruptError} what had been flushed is damaged or gone
   * @throws {StateVersionError} a newer version wrote it
   * @throws {StateLockedError} another process has it open
   */
  open(): Promise<StoredState>;
  /** Appends one batch. Calls may overlap; their order is kept. */
  append(batch: Uint8Array): Promise<void>;
  /** Makes all that was appended before durable. */
  flush(): Promise<void>;
  /** Begins a checkpoint that stands for all batches appended so far. One at a time. */
  beginCheckpoint(): CheckpointWriter;
  /**
   * Notes durably that this state must not be used any more: from then on `open` throws {@link StateCorruptError}, until the
   * whole state is set aside. The noted words come back in the error.
   */
  condemn(reason: string): Promise<void>;
  close(): Promise<void>;
}

/** The state on disk is not what was written: the member must be rebuilt from its peers. */
export class StateCorruptError extends Error {
  override readonly name = 'StateCorruptError';
  readonly code = 'STORE_STATE_CORRUPT';
}
/** The state was written by a newer raftsman. */
export class StateVersionError extends Error {
  override readonly name = 'StateVersionError';
  readonly code = 'STORE_STATE_VERSION';
}
/** Another process has the state open. */
export class StateLockedError extends Error {
  override readonly name = 'StateLockedError';
  readonly code = 'STORE_STATE_LOCKED';
}
/** A write failed; nothing more is accepted and the process has to exit. */
export class StateFailedError extends Error {
  override readonly name = 'StateFailedError';
  readonly code = 'STORE_STATE_FAILED';
}
