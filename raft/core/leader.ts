/**
 * The leader's side: replication, commitment, reads, transfer. What is due to whom is only noted while messages arrive;
 * {@link replicate} turns it into messages once a turn, so that everything of a turn shares one append per member.
 */
import assert from 'node:assert';
import { campaign } from './election.ts';
import { entryBytes } from './log.ts';
import { leaveJoint } from './membership.ts';
import type { AppendRequest, AppendResponse, SnapshotStatus } from './messages.ts';
import type { Progress } from './progress.ts';
import { hasQuorum, quorumValue } from './quorum.ts';
import { appendOwn, becomeFollower } from './roles.ts';
import { type CoreState, isDiskStalled, type Leading } from './state.ts';
import type { Entry, MemberId } from './types.ts';

/** A snapshot that was handed over but shows no effect after so many election timeouts is tried again. */
const SNAPSHOT_PATIENCE_TIMEOUTS = 10;

export function tickLeader(state: CoreState, leading: Leading): void {
  const { settings } = state;
  // A hung disk: heartbeats would keep a leader in office that can commit nothing itself (hashicorp/raft #503).
  if (isDiskStalled(state)) {
    becomeFollower(state, state.term, undefined);
    return;
  }
  if (++leading.quorumElapsed >= settings.electionTicks) {
    leading.quorumElapsed = 0;
    if (!checkQuorum(state, leading)) {
      becomeFollower(state, state.term, undefined);
      return;
    }
  }
  // A transfer that did not happen within an election timeout is given up, and proposals flow again (thesis 3.10).
  if (leading.transfer !== undefined && ++leading.transfer.elapsed >= settings.electionTicks)
    leading.transfer = undefined;
  if (++leading.heartbeatElapsed >= settings.heartbeatTicks) {
    leading.heartbeatElapsed = 0;
    for (const progress of leading.progress.values()) progress.isHeartbeatDue = true;
  }
  for (const progress of leading.progress.values()) {
    progress.silentTicks++;
    tickSnapshot(state, progress);
  }
}

export function handleAppendResponse(state: CoreState, leading: Leading, response: AppendResponse): void {
  const progress = leading.progress.get(response.from);
  if (progress === undefined) return;
  progress.noteHeard();
  progress.needsSnapshot = response.needsSnapshot;
  progress.readContext = Math.max(progress.readContext, response.readContext);
  confirmReads(state, leading);
  if (!response.success) {
    noteRefusal(state, progress, response);
    return;
  }
  assert(response.matchIndex <= state.log.lastIndex, 'a follower acknowledged entries that were never sent');
  if (progress.noteMatched(response.matchIndex)) maybeCommit(state);
  if (progress.state !== 'replicate' && progress.matchIndex >= state.log.start.index) progress.becomeReplicate();
  if (progress.state === 'replicate' && !progress.needsSnapshot) progress.endSnapshot();
  maybeSendTimeoutNow(state, leading);
}

export function handleSnapshotStatus(state: CoreState, leading: Leading, status: SnapshotStatus): void {
  const progress = leading.progress.get(status.from);
  if (progress === undefined) return;
  progress.noteHeard();
  if (status.success) {
    progress.needsSnapshot = false;
    if (progress.noteMatched(Math.min(status.matchIndex, state.log.lastIndex))) maybeCommit(state);
  }
  progress.endSnapshot();
}

/** Advances the commit index to what a quorum has on disk. */
export function maybeCommit(state: CoreState): void {
  const { leading, log, memberships, settings } = state;
  if (leading === undefined) return;
  const index = quorumValue(memberships.current.voterSets, id =>
    id === settings.id ? log.stableIndex : (leading.progress.get(id)?.matchIndex ?? 0),
  );
  // Counting replicas commits only entries of the own term; older ones follow with them (thesis 3.6.2, figure 3.7).
  if (index <= log.commitIndex || log.termAt(index) !== state.term) return;
  for (let committed = log.commitIndex + 1; committed <= index; committed++) {
    const entry = log.entryAt(committed);
    if (entry !== undefined) leading.uncommittedBytes -= entryBytes(entry);
  }
  assert(leading.uncommittedBytes >= 0, 'the bytes that wait for commitment are counted exactly');
  log.commitTo(index);
}

