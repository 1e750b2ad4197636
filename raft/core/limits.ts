/** Every bound of the Raft core, in one place. All can be set per core; these are the defaults. */

export interface CoreLimits {
  /** Largest sum of entry sizes in one append message; a single larger entry still goes, alone. */
  readonly appendBytesMax: number;
  /** Entries sent to one follower and not yet acknowledged. */
  readonly inflightEntriesMax: number;
  /** Bytes sent to one follower and not yet acknowledged. Deep pipelines cost latency, so this stays small. */
  readonly inflightBytesMax: number;
  /** Entries of this leader that are not committed yet; beyond it proposals are refused as overload. */
  readonly uncommittedBytesMax: number;
  /** Bytes handed to the state machine in one go, so that applying never holds the event loop for long. */
  readonly applyBytesMax: number;
  /** Entries handed to the state machine in one go. */
  readonly applyEntriesMax: number;
  /** ReadIndex attempts waiting for their quorum. */
  readonly pendingReadsMax: number;
}

export const CORE_LIMITS: CoreLimits = {
  appendBytesMax: 1024 * 1024,
  inflightEntriesMax: 8192,
  inflightBytesMax: 8 * 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  applyBytesMax: 1024 * 1024,
  applyEntriesMax: 1024,
  pendingReadsMax: 1024,
};

/** What an entry costs beyond its data, in memory and on the wire, roughly; so that empty entries are not free. */
export const ENTRY_OVERHEAD_BYTES = 32;

/** Ids remembered as removed; far more than a cluster replaces in its life. */
export const REMOVED_IDS_MAX = 1024;

/** Members of all roles. Beyond a handful every one makes each write slower; this only keeps a mistake from growing. */
export const MEMBERS_MAX = 64;
