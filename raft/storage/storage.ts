/**
 * Where a member keeps its log. Implementations: `level.ts` (LevelDB, durable) and `memory.ts` (for tests and the
 * simulator, with crash and corruption injected); both pass `contract.ts`.
 *
 * Contract: one caller, one `save` in flight. What `save` resolved for survives any crash. After any failed write the
 * storage is poisoned: every later call rejects with {@link StorageFailedError} and the process must exit, because a
 * failed fsync must never be retried.
 */
import type { Entry, HardState, Membership, SnapshotMetadata } from '../core/types.ts';

/** What `open` found. */
export interface RecoveredState {
  readonly hardState: HardState;
  /** The log's entries after `snapshot.index`, contiguous. Kept in memory by the core. */
  readonly entries: readonly Entry[];
  /** What came before the first entry; index 0, term 0 and an empty membership on a new member. */
  readonly snapshot: SnapshotMetadata;
  /** Identity written by `initialize`; undefined on an empty directory. */
  readonly identity: MemberIdentity | undefined;
}

/** What can be had of a damaged log; see `LevelStorage.salvage`. */
export interface SalvagedState extends RecoveredState {
  readonly lost: {
    /** Records that were written behind the part that is whole, as far as anything still tells. */
    readonly records: number;
    /** The highest index and term that can be read there; 0 where nothing can. */
    readonly index: number;
    readonly term: number;
  };
}

/** Who this data directory belongs to; written once, checked at every open. */
export interface MemberIdentity {
  readonly clusterId: string;
  readonly memberId: string;
  readonly name: string;
}

/** One durable step: all of it or nothing of it is there after a crash. */
export interface SaveRequest {
  readonly hardState?: HardState;
  /**
   * Entries to append. If the first one's index is not past the end, the log is cut there first (a follower's conflict,
   * thesis 3.5). Contiguous among themselves.
   */
  readonly entries?: readonly Entry[];
}

/** The durable log of one member. */
export interface RaftStorage {
  /**
   * Reads everything back, checking each record's CRC and its chain to the record before.
   * @throws {LogCorruptError} where a hole, a bad CRC or a broken chain is found: the member must not vote and has to
   *   be rebuilt from its peers.
   * @throws {DataVersionError} where the directory was written by a newer version of raftsman.
   */
  open(): Promise<RecoveredState>;
  /** Writes the identity and the membership a new member starts with, durably. Refused when there is one already. */
  initialize(identity: MemberIdentity, membership: Membership): Promise<void>;
  /** Persists one step with fsync. */
  save(request: SaveRequest): Promise<void>;
  /**
   * Forgets entries up to and including `snapshot.index`, which the state machine holds durably, and remembers
   * `snapshot` as what came before. Durable.
   */
  compact(snapshot: SnapshotMetadata): Promise<void>;
  /** After a snapshot was installed: drops the whole log and starts after `snapshot.index`, with `hardState`. Durable. */
  reset(snapshot: SnapshotMetadata, hardState: HardState): Promise<void>;
  close(): Promise<void>;
}

/** The log on disk is not what was written: the member must be rebuilt from its peers. */
export class LogCorruptError extends Error {
  override readonly name = 'LogCorruptError';
  readonly code = 'RAFT_LOG_CORRUPT';
}

/** The data directory was written by a newer raftsman. */
export class DataVersionError extends Error {
  override readonly name = 'DataVersionError';
  readonly code = 'RAFT_DATA_VERSION';
}

/** A write failed earlier; nothing more is accepted. The process has to exit. */
export class StorageFailedError extends Error {
  override readonly name = 'StorageFailedError';
  readonly code = 'RAFT_STORAGE_FAILED';
}

/** Another process has this data directory open. */
export class DataLockedError extends Error {
  override readonly name = 'DataLockedError';
  readonly code = 'RAFT_DATA_LOCKED';
}
