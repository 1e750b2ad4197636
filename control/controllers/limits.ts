/** Every bound and period of the controllers, by name. */

/** Pods that one pass of a workload controller creates or deletes (k/k: BurstReplicas). */
export const POD_WRITES_MAX = 500;
/** The first batch of creations; each batch that succeeds doubles the next (k/k: SlowStartInitialBatchSize). */
export const SLOW_START_BATCH = 1;
/** Deletions under way at once. */
export const POD_DELETIONS_CONCURRENT_MAX = 50;
/** Keys that one workload controller works on at once. */
export const WORKERS = 5;

/** Endpoints in one EndpointSlice (k/k: --max-endpoints-per-slice). */
export const ENDPOINTS_PER_SLICE_MAX = 100;
/** Addresses in one Endpoints object (k/k: maxCapacity). */
export const ADDRESSES_PER_ENDPOINTS_MAX = 1000;

/** A namespace's content is looked at again after this long while something holds it. */
export const NAMESPACE_RETRY_MS_MIN = 500;
export const NAMESPACE_RETRY_MS_MAX = 10_000;

/** How often discovery is asked for kinds that came or went. */
export const DISCOVERY_PERIOD_MS = 30_000;
/** Owners that were looked up and are certainly gone. */
export const ABSENT_OWNERS_MAX = 10_000;

/** Silence after which a node is Unknown, unless settings say otherwise (node-monitor-grace-period). */
export const NODE_GRACE_PERIOD_MS = 40_000;

/** Pods of nodes that are gone are looked for this often, and a node must be gone this long (k/k: gc_controller.go). */
export const POD_GC_PERIOD_MS = 20_000;
export const POD_GC_QUARANTINE_MS = 40_000;
/** Finished pods kept in the cluster (k/k: --terminated-pod-gc-threshold). */
export const TERMINATED_PODS_MAX = 12_500;

/** Objects that the garbage collector works on at once (k/k: --concurrent-gc-syncs is 20). */
export const GARBAGE_WORKERS = 20;
/** How long an owner that is not in the cache may take to show up there before the API is asked for it. */
export const OWNER_GRACE_MS = 500;

/** Delay before a Job's failed pod is replaced, doubled with each failure (k/k: DefaultJobPodFailureBackOff). */
export const JOB_BACKOFF_MS_MIN = 10_000;
export const JOB_BACKOFF_MS_MAX = 600_000;

/** What has an end far ahead is looked at again after this long at the latest: timers count no more than 24 days. */
export const LOOK_AGAIN_MS_MAX = 24 * 3_600_000;

/** How soon it is looked again whether the objects of a deleted definition are gone. */
export const INSTANCES_RETRY_MS = 500;

/** An evicted pod that is not being deleted after this long is taken to stay (k/k disruption: DeletionTimeout). */
export const DISRUPTED_POD_MS = 120_000;
/** A pod that said it would go, and did not, takes its word back (k/k: stalePodDisruptionTimeout). */
export const STALE_DISRUPTION_MS = 120_000;

/** Quotas are counted anew at least this often (k/k: --resource-quota-sync-period). */
export const QUOTA_RESYNC_MS = 300_000;
/** Between two counts of one quota lies at least this, and ten times as long as the last took, up to a bound. */
export const QUOTA_SPACING_MS_MIN = 100;
export const QUOTA_SPACING_MS_MAX = 10_000;
export const QUOTA_SPACING_FACTOR = 10;
/** Attempts to write a count while others charge the same quota. */
export const QUOTA_WRITES_MAX = 16;
