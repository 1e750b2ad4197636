/** The agent's limits and rhythms, by name. Where Kubernetes' kubelet has the same number, it is the same here. */

/** Pods that a node says it can hold (kubelet `maxPods`). */
export const PODS_MAX = 110;
/** Sandboxes and containers that are made or started at the same time. */
export const RUNTIME_OPERATIONS_MAX = 16;
/** Image pulls at the same time. */
export const PULLS_MAX = 3;
/** Actions that one pod may take in a row before other pods get their turn. */
export const ACTIONS_PER_TURN_MAX = 64;
/** A worker looks again after this at the latest where it waits for a moment: timers hold no more than 2^31 ms. */
export const WAIT_MS_MAX = 3_600_000;
/** Status writes in flight. */
export const STATUS_WRITES_MAX = 8;

/** Restart back-off: 10 s, doubled up to 5 min, forgotten after twice that without a restart. */
export const RESTART_BACK_OFF_MS = 10_000;
export const RESTART_BACK_OFF_MS_MAX = 300_000;
export const RESTART_BACK_OFF_RESET_MS = 600_000;
/** Image pull back-off has the same shape. */
export const PULL_BACK_OFF_MS = 10_000;
export const PULL_BACK_OFF_MS_MAX = 300_000;
/** Retries of volumes, sandboxes and containers that could not be made. */
export const SETUP_BACK_OFF_MS = 500;
export const SETUP_BACK_OFF_MS_MAX = 120_000;
/** A critical pod waits for those that make room until this share of their longest grace period has passed, and no less than that. */
export const PREEMPTION_WAIT_SHARE = 1.5;
export const PREEMPTION_WAIT_MS_MIN = 10_000;
/** A resize that waits for other pods' room is looked at again this often. */
export const RESIZE_RETRY_MS = 10_000;
/** A container whose configuration cannot be made (a missing Secret) is looked at again this often. */
export const CONFIG_RETRY_MS = 5_000;
/**
 * A container that was given another image runs on for this long: whoever changed it may still read or write the object as it was,
 * and a second change counts with the first. A kubelet takes about as long to notice.
 */
export const IMAGE_CHANGE_DELAY_MS = 1_000;

/** What a container gets at least between SIGTERM and SIGKILL, however little of the grace period is left. */
export const STOP_GRACE_SECONDS_MIN = 2;
/** A pod's grace period where the object names none. */
export const GRACE_SECONDS_DEFAULT = 30;
/** Largest termination message kept. */
export const TERMINATION_MESSAGE_BYTES_MAX = 4096;
/** Of all containers of a pod together. */
export const TERMINATION_MESSAGES_BYTES_MAX = 12 * 1024;
/** Taken from the log where the policy is FallbackToLogsOnError. */
export const TERMINATION_LOG_BYTES_MAX = 2048;
export const TERMINATION_LOG_LINES_MAX = 80;

/** How much of a probe's or a hook's answer is kept. */
export const PROBE_OUTPUT_BYTES_MAX = 10 * 1024;
/** Redirects that the request of a probe or a hook follows. */
export const PROBE_REDIRECTS_MAX = 10;
/** How much of it goes into an event's message. */
export const EVENT_MESSAGE_LENGTH_MAX = 1024;

/** How often the runtime is listed even if it told of no change. */
export const RUNTIME_RELIST_MS = 10_000;
/** How often ConfigMaps, Secrets and tokens in volumes are brought up to date. */
export const VOLUME_REFRESH_MS = 30_000;
/** How long a ConfigMap or Secret that was read is good for other pods. */
export const SOURCE_CACHE_MS = 10_000;
export const SOURCE_CACHE_ENTRIES_MAX = 1_000;
/** A service account token is renewed after a day even if it holds for longer. */
export const TOKEN_AGE_MS_MAX = 24 * 3_600_000;
/** Bytes that one volume of ConfigMap, Secret or downward API data may hold in all. */
export const PROJECTED_BYTES_MAX = 8 * 1024 * 1024;
/** Directories within each other of which a volume's group is set. */
export const OWNERSHIP_DEPTH_MAX = 1_000;
/** Rest between two looks at local volumes that are to be removed. */
export const RECLAIM_REST_MS = 100;
/** A request of the agent to the API server gives up after this. */
export const API_REQUEST_TIMEOUT_MS = 20_000;

/** How long a heartbeat holds, and after which share of that time the next one is sent (kubelet `nodeLeaseRenewIntervalFraction`). */
export const LEASE_DURATION_SECONDS = 40;
export const LEASE_RENEW_SHARE = 0.25;
export const NODE_STATUS_MS = 300_000;
/** How often the node looks at itself for changes worth reporting. */
export const NODE_OBSERVE_MS = 10_000;
/** Retry of registration and of the wait for a podCIDR. */
export const REGISTER_RETRY_MS = 1_000;
/** An agent that was here before waits this long for the API to say its pods' range. */
export const POD_RANGE_WAIT_MS = 5_000;
/** Runtime objects of pods that the API no longer knows are removed this often. */
export const ORPHAN_SWEEP_MS = 60_000;

/** Images that the node's status names (kubelet `nodeStatusMaxImages`). */
export const IMAGES_REPORTED_MAX = 50;
/** How often the node measures what it has left (kubelet's housekeeping). */
export const EVICTION_OBSERVE_MS = 10_000;
/** A condition of pressure holds for this long after it was last seen (kubelet `evictionPressureTransitionPeriod`). */
export const PRESSURE_TRANSITION_MS = 300_000;
/** What an evicted pod gets to end. */
export const EVICTION_GRACE_SECONDS = 1;
/** Files of the kernel that are read at once for one summary. */
export const PROC_READS_MAX = 16;
/** How much of the time may go into measuring what pods keep on the disk: a node with much on it is measured less often. */
export const STORAGE_MEASURE_SHARE_MAX = 0.05;

/** Streams (exec, attach, port-forward) that the agent's server holds at once. */
export const STREAMS_MAX = 500;
/** Files below `/logs/` that the agent's server reads at once. */
export const LOG_FILES_MAX = 32;
/** A client has this long to open the streams that its request announced (kubelet `StreamCreationTimeout`). */
export const STREAM_CREATION_TIMEOUT_MS = 30_000;
/** After the last byte a client has this long to hang up. */
export const STREAM_CLOSE_TIMEOUT_MS = 10_000;
/** SPDY: frames larger than this end the connection. */
export const SPDY_FRAME_BYTES_MAX = 1024 * 1024;
/** SPDY: header block after inflation. */
export const SPDY_HEADER_BYTES_MAX = 64 * 1024;
/** SPDY: open streams in one connection. */
export const SPDY_STREAMS_MAX = 1_000;
/** A chunk of output handed to a stream at once. */
export const STREAM_CHUNK_BYTES = 32 * 1024;
/** WebSocket messages of clients larger than this are refused. */
export const WEBSOCKET_MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
/** Output waiting for a slow client; above it the container is made to wait. */
export const STREAM_BUFFER_BYTES_MAX = 1024 * 1024;
/** Dialling a pod's port. */
export const DIAL_TIMEOUT_MS = 10_000;
/** A client of the agent's server has this long for its TLS handshake. */
export const HANDSHAKE_MS_MAX = 10_000;
