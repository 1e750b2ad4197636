/**
 * The rules that keep a cluster safe, each with the change of the source that takes it out. `find` stands in its file exactly
 * once; a mutation that no longer fits its source is an error, so that this list follows the code.
 */

import type { SourceChange } from '../helpers/source-copy.ts';

export interface Mutation extends SourceChange {
  /** Why nothing unsafe can come of taking it out: it is not looked for. */
  readonly isRedundantBecause?: string;
}

export const MUTATIONS: readonly Mutation[] = [
  // Elections.
  {
    rule: 'a vote goes only to who has at least as much (thesis 3.6.1)',
    file: 'raft/core/election.ts',
    find: 'const isUpToDate = log.isUpToDate(request.lastLogIndex, request.lastLogTerm);',
    replace: 'const isUpToDate = true;',
  },
  {
    rule: 'one vote a term (thesis 3.4)',
    file: 'raft/core/election.ts',
    find: 'const isFree = state.votedFor === undefined ? state.leader === undefined : state.votedFor === request.from;',
    replace: 'const isFree = true;',
  },
  {
    rule: 'a vote is on disk before it is told (thesis 3.8)',
    file: 'raft/core/election.ts',
    find: `  sendDurably(state, {
    type: 'voteResponse',
    from: state.settings.id,
    to: request.from,
    term: state.term,
    granted,
  });`,
    replace: `  state.outbox.push({
    type: 'voteResponse',
    from: state.settings.id,
    to: request.from,
    term: state.term,
    granted,
  });`,
  },
  {
    rule: 'whom a member voted for is written at all',
    file: 'raft/core/raft.ts',
    find: 'hardState: { term: state.term, votedFor: state.votedFor, commit: log.commitIndex },',
    replace: 'hardState: { term: state.term, votedFor: undefined, commit: log.commitIndex },',
  },
  {
    rule: 'a majority of an even number is more than half, in elections',
    file: 'raft/core/quorum.ts',
    find: 'const majority = Math.floor(set.length / 2) + 1;',
    replace: 'const majority = Math.ceil(set.length / 2);',
  },
  {
    rule: 'messages of older terms are refused (thesis 3.3)',
    file: 'raft/core/raft.ts',
    find: "if (message.type === 'appendRequest') refuseStaleAppend(state, message);",
    replace: "if (message.type === 'appendRequest') handleAppendRequest(state, message);",
  },
  // The log.
  {
    rule: 'only entries of the own term are committed by counting (thesis 3.6.2)',
    file: 'raft/core/leader.ts',
    find: 'if (index <= log.commitIndex || log.termAt(index) !== state.term) return;',
    replace: 'if (index <= log.commitIndex) return;',
  },
  {
    rule: 'a majority of an even number is more than half, for commitment (hashicorp/raft 163a55f)',
    file: 'raft/core/quorum.ts',
    find: 'reached = Math.min(reached, values[Math.floor(set.length / 2)] ?? 0);',
    replace: 'reached = Math.min(reached, values[Math.floor((set.length - 1) / 2)] ?? 0);',
  },
  {
    rule: 'entries are on disk before they are acknowledged (thesis 3.8)',
    file: 'raft/core/follower.ts',
    find: 'if (outcome.success && outcome.matchIndex > log.stableIndex) {',
    replace: 'if (outcome.success && outcome.matchIndex > log.lastIndex) {',
  },
  {
    rule: 'a leader counts itself only once its own write is durable (thesis 10.2.1)',
    file: 'raft/core/leader.ts',
    find: 'id === settings.id ? log.stableIndex : (leading.progress.get(id)?.matchIndex ?? 0),',
    replace: 'id === settings.id ? log.lastIndex : (leading.progress.get(id)?.matchIndex ?? 0),',
  },
  {
    rule: 'entries are taken only where what goes before matches (thesis 3.5)',
    file: 'raft/core/follower.ts',
    find: 'if (previousIndex <= log.commitIndex || log.matches(previousIndex, previousTerm)) return undefined;',
    replace: 'if (previousIndex <= log.lastIndex) return undefined;',
  },
  {
    rule: 'what conflicts with the leader is cut (thesis 3.5)',
    file: 'raft/core/follower.ts',
    find: 'if (log.matches(entry.index, entry.term)) continue;',
    replace: 'continue;',
  },
  {
    rule: 'what does not conflict is not cut (hashicorp/raft 0f31a01)',
    file: 'raft/core/follower.ts',
    find: 'if (log.matches(entry.index, entry.term)) continue;',
    replace: '',
  },
  {
    rule: 'a follower commits no further than what the leader has just proven to match',
    file: 'raft/core/follower.ts',
    find: 'log.commitTo(Math.min(request.commit, lastNewIndex));',
    replace: 'log.commitTo(Math.min(request.commit, log.lastIndex));',
  },
  {
    rule: 'a write that comes back late says nothing of entries that were replaced meanwhile',
    file: 'raft/core/log.ts',
    find: 'if (index > this.#stableIndex && this.matches(index, term)) this.#stableIndex = index;',
    replace: 'if (index > this.#stableIndex) this.#stableIndex = Math.min(index, this.lastIndex);',
    isRedundantBecause:
      'a leader sends entries only to who has answered it in its own term, and that answer waits for a write of that term, ' +
      'which comes after all writes with entries of older terms: when entries arrive that replace others, no write with the ' +
      'replaced ones is under way any more',
  },
  {
    rule: 'acknowledgements of an older term that wait for the disk are dropped with the term',
    file: 'raft/core/roles.ts',
    find: 'state.blocked = [];',
    replace: '',
    isRedundantBecause:
      'a leader sends entries only to who has answered it in its own term, and that answer waits for a write that takes all ' +
      'waiting acknowledgements along: they leave while the entries that they name are on the disk, and no vote in between ' +
      'has passed over them, so they say nothing that they would not have said before the term changed',
  },
  {
    rule: 'only what is durable here is applied here',
    file: 'raft/core/log.ts',
    find: 'const to = Math.min(this.#commitIndex, this.#stableIndex, this.#appliedIndex + limits.entriesMax);',
    replace: 'const to = Math.min(this.#commitIndex, this.#appliedIndex + limits.entriesMax);',
  },
  // Reads.
  {
    rule: 'a read needs a quorum that still follows (thesis 6.4)',
    file: 'raft/core/leader.ts',
    find: 'const open = leading.pendingReads.findIndex(read => read.context > confirmed);',
    replace: 'const open = leading.pendingReads.findIndex(read => read.context > confirmed + 1_000_000);',
  },
  {
    rule: 'each read attempt has a context of its own (etcd 20418)',
    file: 'raft/core/raft.ts',
    find: 'const context = ++leading.readContext;',
    replace: 'const context = (leading.readContext ||= 1);',
  },
  {
    rule: 'a leader reads only once it has committed in its own term (etcd 7331)',
    file: 'raft/core/raft.ts',
    find: 'if (leading === undefined || !hasCommittedInTerm(this.#state, leading)) return undefined;',
    replace: 'if (leading === undefined) return undefined;',
  },
  {
    rule: 'a read waits until what was confirmed is applied',
    file: 'raft/driver/reads.ts',
    find: 'this.#confirmed.push({ index, reads: local });',
    replace: 'for (const read of local) read.waiter.resolve(index);',
  },
  {
    rule: 'reads share a barrier only within one turn',
    file: 'store/client/local.ts',
    find: `      queueMicrotask(() => {
        this.#barrier = undefined;
      });`,
    replace: '',
  },
  {
    rule: 'a linearizable read asks at all',
    file: 'store/client/local.ts',
    find: 'if (request.serializable !== true && !isHere) await this.#passBarrier();',
    replace: '',
  },
  // Membership.
  {
    rule: 'during a joint change both majorities have to agree (thesis 4.3)',
    file: 'raft/core/membership.ts',
    find: 'voterSets: old === undefined ? [incoming] : [incoming, old],',
    replace: 'voterSets: [incoming],',
  },
  {
    rule: 'a joint membership is left only once it is committed (thesis 4.3)',
    file: 'raft/core/leader.ts',
    find: 'if (!isJoint || memberships.currentIndex > log.commitIndex || !hasCommittedInTerm(state, leading)) return;',
    replace: 'if (!isJoint) return;',
  },
  {
    rule: 'one change of the membership at a time (thesis 4.1)',
    file: 'raft/core/raft.ts',
    find: 'return memberships.currentIndex <= log.commitIndex && hasCommittedInTerm(this.#state, leading);',
    replace: 'return true;',
  },
  {
    rule: 'a membership is undone when its entry is cut (thesis 4.1)',
    file: 'raft/core/follower.ts',
    find: 'memberships.noteTruncated(entry.index);',
    replace: '',
  },
  {
    rule: 'who is removed for certain is not listened to, who may yet stay is (thesis 4.2.3)',
    file: 'raft/core/raft.ts',
    find: 'if (this.committedConfiguration.removed.has(message.from)) return;',
    replace: 'if (this.configuration.removed.has(message.from)) return;',
  },
  // Snapshots and compaction.
  {
    rule: 'the log forgets only what the state holds durably',
    file: 'raft/driver/compaction.ts',
    find: 'const durableIndex = await stateMachine.flush();',
    replace: 'const durableIndex = core.status().appliedIndex;',
  },
  {
    rule: 'the log is replaced on disk before the state of a snapshot takes effect',
    file: 'raft/driver/snapshots.ts',
    find: 'await logReaches(metadata.index);',
    replace: '',
  },
  {
    rule: 'the log on disk reaches the snapshot, also where it need not be replaced',
    file: 'raft/driver/loop.ts',
    find: 'return !this.core.isResetPending && this.core.status().stableIndex >= index;',
    replace: 'return !this.core.isResetPending;',
  },
  {
    rule: 'a member that is going may still lead until its removal is committed',
    file: 'raft/core/state.ts',
    find: 'return memberships.currentIndex > log.commitIndex && memberships.at(log.commitIndex).voters.has(settings.id);',
    replace: 'return false;',
  },
  {
    rule: 'a snapshot replaces the log on disk',
    file: 'raft/core/follower.ts',
    find: 'state.resetWanted = metadata;',
    replace: '',
  },
  {
    rule: 'a snapshot brings its membership',
    file: 'raft/core/follower.ts',
    find: 'state.memberships.reset(metadata);',
    replace: '',
  },
  {
    rule: 'nothing is applied while a snapshot comes in',
    file: 'raft/driver/loop.ts',
    find: 'canApply: !this.#receiver.isRestoring,',
    replace: 'canApply: true,',
  },
  // What clients are told.
  {
    rule: 'a command that may have left is not called refused',
    file: 'raft/driver/proposals.ts',
    find: 'if (error instanceof PeerUnreachableError && error.isUnsent) {',
    replace: 'if (error instanceof PeerUnreachableError) {',
  },
  {
    rule: 'another entry in the place of a command means that the command is not done',
    file: 'raft/driver/proposals.ts',
    find: 'if (outcome.isSame) waiter.resolve(outcome.result as Result);',
    replace: 'if (outcome.isSame || true) waiter.resolve(outcome.result as Result);',
  },
  // Disks.
  {
    rule: 'each record of the log is checked (CRC)',
    file: 'raft/storage/record.ts',
    find: "if (!isIntact) throw new LogCorruptError('a record does not match its CRC');",
    replace: '',
  },
  {
    rule: 'what a compaction made useless is not taken for the log, where a process died before it was gone',
    file: 'raft/storage/journal.ts',
    find: 'return records.filter(({ sequence }) => sequence >= this.firstSequence);',
    replace: 'return records;',
  },
  {
    rule: 'records of the log follow each other without a hole',
    file: 'raft/storage/journal.ts',
    find: 'if (sequence !== this.#nextSequence || decoded.record.sequence !== sequence) {',
    replace: 'if (false) {',
    isRedundantBecause:
      'each record names the chain value of the one before: behind a hole, and in a place that is not its own, that value is ' +
      'another one, so the next check refuses the record; this one only says more clearly what is missing',
  },
  {
    rule: 'a log that lost its end is told from a short one',
    file: 'raft/storage/journal.ts',
    find: 'if (head === undefined) return;',
    replace: 'return;',
  },
  // The store.
  {
    rule: 'writes of a past leadership are refused',
    file: 'store/mvcc/mvcc.ts',
    find: 'if (fenceTerm !== undefined && fenceTerm !== context.term) return nothing(fenced(fenceTerm, context.term));',
    replace: '',
  },
  {
    rule: 'the applied index is written with what it stands for (etcd 13514)',
    file: 'store/replica.ts',
    find: 'return { appliedIndex: this.#appliedIndex, counters: this.#state.counters, hash: this.#hash.value };',
    replace: 'return { appliedIndex: this.#appliedIndex + 1, counters: this.#state.counters, hash: this.#hash.value };',
  },
  {
    rule: 'a flush reaches the disk before the log forgets',
    file: 'store/replica.ts',
    find: 'await this.#orDie(this.#backend.flush());',
    replace: '',
  },
  {
    rule: 'a checkpoint stands for whole batches',
    file: 'store/replica.ts',
    find: `    // A checkpoint stands for whole batches, so what is applied must all be handed over before its picture is taken.
    this.#appendUnwritten();`,
    replace: '',
  },
  {
    rule: 'a renewal extends a lease',
    file: 'store/duties/lease-keeper.ts',
    find: 'this.#held.set(lease.id, { renewals: lease.renewals, deadlineMs });',
    replace:
      'this.#held.set(lease.id, { renewals: lease.renewals, deadlineMs: this.#held.get(lease.id)?.deadlineMs ?? deadlineMs });',
  },
  {
    rule: 'an expiry that a renewal has overtaken does nothing',
    file: 'store/mvcc/mvcc.ts',
    find: 'const over = command.leases.filter(({ id, renewals }) => this.#leases.get(id)?.renewals === renewals);',
    replace: 'const over = command.leases.filter(({ id }) => this.#leases.get(id) !== undefined);',
  },
  {
    rule: 'a deposed leader ends no lease (etcd 15247)',
    file: 'store/mvcc/mvcc.ts',
    find: 'if (command.fenceTerm !== context.term) return nothing(fenced(command.fenceTerm, context.term));',
    replace: '',
  },
  {
    rule: 'a new leader gives each lease its whole life again',
    file: 'store/duties/lease-keeper.ts',
    find: 'for (const lease of this.#options.leases()) this.#hold(lease);',
    replace:
      'for (const lease of this.#options.leases()) this.#held.set(lease.id, { renewals: lease.renewals, deadlineMs: 0 });',
  },
  {
    rule: 'a leader that slept gives the time back',
    file: 'store/duties/lease-keeper.ts',
    find: 'if (lateMs > LEASE_CHECK_LATE_MS) {',
    replace: 'if (lateMs < 0) {',
  },
  {
    rule: 'a watch whose reader was away goes on where it stopped',
    file: 'store/watch/watcher.ts',
    find: `    this.#fallBehind(revision);
    return false;`,
    replace: `    return false;`,
  },
  {
    rule: 'followers are told when what they wait for was compacted unseen',
    file: 'store/watch/hub.ts',
    find: 'if (from < this.#source.compactedRevision) this.#setBack(from);',
    replace: 'if (false) this.#setBack(from);',
  },
  {
    rule: 'a snapshot ends the watches of the state that it replaces',
    file: 'store/watch/hub.ts',
    find: "this.failAll(() => new WatchLostError('the member took over a snapshot; start again after the last revision seen'));",
    replace: '',
  },
];
