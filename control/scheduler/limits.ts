/** Every bound and period of the scheduler, by name (defaults of kube-scheduler 1.33). */

/** Bindings under way at once; also what makes the loop give way to others. */
export const BINDINGS_CONCURRENT_MAX = 64;
/** A pod that found no node waits this long before it is tried again, doubled with each attempt. */
export const BACKOFF_MS_MIN = 1_000;
export const BACKOFF_MS_MAX = 10_000;
/** A pod that nothing woke is tried again after this long at the latest. */
export const UNSCHEDULABLE_MS_MAX = 300_000;
/** Clusters up to this size are searched completely; in larger ones a share of feasible nodes suffices. */
export const NODES_SEARCHED_MIN = 100;
export const NODES_SEARCHED_PERCENT_MIN = 5;
export const SCORE_MAX = 100;
/** What a pod without requests counts for when nodes are compared. */
export const DEFAULT_CPU_MILLICORES = 100;
export const DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024;
