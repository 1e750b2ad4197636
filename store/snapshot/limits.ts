/** Bounds of snapshot files. */

/** The header, with what its owner attached (a cluster's keys are a few kilobytes). */
export const SNAPSHOT_HEADER_BYTES_MAX = 4 * 1024 * 1024;
/** One chunk of the body; see `codec/image.ts`. */
export const SNAPSHOT_CHUNK_BYTES_MAX = 1024 * 1024 * 1024;
/** What is read from a file at a time. */
export const SNAPSHOT_READ_BYTES = 1024 * 1024;
/** What is written to a file before it is made durable so far. */
export const SNAPSHOT_SYNC_BYTES = 1024 * 1024;
/**
 * How far a restore or a reset moves the revision on, so that no client ever meets a revision that it has seen before with
 * another content: more than a cluster writes between two snapshots.
 */
export const REVISION_BUMP = 1_000_000_000;