/**
 * Leaves a joint membership once that is committed, whoever leads then (thesis 4.3). Happens exactly once: the entry that
 * leaves is in force as soon as it is in the log, and if the log loses it, the joint membership is in force again.
 */
export function maybeLeaveJoint(state: CoreState, leading: Leading): void {
  const { memberships, log, settings } = state;
  const { isJoint, membership } = memberships.current;
  if (!isJoint || memberships.currentIndex > log.commitIndex || !hasCommittedInTerm(state, leading)) return;
  // Whom leadership is being handed to has the whole log; another entry now would make it too old again.
  if (leading.transfer !== undefined) return;
  appendOwn(state, 'membership', settings.codec.encode(leaveJoint(membership)));
}

/** True if a member that follows has not been told how far the log is committed. */
export function isCommitUntold(state: CoreState, leading: Leading): boolean {
  for (const progress of leading.progress.values()) {
    if (progress.state === 'replicate' && progress.sentCommit < state.log.commitIndex) return true;
  }
  return false;
}

/** A leader that is no voter leads until its own removal is committed and has been told (thesis 4.2.2). */
export function maybeStepDownRemoved(state: CoreState): void {
  const { leading, log, memberships, settings } = state;
  if (leading === undefined || memberships.current.voters.has(settings.id)) return;
  if (memberships.currentIndex <= log.commitIndex) becomeFollower(state, state.term, undefined);
}

/** True once an entry of this term is committed: only then does the leader know what is (thesis 6.4). */
export function hasCommittedInTerm(state: CoreState, leading: Leading): boolean {
  return state.log.commitIndex >= leading.termStartIndex;
}

/** Confirms the reads whose context a quorum has acknowledged: this member still led after they were asked for. */
export function confirmReads(state: CoreState, leading: Leading): void {
  if (leading.pendingReads.length === 0) return;
  const confirmed = quorumValue(state.memberships.current.voterSets, id =>
    id === state.settings.id ? Number.POSITIVE_INFINITY : (leading.progress.get(id)?.readContext ?? 0),
  );
  const open = leading.pendingReads.findIndex(read => read.context > confirmed);
  const done = leading.pendingReads.splice(0, open === -1 ? leading.pendingReads.length : open);
  state.confirmedReads.push(...done);
}

export function beginTransfer(state: CoreState, leading: Leading, to: MemberId): void {
  leading.transfer = { to, elapsed: 0, isSent: false };
  maybeSendTimeoutNow(state, leading);
}

/** Turns what is due into messages. `holdCommit` as {@link ReadyOptions} says. */
export function replicate(
  state: CoreState,
  leading: Leading,
  holdCommit: boolean,
): { messages: AppendRequest[]; snapshotsWanted: MemberId[] } {
  const messages: AppendRequest[] = [];
  const snapshotsWanted: MemberId[] = [];
  for (const [to, progress] of leading.progress) {
    if (progress.state !== 'snapshot' && progress.nextIndex <= state.log.start.index) progress.becomeSnapshot();
    const isWanting = progress.state === 'snapshot' || progress.needsSnapshot;
    if (isWanting && progress.snapshotIndex === 0 && progress.isActive) snapshotsWanted.push(to);
    replicateTo(state, leading, { to, progress, messages, holdCommit });
  }
  return { messages, snapshotsWanted };
}

interface Target {
  readonly to: MemberId;
  readonly progress: Progress;
  readonly messages: AppendRequest[];
  readonly holdCommit: boolean;
}

