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
/** Batches are folded into a new checkpoint when they outgrow the last one, but not before they are this large. */
export const CHECKPOINT_BYTES_MIN = 32 * 1024 * 1024;
/** Revisions whose running hash is remembered, for comparing members. */
export const HASHES_KEPT = 4_096;
