/** Every bound and period of the controllers, by name. */

/** Pods that one pass of a workload controller creates or deletes (k/k: BurstReplicas). */
export const POD_WRITES_MAX = 500;
/** The first batch of creations; each batch that succeeds doubles the next (k/k: SlowStartInitialBatchSize). */
export const SLOW_START_BATCH = 1;
/** Deletions under way at once. */
export const POD_DELETIONS_CONCURRENT_MAX = 50;
/** Names that are tried in one pass for a template whose name is another template's. */
export const REVISION_COLLISIONS_MAX = 10;
/** Characters of the annotation that tells a ReplicaSet's past revisions (k/k deployment: maxRevHistoryLengthInChars). */
export const REVISION_HISTORY_LENGTH_MAX = 2000;
/** Wait before a failed daemon is replaced again, doubled with each failure on its node (k/k daemon: failedPodsBackoff). */
export const DAEMON_BACKOFF_MS_MIN = 1000;
export const DAEMON_BACKOFF_MS_MAX = 15 * 60_000;
/** Nodes times DaemonSets whose failures are remembered. */
export const DAEMON_FAILURES_MAX = 10_000;
/** Keys that one workload controller works on at once. */
export const WORKERS = 5;

/** Endpoints in one EndpointSlice (k/k: --max-endpoints-per-slice). */
export const ENDPOINTS_PER_SLICE_MAX = 100;
/** Addresses of one subset that are mirrored to EndpointSlices (k/k: --mirroring-max-endpoints-per-subset). */
export const MIRRORED_ENDPOINTS_MAX = 1000;
/** Addresses in one Endpoints object (k/k: maxCapacity). */
export const ADDRESSES_PER_ENDPOINTS_MAX = 1000;

/** A namespace's content is looked at again after this long while something holds it. */
export const NAMESPACE_RETRY_MS_MIN = 500;
export const NAMESPACE_RETRY_MS_MAX = 10_000;
/** And after this long where nothing but finalizers holds it. */
export const NAMESPACE_HELD_RETRY_MS = 8_000;

/** How often discovery is asked for kinds that came or went. */
export const DISCOVERY_PERIOD_MS = 30_000;
/** The same while some group cannot be discovered. */
export const DISCOVERY_STALE_PERIOD_MS = 2_000;
/** Owners that were looked up and are certainly gone. */
export const ABSENT_OWNERS_MAX = 10_000;

/** How often a clock of waking time ticks, and from which gap between two ticks on the process has stood still. */
export const AWAKE_TICK_MS = 1_000;
export const AWAKE_STALL_MS = 4_000;
/** A node that stays silent is looked at again this often; one that speaks brings itself. */
export const SILENT_NODE_RECHECK_MS = 5_000;

/** Pods of nodes that are gone are looked for this often, and a node must be gone this long (k/k: gc_controller.go). */
export const POD_GC_PERIOD_MS = 20_000;
export const POD_GC_QUARANTINE_MS = 40_000;
/** Finished pods kept in the cluster (k/k: --terminated-pod-gc-threshold). */
export const TERMINATED_PODS_MAX = 12_500;

/** Objects that the garbage collector works on at once (k/k: --concurrent-gc-syncs is 20). */
export const GARBAGE_WORKERS = 20;
/** How long it waits at its start for kinds that cannot be listed (k/k garbagecollector: initialSyncTimeout). */
export const GARBAGE_SYNC_MS = 30_000;
/** How long an owner that is not in the cache may take to show up there before the API is asked for it. */
export const OWNER_GRACE_MS = 500;

/** Delay before a Job's failed pod is replaced, doubled with each failure (k/k: DefaultJobPodFailureBackOff). */
export const JOB_BACKOFF_MS_MIN = 10_000;
export const JOB_BACKOFF_MS_MAX = 600_000;

/** Delay after an error of the API, doubled with each (k/k: DefaultJobApiBackOff, MaxJobApiBackOff). */
export const JOB_RETRY_MS_MIN = 1_000;
export const JOB_RETRY_MS_MAX = 60_000;

