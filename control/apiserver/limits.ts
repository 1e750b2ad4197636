/** Every bound of the API server, with its reason. A request that breaks one is answered, never served in part. */

const KIB = 1024;
const MIB = 1024 * KIB;

export interface Limits {
  /** Kubernetes' own bound on a request body. */
  readonly bodyBytesMax: number;
  /** All request headers together; Go's default for servers is 1 MiB, clients send a few KiB. */
  readonly headerBytesMax: number;
  /** From a connection's first byte to the end of a request's headers, and for the TLS handshake before it. */
  readonly headersMsMax: number;
  /** Connections at a time; more are closed at once. */
  readonly connectionsMax: number;
  /** Operations in one JSON patch (apiserver: maxJSONPatchOperations). */
  readonly jsonPatchOperationsMax: number;
  /** From the request's arrival to its answer, for everything but watches and streams. */
  readonly requestMsMax: number;
  /** How long a read waits for the cache to reach a revision before it answers 504. */
  readonly freshnessWaitMsMax: number;
  /** How long a read that takes any state waits for the newest one. */
  readonly anyStateWaitMsMax: number;
  /** Requests being worked on at a time (kube-apiserver: 400 and 200); priority levels share both together. */
  readonly readsInFlightMax: number;
  readonly writesInFlightMax: number;
  /** Watches and exec-like streams open at a time. */
  readonly watchersMax: number;
  readonly streamsMax: number;
  /** Frames and bytes waiting for one slow watcher; beyond either its connection is closed. */
  readonly watcherFramesMax: number;
  readonly watcherBytesMax: number;
  /** Events of one resource kept for watches that start in the past. */
  readonly historyEventsMax: number;
  /** A list goes out in slices of about this size, with a turn of the loop between two. */
  readonly listSliceBytes: number;
  /** Keys asked of the store at a time when a list is read at an old revision. */
  readonly storePageKeys: number;
  /** Attempts at an optimistic transaction before the conflict is told. */
  readonly transactionAttemptsMax: number;
  /** Attempts that failed on what is written beside the object, such as a quota that all masters charge at once. */
  readonly blockedAttemptsMax: number;
  /** Attempts at a generated name (registry/generic/registry/store.go: 8). */
  readonly generateNameAttemptsMax: number;
  /** A watch without `timeoutSeconds` ends after this, plus up to as much again. */
  readonly watchSecondsMin: number;
  /** How often a quiet store tells the watch cache how far it has come. */
  readonly cacheProgressMs: number;
  /** Between two bookmarks. */
  readonly bookmarkMs: number;
  /** From the agent's socket to its answer's first byte. */
  readonly agentAnswerMsMax: number;
  /** Bytes of a stream's answer head that are read before it must have ended. */
  readonly agentHeadBytesMax: number;
}

export const DEFAULT_LIMITS: Limits = {
  bodyBytesMax: 3 * MIB,
  headerBytesMax: 64 * KIB,
  headersMsMax: 10_000,
  connectionsMax: 20_000,
  jsonPatchOperationsMax: 10_000,
  requestMsMax: 60_000,
  freshnessWaitMsMax: 3_000,
  anyStateWaitMsMax: 250,
  readsInFlightMax: 800,
  writesInFlightMax: 400,
  watchersMax: 10_000,
  streamsMax: 1_000,
  watcherFramesMax: 10_000,
  watcherBytesMax: 16 * MIB,
  historyEventsMax: 4_096,
  listSliceBytes: 256 * KIB,
  storePageKeys: 500,
  transactionAttemptsMax: 16,
  blockedAttemptsMax: 128,
  generateNameAttemptsMax: 8,
  watchSecondsMin: 1_800,
  cacheProgressMs: 1_000,
  bookmarkMs: 60_000,
  agentAnswerMsMax: 30_000,
  agentHeadBytesMax: 64 * KIB,
};
