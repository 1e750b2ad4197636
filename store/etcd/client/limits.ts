/** The bounds of the client for a real etcd. What it shares with other clients of the store is in `store/limits.ts`. */

/** How long an endpoint may take to say how it is, connecting included. */
export const PROBE_TIMEOUT_MS = 2_000;
/** After so long without an answer to a read another endpoint is asked. */
export const READ_ATTEMPT_MS = 3_000;
/** An idle connection is tested this often; etcd cuts off clients that do it more often than every 5 s. */
export const KEEPALIVE_MS = 10_000;
export const KEEPALIVE_TIMEOUT_MS = 4_000;
/** Pauses between two attempts of gRPC to connect to an endpoint. */
export const RECONNECT_MS_MIN = 100;
export const RECONNECT_MS_MAX = 2_000;
/** Batches of one watch that wait for their reader; then the stream is paused, and etcd keeps the rest. */
export const WATCH_WAITING_BATCHES_MAX = 64;
/** How long a watch waits for the events of a revision that it has heard of before it asks whether there are any. */
export const PROGRESS_PATIENCE_MS = 10;
/** Between two such questions of one watch. */
export const PROGRESS_AGAIN_MS = 100;
/** A watch that stays behind what etcd has for so long in spite of asking is given up and made anew. */
export const WATCH_STALL_MS = 10_000;
/** Lease ids are drawn by the client so that a JavaScript number holds them exactly; how often it draws again. */
export const LEASE_ID_DRAWS_MAX = 4;
/** Far below what a number holds exactly: a raftsman store that takes such leases over counts on from the highest. */
export const LEASE_ID_MAX = 2 ** 50;
/** Keys that a snapshot reads at once. */
export const SNAPSHOT_PAGE_KEYS = 100;
/** How long a leader among masters may be silent before another takes its place. */
export const ELECTION_TTL_SECONDS = 5;
/** Renewals of that lease within its life. */
export const ELECTION_RENEWALS = 4;
/** Pauses between two attempts to take part in an election. */
export const ELECTION_RETRY_MS = 500;
/** How long a master that stops waits for its lease to be given back. */
export const ELECTION_RESIGN_MS = 1_000;
