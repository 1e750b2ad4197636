/** Every bound and period of the scheduler, by name (defaults of kube-scheduler 1.33). */

/** Bindings under way at once; also what makes the loop give way to others. */
export const BINDINGS_CONCURRENT_MAX = 64;
/** Pods whose volumes are being bound or made at once: they wait for others, so they are counted apart. */
export const VOLUME_BINDINGS_CONCURRENT_MAX = 1_000;
/** How long a pod waits for its claims to be bound before it is tried anew (VolumeBindingArgs). */
export const VOLUME_BINDING_TIMEOUT_MS = 600_000;
/** Victims that are evicted at the same time. */
export const EVICTIONS_CONCURRENT_MAX = 16;
/** A pod that found no node waits this long before it is tried again, doubled with each attempt. */
export const BACKOFF_MS_MIN = 1_000;
export const BACKOFF_MS_MAX = 10_000;
/** A pod that nothing woke is tried again after this long at the latest. */
export const UNSCHEDULABLE_MS_MAX = 300_000;
/** Pods that the queue holds. More are left out and looked for again when there is room. */
export const QUEUE_PODS_MAX = 500_000;
export const QUEUE_REFILL_MS = 30_000;
/** While no more pods than this wait out a back-off, an idle scheduler tries them early (KEP-5142). */
export const BACKOFF_POP_PODS_MAX = 1_000;
/** Clusters up to this size are searched completely; in larger ones a share of feasible nodes suffices. */
export const NODES_SEARCHED_MIN = 100;
export const NODES_SEARCHED_PERCENT_MIN = 5;
/** Nodes on which a preemption is tried out: this share of those that it could help on, but no fewer than the minimum. */
export const PREEMPTION_CANDIDATES_PERCENT = 10;
export const PREEMPTION_CANDIDATES_MIN = 100;
/** The API refuses events of this style that say more (k/k validation.NoteLengthLimit). */
export const EVENT_NOTE_LENGTH_MAX = 1_024;
export const SCORE_MAX = 100;
/** What a container without requests counts for when nodes are compared. */
export const DEFAULT_CPU_MILLICORES = 100;
export const DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024;
/** Selectors whose pods are counted as they come and go; the one that was not asked for longest leaves. */
export const COUNTED_SELECTORS_MAX = 512;