function replicateTo(state: CoreState, leading: Leading, { to, progress, messages, holdCommit }: Target): void {
  const { log, settings, memberships } = state;
  while (progress.nextIndex <= log.lastIndex && progress.canSend(settings.limits)) {
    const entries = log.slice(progress.nextIndex, log.lastIndex, settings.limits.appendBytesMax);
    const last = entries.at(-1);
    assert(last !== undefined);
    messages.push(appendRequest(state, leading, { to, progress, previousIndex: progress.nextIndex - 1, entries }));
    progress.noteSent(
      last.index,
      entries.reduce((sum, entry) => sum + entryBytes(entry), 0),
    );
  }
  // That a membership is committed is told at once: a leader that it removes steps down right after.
  const mayHold = holdCommit && progress.sentCommit >= memberships.currentIndex;
  const hasNews =
    progress.isHeartbeatDue ||
    progress.sentReadContext < leading.readContext ||
    (progress.state === 'replicate' && progress.sentCommit < log.commitIndex && !mayHold);
  if (!hasNews) return;
  const previousIndex =
    progress.state === 'snapshot' ? Math.max(progress.snapshotIndex, log.start.index) : progress.nextIndex - 1;
  messages.push(appendRequest(state, leading, { to, progress, previousIndex, entries: [] }));
}

function appendRequest(
  state: CoreState,
  leading: Leading,
  what: { to: MemberId; progress: Progress; previousIndex: number; entries: readonly Entry[] },
): AppendRequest {
  const { progress } = what;
  const previousTerm = state.log.termAt(what.previousIndex);
  assert(previousTerm !== undefined, 'what goes before the entries sent is in the log');
  progress.isHeartbeatDue = false;
  progress.sentReadContext = leading.readContext;
  progress.sentCommit = state.log.commitIndex;
  return {
    type: 'appendRequest',
    from: state.settings.id,
    to: what.to,
    term: state.term,
    previousIndex: what.previousIndex,
    previousTerm,
    entries: what.entries,
    commit: state.log.commitIndex,
    acknowledgedIndex: progress.matchIndex,
    readContext: leading.readContext,
  };
}

function noteRefusal(state: CoreState, progress: Progress, response: AppendResponse): void {
  if (progress.state === 'snapshot') return;
  // An answer to something older than what is known to match, or than the probe under way, tells nothing.
  if (response.previousIndex <= progress.matchIndex) return;
  if (progress.state === 'probe' && response.previousIndex !== progress.nextIndex - 1) return;
  const next = nextIndexAfterRefusal(state, response);
  progress.becomeProbe();
  progress.nextIndex = Math.max(progress.matchIndex + 1, next);
}

/** Skips a whole term of conflicting entries per round trip, from both sides (thesis 3.5, end). */
function nextIndexAfterRefusal(state: CoreState, response: AppendResponse): number {
  const { log } = state;
  const hint = Math.min(response.matchIndex, response.previousIndex - 1);
  if (hint <= log.start.index) return Math.max(1, hint + 1);
  return log.lastIndexAtMostTerm(hint, response.hintTerm) + 1;
}

function checkQuorum(state: CoreState, leading: Leading): boolean {
  const isAlive = hasQuorum(
    state.memberships.current.voterSets,
    id => id === state.settings.id || leading.progress.get(id)?.isActive === true,
  );
  for (const progress of leading.progress.values()) progress.isActive = false;
  return isAlive;
}

function tickSnapshot(state: CoreState, progress: Progress): void {
  if (progress.snapshotSentTicks === undefined) return;
  progress.snapshotSentTicks++;
  if (progress.snapshotSentTicks >= SNAPSHOT_PATIENCE_TIMEOUTS * state.settings.electionTicks) progress.endSnapshot();
}

function maybeSendTimeoutNow(state: CoreState, leading: Leading): void {
  const { transfer } = leading;
  if (transfer === undefined || transfer.isSent) return;
  const progress = leading.progress.get(transfer.to);
  if (progress === undefined || progress.matchIndex < state.log.lastIndex) return;
  transfer.isSent = true;
  state.outbox.push({ type: 'timeoutNow', from: state.settings.id, to: transfer.to, term: state.term });
}

/** The leader asks this member to take over: no pre-vote, and voters forget their stickiness (thesis 3.10). */
export function handleTimeoutNow(state: CoreState): void {
  if (state.role !== 'leader') campaign(state, 'transfer');
}
