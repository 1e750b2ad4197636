/** What can be set on a member. */
import type { CoreLimits } from '../core/limits.ts';
import { type DriverLimits, resolveDriverLimits } from './limits.ts';

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
  /** Bounds of the queues around the core; what is left out is as in `DRIVER_LIMITS`. */
  readonly driverLimits: Partial<DriverLimits>;
}

/** Options of which nothing is left out. */
export interface ResolvedRaftOptions extends RaftOptions {
  readonly driverLimits: DriverLimits;
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
  driverLimits: {},
};

/** Fills in the defaults. @throws {RangeError} where the times or the bounds do not fit each other. */
export function resolveOptions(options: Partial<RaftOptions> = {}): ResolvedRaftOptions {
  const heartbeatMs = options.heartbeatMs ?? RAFT_OPTIONS.heartbeatMs;
  const driverLimits = resolveDriverLimits(options.driverLimits);
  const resolved = { ...RAFT_OPTIONS, tickMs: Math.max(1, Math.round(heartbeatMs / 5)), ...options, driverLimits };
  if (resolved.tickMs > resolved.heartbeatMs) throw new RangeError('tickMs must not exceed heartbeatMs');
  if (resolved.electionTimeoutMs < 3 * resolved.heartbeatMs) {
    throw new RangeError('electionTimeoutMs must be at least three times heartbeatMs');
  }
  return resolved;
}

/** Expired waiters are looked for this often. */
export const SWEEP_INTERVAL_MS = 50;

/**
 * The others hear that an entry is committed with the next append, or after this time. Telling them at once costs two
 * messages a member and a write, and delays the very next write by what they wake up for.
 */
export const COMMIT_NEWS_DELAY_MS = 2;
