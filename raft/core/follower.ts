/** The receiving side of replication (thesis 3.5) and of snapshots (thesis 5). */
import assert from 'node:assert';
import { LogLostError } from './errors.ts';
import type { AppendRequest } from './messages.ts';
import { type CoreState, isResetPending, isTermDurable, needsSnapshot, sendDurably } from './state.ts';
import type { Entry, SnapshotMetadata } from './types.ts';

/**
 * An append of the present term, from its leader. Also a member whose state machine waits for a snapshot takes entries:
 * its vote for committing them may be the one that the leader needs before it has a snapshot to give.
 */
export function handleAppendRequest(state: CoreState, request: AppendRequest): void {
  const { log } = state;
  // In a term a log never shrinks below what was acknowledged; unless its disk was rolled back to an older copy. Then the
  // leader would wait for ever, or worse, count on it (etcd #13509, moby #29180).
  if (request.acknowledgedIndex > log.lastIndex) throw new LogLostError(request.acknowledgedIndex, log.lastIndex);
  const refusal = refuse(state, request);
  if (refusal !== undefined) {
    answer(state, request, { success: false, ...refusal });
    return;
  }
  appendMissing(state, request.entries);
  const lastNewIndex = request.previousIndex + request.entries.length;
  log.commitTo(Math.min(request.commit, lastNewIndex));
  answer(state, request, { success: true, matchIndex: lastNewIndex, hintTerm: 0 });
}

/** An append of an older term: the answer tells its sender that it no longer leads. */
export function refuseStaleAppend(state: CoreState, request: AppendRequest): void {
  answer(state, request, { success: false, matchIndex: state.log.lastIndex, hintTerm: state.log.lastTerm });
}

/** Whether a snapshot that is offered would help: it must bring committed entries that are not here. */
export function wantsSnapshot(state: CoreState, metadata: SnapshotMetadata): boolean {
  const { log } = state;
  if (state.role === 'leader') return false;
  if (needsSnapshot(state)) return metadata.index >= log.start.index;
  return metadata.index > log.commitIndex && !log.matches(metadata.index, metadata.term);
}

/** Replaces the log by the snapshot's end, unless the log already holds that end. */
export function installSnapshot(state: CoreState, metadata: SnapshotMetadata): void {
  assert(wantsSnapshot(state, metadata), 'a snapshot that does not help is not installed');
  const { log } = state;
  if (log.matches(metadata.index, metadata.term)) {
    log.commitTo(metadata.index);
    return;
  }
  log.reset({ index: metadata.index, term: metadata.term });
  state.memberships.reset(metadata);
  state.resetWanted = metadata;
  // Acknowledgements that are not out yet speak of a log that is gone.
  state.blocked = state.blocked.filter(message => message.type !== 'appendResponse');
}

interface Refusal {
  readonly matchIndex: number;
  readonly hintTerm: number;
}

/** The consistency check of AppendEntries; the hint lets the leader skip whole terms (thesis 3.5, end). */
function refuse(state: CoreState, request: AppendRequest): Refusal | undefined {
  const { log } = state;
  const { previousIndex, previousTerm } = request;
  // Committed entries are the leader's too, whatever the check would say of compacted ones.
  if (previousIndex <= log.commitIndex || log.matches(previousIndex, previousTerm)) return undefined;
  const matchIndex = log.lastIndexAtMostTerm(Math.min(previousIndex, log.lastIndex), previousTerm);
  return { matchIndex, hintTerm: log.termAt(matchIndex) ?? 0 };
}

/**
 * Adds what is not there. Only a real conflict cuts the log: a repeated or reordered request must not drop entries that
 * were acknowledged since (thesis 3.5; hashicorp/raft 0f31a01).
 */
function appendMissing(state: CoreState, entries: readonly Entry[]): void {
  const { log, memberships } = state;
  for (const entry of entries) {
    if (entry.index <= log.commitIndex) {
      const own = log.termAt(entry.index);
      assert(own === undefined || own === entry.term, 'a leader contradicts a committed entry');
      continue;
    }
    if (entry.index <= log.lastIndex) {
      if (log.matches(entry.index, entry.term)) continue;
      log.truncateFrom(entry.index);
      memberships.noteTruncated(entry.index);
    }
    log.append(entry);
    memberships.noteAppended(entry);
  }
}

function answer(
  state: CoreState,
  request: AppendRequest,
  outcome: { success: boolean; matchIndex: number; hintTerm: number },
): void {
  const { log } = state;
  const base = {
    type: 'appendResponse',
    from: state.settings.id,
    to: request.from,
    term: state.term,
    previousIndex: request.previousIndex,
    readContext: request.readContext,
    needsSnapshot: needsSnapshot(state),
  } as const;
  const isDurable = isTermDurable(state) && !isResetPending(state);
  if (outcome.success && outcome.matchIndex > log.stableIndex) {
    // A heartbeat is answered at once with what is durable already: a slow disk must not look like a dead member, nor
    // hold up the reads that wait for this answer. The entries themselves are acknowledged when they are durable.
    if (request.entries.length === 0 && isDurable) {
      state.outbox.push({ ...base, ...outcome, matchIndex: log.stableIndex });
    } else sendDurably(state, { ...base, ...outcome });
    return;
  }
  if (isDurable) state.outbox.push({ ...base, ...outcome });
  else sendDurably(state, { ...base, ...outcome });
}
