/**
 * The bounds of the store outside the replicated state; those of the state, which `apply` looks at and which are therefore
 * the same everywhere, are in `mvcc/limits.ts`. What an operator may want to change is in {@link StoreLimits}.
 */
import assert from 'node:assert';
import { REQUEST_BYTES_CEILING, TRANSACTION_OPERATIONS_CEILING } from './mvcc/limits.ts';

/** Events that one watch hands over at once, unless a single revision holds more: a revision is never split. */
export const WATCH_BATCH_EVENTS_MAX = 1_000;
/** Revisions that a watch looks through at once for its events before it lets others work. */
export const WATCH_SCAN_REVISIONS_MAX = 5_000;
/** The shortest pause between two progress notices (etcd: 100 ms). */
export const WATCH_PROGRESS_MS_MIN = 10;
/** Watches on one member. */
export const WATCHES_MAX = 100_000;
/** What the state on disk may lag behind the state in memory before new writes are refused. */
export const UNWRITTEN_BYTES_MAX = 64 * 1024 * 1024;
/**
 * A member whose state disk takes nothing at all goes on as a follower, in memory; when this many times the bytes above wait,
 * it ends instead of eating all memory.
 */
export const UNWRITTEN_FATAL_FACTOR = 4;
/** What is applied within this time is written to disk together. */
export const STATE_WRITE_PAUSE_MS = 5;
/** Batches are folded into a new checkpoint when they outgrow the last one, but not before they are this large. */
export const CHECKPOINT_BYTES_MIN = 32 * 1024 * 1024;
/** Revisions whose running hash is remembered, for comparing members. */
export const HASHES_KEPT = 32_768;
/** How often the leader looks for leases that are over. */
export const LEASE_CHECK_MS = 250;
/** A look that comes later than this means that the leader was asleep, and leases get that time back. */
export const LEASE_CHECK_LATE_MS = 1_000;
/** History is kept for so long by default (Kubernetes compacts every five minutes) ... */
export const HISTORY_KEEP_MS = 5 * 60 * 1000;
/** ... but never more revisions than this, so that memory stays bounded under a storm of writes. */
export const HISTORY_REVISIONS_MAX = 500_000;
/** A client tries for so long to reach somebody who can answer. */
export const CLIENT_TIMEOUT_MS = 10_000;
/** Pauses between two tries, growing by doubling. */
export const RETRY_DELAY_MS_MIN = 20;
export const RETRY_DELAY_MS_MAX = 500;
/** Requests of one connection that are being answered at a time. */
export const CONNECTION_REQUESTS_MAX = 20_000;
/** Watches on one connection. */
export const CONNECTION_WATCHES_MAX = 10_000;
/** One frame as received; a range whose answer is larger has to be read in pages. */
export const FRAME_BYTES_MAX = 256 * 1024 * 1024;
/** Messages gathered into one frame. */
export const FRAME_MESSAGES_MAX = 1_000;
/** A connection that leaves so much unread is cut. */
export const CONNECTION_UNREAD_BYTES_MAX = FRAME_BYTES_MAX;
/** Batches of a watch that are on their way without having been taken by their reader. */
export const WATCH_WINDOW_BATCHES = 16;
/** A connection shows that it lives this often, and is given up after one silent interval more. */
export const PING_INTERVAL_MS = 2_000;
/** A write to the log that has not come back for so long never will: the member is not alive any more. */
export const LOG_WRITE_STALLED_MS = 30_000;
/** A member that is asked whether it is ready confirms a read with the quorum in this time. */
export const READ_CHECK_MS = 1_000;
/** How long a member that is to join looks for its cluster, and how long it pauses between two tries. */
export const JOIN_TIMEOUT_MS = 120_000;
export const JOIN_PAUSE_MS = 200;
/** Setting up a connection to one member. */
export const CONNECT_TIMEOUT_MS = 2_000;
/** A client that has not finished its TLS handshake by then is let go. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Parts of a snapshot that are on their way to a remote client without having been taken. */
export const SNAPSHOT_WINDOW_PARTS = 8;
/** Snapshots that one connection reads at a time. */
export const CONNECTION_SNAPSHOTS_MAX = 2;
/** A change of membership may wait for a member to catch up. */
export const MEMBERSHIP_TIMEOUT_MS = 120_000;
/** How often a member tries to tell the cluster its new addresses. */
export const ADDRESS_RETRY_MS = 1_000;
/** Live keys and values together (etcd: 2 GiB). Past it only deletes, lease revocations and compactions are accepted. */
export const QUOTA_BYTES = 2 * 1024 * 1024 * 1024;
/** A full store takes puts again once it holds less than this part of its quota. */
export const QUOTA_CLEAR_SHARE = 0.95;
/** How often the leader looks whether a full store is full no more. */
export const QUOTA_CHECK_MS = 1_000;
/** How often a member looks how much space its disk has. */
export const DISK_CHECK_MS = 3_000;
/** Below so much free space a member asks the cluster for no more puts ... */
export const DISK_RESERVE_BYTES_MIN = 64 * 1024 * 1024;
/** ... or below this part of a larger disk, though never more than a gibibyte. */
export const DISK_RESERVE_SHARE = 0.01;
export const DISK_RESERVE_BYTES_MAX = 1024 * 1024 * 1024;
/** Puts are taken again once there is this much more than the reserve. */
export const DISK_CLEAR_FACTOR = 1.25;
/** A member does not start with less than this part of the reserve: it waits. */
export const DISK_START_SHARE = 0.25;
/** The full disk of a member that nobody has heard of for so long holds up the others no more. */
export const DISK_ALARM_ABSENT_MS = 30_000;
/** How often members compare what they hold, and how long one of them may take to answer. */
export const HASH_CHECK_MS = 10_000;
export const HASH_ANSWER_MS = 5_000;
/** A member that is asked for a revision that it does not have yet waits for it so long. */
export const HASH_WAIT_MS = 2_000;

