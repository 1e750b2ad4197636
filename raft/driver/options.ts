/** What can be set on a member, and the bounds of the driver's own queues. */
import assert from 'node:assert';
import type { CoreLimits } from '../core/limits.ts';

export interface RaftOptions {
  /** How often a leader shows that it is there. */
  readonly heartbeatMs: number;
  /** Without a leader for this long up to twice as long, drawn at random, a member campaigns. */
  readonly electionTimeoutMs: number;
  /** How finely time is cut; heartbeat and election timeout are multiples of it. */
  readonly tickMs: number;
  /** How long a proposal or a read waits unless its caller says otherwise. */
  readonly requestTimeoutMs: number;
  /** How long `addMember` waits unless its caller says otherwise. */
  readonly addMemberTimeoutMs: number;
  /** The log is compacted once it holds so many entries beyond its tail. */
  readonly compactEntries: number;
  /** ... or so many bytes in all. */
  readonly compactBytes: number;
  /** Entries kept after a compaction, so that a member that was away briefly needs no snapshot. */
  readonly tailEntries: number;
  readonly tailBytes: number;
  readonly limits: Partial<CoreLimits>;
}

export const RAFT_OPTIONS: RaftOptions = {
  heartbeatMs: 50,
  electionTimeoutMs: 500,
  tickMs: 10,
  requestTimeoutMs: 7_000,
  addMemberTimeoutMs: 120_000,
  compactEntries: 10_000,
  compactBytes: 64 * 1024 * 1024,
  tailEntries: 5_000,
  tailBytes: 32 * 1024 * 1024,
  limits: {},
};

/** Fills in the defaults. @throws {RangeError} where the times do not fit each other. */
export function resolveOptions(options: Partial<RaftOptions> = {}): RaftOptions {
  const heartbeatMs = options.heartbeatMs ?? RAFT_OPTIONS.heartbeatMs;
  const resolved = { ...RAFT_OPTIONS, tickMs: Math.max(1, Math.round(heartbeatMs / 5)), ...options };
  if (resolved.tickMs > resolved.heartbeatMs) throw new RangeError('tickMs must not exceed heartbeatMs');
  if (resolved.electionTimeoutMs < 3 * resolved.heartbeatMs) {
    throw new RangeError('electionTimeoutMs must be at least three times heartbeatMs');
  }
  return resolved;
}

export const DRIVER_LIMITS = {
  /** Proposals and reads of this member that wait for a leader or an answer. */
  waitingMax: 100_000,
  /** Bytes of proposals that wait for a leader. */
  queuedBytesMax: 64 * 1024 * 1024,
  /** One forwarded batch. */
  forwardBytesMax: 1024 * 1024,
  forwardEntriesMax: 1024,
  /** Results kept for forwarded proposals that may have been applied before the leader's answer arrived. */
  recentResultsMax: 65_536,
  /** ReadIndex attempts of this member at a time; reads that come meanwhile share the next. */
  readAttemptsMax: 8,
  /** Batches of a leader whose commit is timed at a time. */
  timedBatchesMax: 1_024,
  /** Members of which is remembered what they have promised. */
  witnessedMax: 256,
  /** Members that did not answer at the start are asked for so long what they heard this one promise. */
  witnessPatienceMs: 60_000,
  /** Snapshots sent at a time. */
  outgoingSnapshotsMax: 2,
  /** The leader has this much longer to answer than to act, so that it can say why it could not in time. */
  answerGraceMs: 500,
  /** So long, or two election timeouts if they are longer, a member has to answer before a change is refused because of it. */
  answerPatienceMs: 1_500,
  /** Rounds in which a learner has to catch up before it is made a voter (thesis 4.2.1). */
  catchUpRoundsMax: 1_000,
} as const;

assert(DRIVER_LIMITS.forwardBytesMax <= DRIVER_LIMITS.queuedBytesMax);

/** Expired waiters are looked for this often. */
export const SWEEP_INTERVAL_MS = 50;

/**
 * The others hear that an entry is committed with the next append, or after this time. Telling them at once costs two
 * messages a member and a write, and delays the very next write by what they wake up for.
 */
export const COMMIT_NEWS_DELAY_MS = 2;