/** Ended pods that a Job's status takes in at once (k/k: MaxUncountedPods). */
export const UNCOUNTED_PODS_MAX = 500;
/** Pods whose finalizer is changed at once. */
export const POD_PATCHES_CONCURRENT_MAX = 50;
/** The longest base of a generated name (apiserver: MaxGeneratedNameLength). */
export const GENERATED_BASE_LENGTH_MAX = 58;

/** Runs of a CronJob missed in a row before it is warned of (k/k: mostRecentScheduleTime). */
export const MISSED_RUNS_MAX = 100;
/** A run is looked for this long after its time: clocks differ a little (k/k: nextScheduleDelta). */
export const CRON_LATE_MS = 100;

/** How often an autoscaler looks at its metrics (k/k: --horizontal-pod-autoscaler-sync-period). */
export const AUTOSCALER_PERIOD_MS = 15_000;
/** By what part use may differ from its target (k/k: --horizontal-pod-autoscaler-tolerance). */
export const AUTOSCALER_TOLERANCE = 0.1;
/** Fewer replicas only once all recommendations of so long ask for them (--horizontal-pod-autoscaler-downscale-stabilization). */
export const DOWNSCALE_WINDOW_MS = 300_000;
/** How long a pod's CPU is taken to be that of its start (--horizontal-pod-autoscaler-cpu-initialization-period). */
export const CPU_INITIALIZATION_MS = 300_000;
/** Not ready since so soon after its start: it never was (--horizontal-pod-autoscaler-initial-readiness-delay). */
export const READINESS_DELAY_MS = 30_000;
/** At once no more than this times what is there, or this many (k/k horizontal.go: scaleUpLimitFactor, scaleUpLimitMinimum). */
export const SCALE_UP_FACTOR = 2;
export const SCALE_UP_REPLICAS_MIN = 4;
/** The window of a custom metric that does not tell its own (k/k: metricServerDefaultMetricWindow). */
export const METRIC_WINDOW_MS = 60_000;

/** What has an end far ahead is looked at again after this long at the latest: timers count no more than 24 days. */
export const LOOK_AGAIN_MS_MAX = 24 * 3_600_000;

/** Between two looks at tokens in Secrets that nobody uses: their dates are days. */
export const LEGACY_TOKENS_PERIOD_MS = 24 * 3_600_000;
/** The same while nobody has said yet since when their use is written down. */
export const LEGACY_TOKENS_UNTRACKED_MS = 60_000;
/** How long such a token goes unused before it is marked, and marked before it is removed. */
export const LEGACY_TOKENS_UNUSED_MS = 365 * 24 * 3_600_000;

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

/** Claims and volumes that wait are looked at again, and told of, this often (k/k: --pvclaimbinder-sync-period). */
export const VOLUME_RESYNC_MS = 15_000;
/** Writes for one claim or volume in a row before others get their turn; a binding takes four. */
export const VOLUME_WRITES_MAX = 8;
/** Written objects that are kept until the cache has them. */
export const RECENT_WRITES_MAX = 10_000;
/** A range of service addresses that nobody needs goes this long after its deletion (k/k servicecidrs: deletionGracePeriod). */
export const SERVICE_RANGE_DELETION_MS = 10_000;
/** The record of a service address may stand this long without its Service (k/k ipallocator: gracePeriod). */
export const ADDRESS_GRACE_MS = 60_000;

/** How long a controller waits for its own write to show in its cache, at most. */
export const UNSEEN_WRITE_MS_MAX = 30_000;

/** A silent node that may still have a volume mounted gets this long before it is detached (k/k: maxWaitForUnmountDuration). */
export const FORCED_DETACH_MS = 6 * 60_000;

/** Before it is asked again whether a requester may have what he was refused, doubled each time (k/k certificate_controller). */
export const APPROVAL_RETRY_MS_MIN = 200;
export const APPROVAL_RETRY_MS_MAX = 1_000_000;
/** Requests of which that is remembered. */
export const APPROVALS_REFUSED_MAX = 10_000;
