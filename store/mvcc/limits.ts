/** The bounds of the replicated state. They are part of what `apply` decides, so every member must have the same ones. */

/** A whole request, keys and values together (etcd: 1.5 MiB). */
export const REQUEST_BYTES_MAX = 1.5 * 1024 * 1024;
/** Operations in one branch of a transaction, and compares in it (etcd: 128). */
export const TRANSACTION_OPERATIONS_MAX = 128;
/** One key, in UTF-8. Kubernetes' longest names and paths stay far below. */
export const KEY_BYTES_MAX = 8 * 1024;
/** Live keys and values together (etcd: 2 GiB). Past it only deletes, lease revocations and compactions are accepted. */
export const LIVE_BYTES_MAX = 2 * 1024 * 1024 * 1024;
/** Leases at one time. */
export const LEASES_MAX = 1_000_000;
/** The shortest and the longest life of a lease. */
export const LEASE_TTL_SECONDS_MIN = 1;
export const LEASE_TTL_SECONDS_MAX = 9_000_000_000;
/** Leases that one expiry command may end. */
export const LEASES_EXPIRED_PER_COMMAND_MAX = 256;
/** What a key costs besides its bytes, in the account of live bytes. */
export const KEY_OVERHEAD_BYTES = 64;
/** Changes whose leftovers one step of compaction removes, so that no step holds the event loop for long. */
export const COMPACTION_STEP_CHANGES = 2_000;
