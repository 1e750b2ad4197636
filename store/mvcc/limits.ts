/** The bounds of the replicated state. They are part of what `apply` decides, so every member must have the same ones. */

/**
 * The largest request that `apply` accepts, keys and values together. What a member lets be proposed can be set, up to
 * this; it is fixed, so that members with other settings cannot come to differ.
 */
export const REQUEST_BYTES_CEILING = 32 * 1024 * 1024;
/** As above, for the operations in one branch of a transaction, and the compares in it. */
export const TRANSACTION_OPERATIONS_CEILING = 4_096;
/** One key, in UTF-8. Kubernetes' longest names and paths stay far below. */
export const KEY_BYTES_MAX = 8 * 1024;
/** Leases at one time. */
export const LEASES_MAX = 1_000_000;
/** Alarms at one time: a few for each member that a cluster could have. */
export const ALARMS_MAX = 256;
/** Ids that the state gives to leases are below this; clients may choose larger ones. */
export const LEASE_IDS_COUNTED = 2 ** 48;
/** Transactions within transactions. */
export const TRANSACTION_DEPTH_MAX = 8;
/** The shortest and the longest life of a lease. */
export const LEASE_TTL_SECONDS_MIN = 1;
export const LEASE_TTL_SECONDS_MAX = 9_000_000_000;
/** Leases that one expiry command may end. */
export const LEASES_EXPIRED_PER_COMMAND_MAX = 256;
/** What a key costs besides its bytes, in the account of live bytes. */
export const KEY_OVERHEAD_BYTES = 64;
/** Changes whose leftovers one step of compaction removes, so that no step holds the event loop for long. */
export const COMPACTION_STEP_CHANGES = 2_000;
/** Users and roles of etcd's API, and what one role permits. */
export const AUTH_USERS_MAX = 10_000;
export const AUTH_ROLES_MAX = 1_000;
export const ROLE_PERMISSIONS_MAX = 1_000;
/** The name of a user or a role, in UTF-16 code units. */
export const AUTH_NAME_LENGTH_MAX = 256;
/** The hash of a password as text, and the secret that signs tokens. */
export const AUTH_HASH_LENGTH_MAX = 512;
