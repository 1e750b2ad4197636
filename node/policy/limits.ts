/** Bounds and rhythms of the network policies. */

/** Addresses in all sets of one node's table together. A cluster that needs more keeps the rules that stand, and says so. */
export const ELEMENTS_MAX = 262_144;
/** Rules of one chain: one chain is what a packet may have to walk through. */
export const RULES_PER_CHAIN_MAX = 4_096;
export const CHAINS_MAX = 4_096;
/** Rest between two updates, so that a burst of changes becomes one. */
export const SYNC_REST_MS = 20;
/** How often it is looked whether somebody removed the table. */
export const TABLE_CHECK_MS = 10_000;
/** How long a starting pod waits for its rules before its start is tried anew. */
export const ADMIT_TIMEOUT_MS = 10_000;