/** What can be set on a member; none of it changes what the replicated state decides, so members may differ. */
export interface StoreLimits {
  /** A whole request, keys and values together (etcd: 1.5 MiB). */
  readonly requestBytesMax: number;
  /** Operations in one branch of a transaction, and compares in it (etcd: 128). */
  readonly transactionOperationsMax: number;
  /** Live keys and values together. */
  readonly quotaBytes: number;
  /** Writes of this member's clients that wait for their outcome. */
  readonly proposalsWaitingMax: number;
  /** Committed entries that this member has not applied (etcd: 5,000). */
  readonly applyLagMax: number;
  /** What the state on disk may lag behind the state in memory. */
  readonly unwrittenBytesMax: number;
  /** How long a call tries to get an answer. */
  readonly clientTimeoutMs: number;
  /** Watches on this member. */
  readonly watchesMax: number;
  /** Events that one watch hands over at once, unless one revision holds more. */
  readonly watchBatchEventsMax: number;
  /** Revisions that a watch looks through at once before it lets others work. */
  readonly watchScanRevisionsMax: number;
  /** Of one remote connection: requests that are being answered, watches, and batches of a watch on their way. */
  readonly connectionRequestsMax: number;
  readonly connectionWatchesMax: number;
  readonly watchWindowBatches: number;
  /** How long history can be read and watched, and how many revisions of it at most. */
  readonly historyKeepMs: number;
  readonly historyRevisionsMax: number;
  /** Batches are folded into a new checkpoint when they outgrow the last one, but not before they are this large. */
  readonly checkpointBytesMin: number;
  /** Free space below which puts are refused; undefined for a hundredth of the disk, between 64 MiB and 1 GiB. */
  readonly diskReserveBytes: number | undefined;
  readonly diskCheckMs: number;
  /** How often members compare what they hold. */
  readonly hashCheckMs: number;
}

export const STORE_LIMITS: StoreLimits = {
  requestBytesMax: 1.5 * 1024 * 1024,
  transactionOperationsMax: 128,
  quotaBytes: QUOTA_BYTES,
  proposalsWaitingMax: 50_000,
  applyLagMax: 5_000,
  unwrittenBytesMax: UNWRITTEN_BYTES_MAX,
  clientTimeoutMs: CLIENT_TIMEOUT_MS,
  watchesMax: WATCHES_MAX,
  watchBatchEventsMax: WATCH_BATCH_EVENTS_MAX,
  watchScanRevisionsMax: WATCH_SCAN_REVISIONS_MAX,
  connectionRequestsMax: CONNECTION_REQUESTS_MAX,
  connectionWatchesMax: CONNECTION_WATCHES_MAX,
  watchWindowBatches: WATCH_WINDOW_BATCHES,
  historyKeepMs: HISTORY_KEEP_MS,
  historyRevisionsMax: HISTORY_REVISIONS_MAX,
  checkpointBytesMin: CHECKPOINT_BYTES_MIN,
  diskReserveBytes: undefined,
  diskCheckMs: DISK_CHECK_MS,
  hashCheckMs: HASH_CHECK_MS,
};

/** What a setting may at most be; the state itself accepts no more. */
const CEILINGS: Partial<Record<keyof StoreLimits, number>> = {
  requestBytesMax: REQUEST_BYTES_CEILING,
  transactionOperationsMax: TRANSACTION_OPERATIONS_CEILING,
};

/** Fills in the defaults. @throws {RangeError} a setting is no positive number, or above what is possible */
export function resolveLimits(settings: Partial<StoreLimits> = {}): StoreLimits {
  const limits = { ...STORE_LIMITS, ...settings };
  // The names are those of the object that was just made.
  for (const name of Object.keys(STORE_LIMITS) as (keyof StoreLimits)[]) {
    const value = limits[name];
    if (value === undefined && name === 'diskReserveBytes') continue;
    if (value === undefined || !Number.isFinite(value) || value <= 0) {
      throw new RangeError(`the limit ${name} must be a positive number`);
    }
    const ceiling = CEILINGS[name];
    if (ceiling !== undefined && value > ceiling) throw new RangeError(`the limit ${name} may be at most ${ceiling}`);
  }
  return limits;
}

assert(STORE_LIMITS.requestBytesMax <= REQUEST_BYTES_CEILING);
assert(STORE_LIMITS.transactionOperationsMax <= TRANSACTION_OPERATIONS_CEILING);
assert(REQUEST_BYTES_CEILING < FRAME_BYTES_MAX);
