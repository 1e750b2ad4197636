/** The bounds of the store outside the replicated state; those of the state are in `mvcc/limits.ts`. */

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
/** What is applied within this time is written to disk together. */
export const STATE_WRITE_PAUSE_MS = 5;
/** Batches are folded into a new checkpoint when they outgrow the last one, but not before they are this large. */
export const CHECKPOINT_BYTES_MIN = 32 * 1024 * 1024;
/** Revisions whose running hash is remembered, for comparing members. */
export const HASHES_KEPT = 4_096;
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
/** Setting up a connection to one member. */
export const CONNECT_TIMEOUT_MS = 2_000;
/** Parts of a snapshot that are on their way to a remote client without having been taken. */
export const SNAPSHOT_WINDOW_PARTS = 8;
/** Snapshots that one connection reads at a time. */
export const CONNECTION_SNAPSHOTS_MAX = 2;
/** A change of membership may wait for a member to catch up. */
export const MEMBERSHIP_TIMEOUT_MS = 120_000;
