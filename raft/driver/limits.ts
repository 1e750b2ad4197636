/** The bounds of the queues around the core. They may differ from member to member. */
import { withDefaults } from '../positive.ts';

export interface DriverLimits {
  /** Proposals of this member that wait for a leader or an answer; and as many reads. */
  readonly waitingMax: number;
  /** Bytes of proposals that wait for a leader. */
  readonly queuedBytesMax: number;
  /** One forwarded batch. */
  readonly forwardBytesMax: number;
  readonly forwardEntriesMax: number;
  /** Results kept for forwarded proposals that may have been applied before the leader's answer arrived. */
  readonly recentResultsMax: number;
  /** ReadIndex attempts of this member at a time; reads that come meanwhile share the next. */
  readonly readAttemptsMax: number;
  /** Batches of a leader whose commit is timed at a time. */
  readonly timedBatchesMax: number;
  /** Members of which is remembered what they have promised. */
  readonly witnessedMax: number;
  /** Members that did not answer at the start are asked for so long what they heard this one promise. */
  readonly witnessPatienceMs: number;
  /** Snapshots sent at a time. */
  readonly outgoingSnapshotsMax: number;
  /** The leader has this much longer to answer than to act, so that it can say why it could not in time. */
  readonly answerGraceMs: number;
  /** So long, or two election timeouts if they are longer, a member has to answer before a change is refused because of it. */
  readonly answerPatienceMs: number;
  /** Rounds in which a learner has to catch up before it is made a voter (thesis 4.2.1). */
  readonly catchUpRoundsMax: number;
}

export const DRIVER_LIMITS: DriverLimits = {
  waitingMax: 100_000,
  queuedBytesMax: 64 * 1024 * 1024,
  forwardBytesMax: 1024 * 1024,
  forwardEntriesMax: 1024,
  recentResultsMax: 65_536,
  readAttemptsMax: 8,
  timedBatchesMax: 1_024,
  witnessedMax: 256,
  witnessPatienceMs: 60_000,
  outgoingSnapshotsMax: 2,
  answerGraceMs: 500,
  answerPatienceMs: 1_500,
  catchUpRoundsMax: 1_000,
};

/** Fills in the defaults. @throws {RangeError} no positive number, or one batch is more than may wait */
export function resolveDriverLimits(settings: Partial<DriverLimits> = {}): DriverLimits {
  const limits = withDefaults(DRIVER_LIMITS, settings);
  if (limits.forwardBytesMax > limits.queuedBytesMax) {
    throw new RangeError('the limit forwardBytesMax must not exceed queuedBytesMax');
  }
  return limits;
}
