/** The bounds of the store outside the replicated state; those of the state are in `mvcc/limits.ts`. */

/** Events that one watch hands over at once, unless a single revision holds more: a revision is never split. */
export const WATCH_BATCH_EVENTS_MAX = 1_000;
/** Revisions that a watch looks through at once for its events before it lets others work. */
export const WATCH_SCAN_REVISIONS_MAX = 5_000;
/** The shortest pause between two progress notices (etcd: 100 ms). */
export const WATCH_PROGRESS_MS_MIN = 10;
/** Watches on one member. */
export const WATCHES_MAX = 100_000;
