/**
 * The Raft core: a pure state machine. Time comes in as `tick()`, messages as `step()`, commands as `propose()`; what to
 * write, send and apply comes out of `ready()`, and `advance()` says what was done. It never waits, never reads a clock,
 * and draws chance only from the function it was given, so that one seed replays one run.
 *
 * The order that a driver must keep: `ready.messages` may go at once; `ready.persist` is written durably, then its
 * messages go, then `advance({ persisted })`; `ready.committed` is applied, then `advance({ applied })`.
 *
 * Vocabulary and rules are the Raft thesis's (Ongaro 2014); DESIGN.md lists where this differs.
 */
import assert from 'node:assert';
import { campaign, handleVoteRequest, handleVoteResponse, refuseStaleVoteRequest } from './election.ts';
import { handleAppendRequest, installSnapshot, refuseStaleAppend, wantsSnapshot } from './follower.ts';
import {
  beginTransfer,
  confirmReads,
  handleAppendResponse,
  handleSnapshotStatus,
  handleTimeoutNow,
  hasCommittedInTerm,
  isCommitUntold,
  maybeCommit,
  maybeLeaveJoint,
  maybeStepDownRemoved,
  replicate,
  tickLeader,
} from './leader.ts';
import { CORE_LIMITS, type CoreLimits } from './limits.ts';
import { entryBytes, RaftLog } from './log.ts';
import { type Configuration, type MembershipCodec, MembershipHistory, refuseMembershipChange } from './membership.ts';
import type { Message } from './messages.ts';
import type { Progress } from './progress.ts';
import type { Advance, PersistRequest, ProposeRefusal, ProposeResult, Ready, ReadyOptions } from './ready.ts';
import { appendOwn, becomeFollower } from './roles.ts';
import {
  type CoreRole,
  type CoreState,
  hasLiveLeader,
  isDiskStalled,
  isPromotable,
  isResetPending,
  needsSnapshot,
} from './state.ts';
import type { Entry, HardState, MemberId, Membership, SnapshotMetadata } from './types.ts';

export interface CoreOptions {
  readonly id: MemberId;
  /** What storage recovered. */
  readonly hardState: HardState;
  readonly snapshot: SnapshotMetadata;
  readonly entries: readonly Entry[];
  /** What the state machine holds. May be below the snapshot: then this member waits for one from a leader. */
  readonly appliedIndex: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly random: () => number;
  readonly codec: MembershipCodec;
  readonly limits?: Partial<CoreLimits>;
}

/** Where the core stands; a fresh object each time. */
export interface CoreStatus {
  readonly role: CoreRole;
  readonly term: number;
  readonly leader: MemberId | undefined;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly stableIndex: number;
  readonly lastIndex: number;
  readonly startIndex: number;
  /** Only while leading: the index of the term's first entry. */
  readonly termStartIndex: number | undefined;
}

export class RaftCore {
  readonly #state: CoreState;

  constructor(options: CoreOptions) {
    const { hardState, snapshot, limits, id, electionTicks, heartbeatTicks, random, codec } = options;
    assert(heartbeatTicks > 0 && electionTicks > heartbeatTicks, 'heartbeats must fit into an election timeout');
    const memberships = new MembershipHistory(codec, snapshot);
    for (const entry of options.entries) memberships.noteAppended(entry);
    this.#state = {
      settings: { id, electionTicks, heartbeatTicks, random, codec, limits: { ...CORE_LIMITS, ...limits } },
      log: new RaftLog({
        start: snapshot,
        entries: options.entries,
        commitIndex: hardState.commit,
        appliedIndex: options.appliedIndex,
      }),
      memberships,
      role: 'follower',
      term: hardState.term,
      votedFor: hardState.votedFor,
      leader: undefined,
      leading: undefined,
      votes: new Map(),
      electionElapsed: 0,
      electionTimeout: 0,
      durable: { term: hardState.term, votedFor: hardState.votedFor },
      persisting: undefined,
      persistSequence: 0,
      resetWanted: undefined,
      outbox: [],
      blocked: [],
      confirmedReads: [],
      applyingTo: undefined,
    };
    becomeFollower(this.#state, hardState.term, undefined);
    const { voterSets, voters } = memberships.current;
    // Alone there is nobody to wait for.
    if (voterSets.length === 1 && voters.size === 1 && voters.has(id)) campaign(this.#state, 'preVote');
  }

  /** One tick of time. */
  tick(): void {
    const state = this.#state;
    if (state.persisting !== undefined) state.persisting.elapsed++;
    if (state.leading !== undefined) {
      tickLeader(state, state.leading);
      return;
    }
    state.electionElapsed++;
    if (state.electionElapsed < state.electionTimeout) return;
    if (isPromotable(state) && !isDiskStalled(state)) campaign(state, 'preVote');
    else state.leader = undefined;
  }

  /** A message from another member. Unusable ones are dropped without a word. */
  step(message: Message): void {
    const state = this.#state;
    if (message.to !== state.settings.id || message.from === state.settings.id) return;
    // Members that this one has not heard of are listened to: they may lead by a membership that is still on its way
    // here (thesis 4.1). Removed ones are not, once that is committed: a removal that is not may yet be overwritten, and
    // who believed in it would shut out the very leader that brings the other entries.
    if (this.committedConfiguration.removed.has(message.from)) return;
    this.#step(message);
  }

  propose(data: Uint8Array): ProposeResult {
    const state = this.#state;
    const refusal = this.#refuseProposal();
    if (refusal !== undefined) return { accepted: false, reason: refusal };
    const { leading } = state;
    assert(leading !== undefined);
    const bytes = entryBytes({ index: 0, term: 0, kind: 'command', data });
    // One oversized entry is let through alone, so that a bound set too low cannot refuse for ever.
    if (leading.uncommittedBytes > 0 && leading.uncommittedBytes + bytes > state.settings.limits.uncommittedBytesMax) {
      return { accepted: false, reason: 'overloaded' };
    }
    const entry = appendOwn(state, 'command', data);
    return { accepted: true, index: entry.index, term: entry.term };
  }

  /** Proposes a membership that differs in one member (thesis 4.1), or a joint one (4.3), which is left by itself. */
  proposeMembership(membership: Membership): ProposeResult {
    const state = this.#state;
    const refusal = this.#refuseProposal();
    if (refusal !== undefined) return { accepted: false, reason: refusal };
    if (!this.canChangeMembership) return { accepted: false, reason: 'membershipPending' };
    const detail = refuseMembershipChange(state.memberships.current.membership, membership);
    if (detail !== undefined) return { accepted: false, reason: 'membershipRefused', detail };
    const entry = appendOwn(state, 'membership', state.settings.codec.encode(membership));
    return { accepted: true, index: entry.index, term: entry.term };
  }

  /** Only a leader can, when no other change is under way. */
  get canChangeMembership(): boolean {
    const { leading, memberships, log } = this.#state;
    if (leading === undefined || memberships.current.isJoint) return false;
    // Without a committed entry of the own term, two changes could overlap unseen (Ongaro, raft-dev, July 2015).
    return memberships.currentIndex <= log.commitIndex && hasCommittedInTerm(this.#state, leading);
  }

  /** Begins a ReadIndex attempt; undefined if this member cannot: not leading, not yet sure what is committed, or full. */
  readIndex(): number | undefined {
    const { leading, log, settings } = this.#state;
    if (leading === undefined || !hasCommittedInTerm(this.#state, leading)) return undefined;
    if (leading.pendingReads.length >= settings.limits.pendingReadsMax) return undefined;
    const context = ++leading.readContext;
    leading.pendingReads.push({ context, index: log.commitIndex });
    confirmReads(this.#state, leading);
    return context;
  }

  /** Begins to hand leadership over; answers why not, if not. */
  transferLeadership(to: MemberId): 'begun' | 'notLeader' | 'notVoter' {
    const state = this.#state;
    if (state.leading === undefined) return 'notLeader';
    if (to === state.settings.id || !state.memberships.current.incoming.has(to)) return 'notVoter';
    beginTransfer(state, state.leading, to);
    return 'begun';
  }

  /** Collects what is to be done. Each thing is handed out once. */
  ready(options: ReadyOptions = { canApply: true }): Ready {
    const state = this.#state;
    if (state.leading !== undefined) maybeLeaveJoint(state, state.leading);
    const replication =
      state.leading === undefined ? undefined : replicate(state, state.leading, options.holdCommit === true);
    // After replicate, so that the others learn of the commitment before a removed leader goes.
    maybeStepDownRemoved(state);
    const persist = this.#takePersist();
    const messages: Message[] = [...state.outbox, ...(replication?.messages ?? [])];
    state.outbox = [];
    const reads = state.confirmedReads;
    state.confirmedReads = [];
    return {
      messages,
      persist,
      committed: options.canApply ? this.#takeCommitted() : [],
      reads,
      snapshotsWanted: replication?.snapshotsWanted ?? [],
      isCommitUntold: state.leading !== undefined && isCommitUntold(state, state.leading),
    };
  }

  advance(done: Advance): void {
    const state = this.#state;
    if (done.applied !== undefined) {
      assert.equal(done.applied, state.applyingTo, 'exactly what was handed out is applied');
      state.applyingTo = undefined;
      state.log.appliedTo(done.applied);
    }
    if (done.persisted !== undefined) this.#persisted(done.persisted);
  }

  status(): CoreStatus {
    const { role, term, leader, log, leading } = this.#state;
    return {
      role,
      term,
      leader,
      commitIndex: log.commitIndex,
      appliedIndex: log.appliedIndex,
      stableIndex: log.stableIndex,
      lastIndex: log.lastIndex,
      startIndex: log.start.index,
      termStartIndex: leading?.termStartIndex,
    };
  }

  get id(): MemberId {
    return this.#state.settings.id;
  }

  /** The membership in force, whether it is committed or not. */
  get configuration(): Configuration {
    return this.#state.memberships.current;
  }

  /** The newest membership that is known to be committed. */
  get committedConfiguration(): Configuration {
    return this.#state.memberships.at(this.#state.log.commitIndex);
  }

  /** Only while leading: what is known of the others. */
  get progress(): ReadonlyMap<MemberId, Readonly<Progress>> | undefined {
    return this.#state.leading?.progress;
  }

  /** The member that leadership is being handed to. */
  get transferTarget(): MemberId | undefined {
    return this.#state.leading?.transfer?.to;
  }

  get needsSnapshot(): boolean {
    return needsSnapshot(this.#state);
  }

  /** A snapshot was installed whose log is not on disk yet. */
  get isResetPending(): boolean {
    return isResetPending(this.#state);
  }

  get logBytes(): number {
    return this.#state.log.bytes;
  }

  /** What a snapshot of the state machine at `index` stands for. Undefined if the log no longer reaches there. */
  snapshotMetadata(index: number): SnapshotMetadata | undefined {
    const { log, memberships } = this.#state;
    const term = log.termAt(index);
    if (term === undefined || index > log.commitIndex) return undefined;
    return { index, term, membership: memberships.at(index).membership };
  }

  /** The highest index that may be forgotten: not what a snapshot under way will need to be followed by. */
  compactableIndex(): number {
    const { log, leading } = this.#state;
    let index = Math.min(log.appliedIndex, log.stableIndex);
    for (const progress of leading?.progress.values() ?? []) {
      if (progress.snapshotIndex > 0) index = Math.min(index, progress.snapshotIndex);
    }
    return index;
  }

  /**
   * Where to start the log so that a tail stays for slow followers: `entriesMax` of them, or fewer if they are large.
   * Never above `durableIndex`, which the state machine holds for good.
   */
  compactionTarget(durableIndex: number, tail: { entriesMax: number; bytesMax: number }): number {
    const { log } = this.#state;
    const highest = Math.min(durableIndex, this.compactableIndex());
    return Math.min(highest, Math.max(log.lastIndex - tail.entriesMax, log.indexLeaving(tail.bytesMax)));
  }

  entryAt(index: number): Entry | undefined {
    return this.#state.log.entryAt(index);
  }

  /** The driver has the log on disk start after `index`. */
  compact(index: number): void {
    this.#state.log.compactTo(index);
    this.#state.memberships.noteCompacted(this.#state.log.start.index);
  }

  /** A snapshot goes out to a member. */
  snapshotStarted(to: MemberId, index: number): void {
    const progress = this.#state.leading?.progress.get(to);
    if (progress === undefined) return;
    progress.snapshotIndex = index;
    progress.snapshotSentTicks = undefined;
  }

  /** The transport has handed the snapshot over, or failed to. */
  snapshotEnded(to: MemberId, isSent: boolean): void {
    const progress = this.#state.leading?.progress.get(to);
    if (progress === undefined || progress.snapshotIndex === 0) return;
    if (isSent) progress.snapshotSentTicks = 0;
    else progress.endSnapshot();
  }

  /** Whether a snapshot offered in `term` should be taken in. */
  wantsSnapshot(metadata: SnapshotMetadata, term: number): boolean {
    return term >= this.#state.term && wantsSnapshot(this.#state, metadata);
  }

  /** All of a snapshot has arrived: the log now starts from it, first here, then (by `ready`) on disk. */
  installSnapshot(metadata: SnapshotMetadata): void {
    installSnapshot(this.#state, metadata);
  }

  /** The state machine now holds the snapshot. */
  snapshotRestored(index: number): void {
    this.#state.applyingTo = undefined;
    this.#state.log.appliedTo(index);
  }

  #refuseProposal(): ProposeRefusal | undefined {
    const { leading } = this.#state;
    if (leading === undefined) return 'notLeader';
    return leading.transfer === undefined ? undefined : 'transferring';
  }

  #step(message: Message): void {
    const state = this.#state;
    if (message.term < state.term) {
      if (message.type === 'appendRequest') refuseStaleAppend(state, message);
      if (message.type === 'voteRequest' || message.type === 'preVoteRequest') refuseStaleVoteRequest(state, message);
      return;
    }
    if (message.term > state.term && !this.#enterHigherTerm(message)) return;
    switch (message.type) {
      case 'preVoteRequest':
      case 'voteRequest':
        handleVoteRequest(state, message);
        return;
      case 'preVoteResponse':
      case 'voteResponse':
        handleVoteResponse(state, message);
        return;
      case 'appendRequest':
        assert(state.role !== 'leader', 'two leaders in one term');
        this.#followLeader(message.from);
        handleAppendRequest(state, message);
        return;
      case 'appendResponse':
        if (state.leading !== undefined) handleAppendResponse(state, state.leading, message);
        return;
      case 'snapshotStatus':
        if (state.leading !== undefined) handleSnapshotStatus(state, state.leading, message);
        return;
      case 'timeoutNow':
        if (message.from === state.leader) handleTimeoutNow(state);
        return;
    }
  }

  /** Deals with a term above the own one; answers whether the message is still of interest. */
  #enterHigherTerm(message: Message): boolean {
    const state = this.#state;
    if (message.type === 'preVoteRequest') return true;
    if (message.type === 'preVoteResponse' && message.granted) return true;
    // A candidate that missed the leader must not depose it (thesis 4.2.3).
    if (message.type === 'voteRequest' && !message.transfer && hasLiveLeader(state)) return false;
    becomeFollower(state, message.term, undefined);
    return true;
  }

  #followLeader(leader: MemberId): void {
    const state = this.#state;
    assert(state.leader === undefined || state.leader === leader, 'two leaders in one term');
    if (state.role === 'follower' && state.leader === leader) state.electionElapsed = 0;
    else becomeFollower(state, state.term, leader);
  }

  #takePersist(): PersistRequest | undefined {
    const state = this.#state;
    if (state.persisting !== undefined) return undefined;
    const { log, durable, resetWanted } = state;
    const entries = resetWanted === undefined ? log.unstable() : [];
    const isVoteNew = durable.term !== state.term || durable.votedFor !== state.votedFor;
    if (entries.length === 0 && !isVoteNew && resetWanted === undefined) {
      this.#sendUnblocked();
      return undefined;
    }
    const isSelf = (message: Message) => message.to === state.settings.id;
    const sequence = ++state.persistSequence;
    // Entries that followed a reset are not in its write: what speaks of them waits for the next.
    const isWhole = resetWanted === undefined || log.lastIndex === log.stableIndex;
    const messages = isWhole ? state.blocked : [];
    if (isWhole) state.blocked = [];
    state.resetWanted = undefined;
    state.persisting = {
      sequence,
      term: state.term,
      votedFor: state.votedFor,
      last: entries.at(-1),
      isReset: resetWanted !== undefined,
      selfMessages: messages.filter(isSelf),
      elapsed: 0,
    };
    return {
      sequence,
      reset: resetWanted,
      hardState: { term: state.term, votedFor: state.votedFor, commit: log.commitIndex },
      entries,
      messages: messages.filter(message => !isSelf(message)),
    };
  }

  /** Nothing is on its way to the disk and nothing has to: what waited may go. */
  #sendUnblocked(): void {
    const state = this.#state;
    const waited = state.blocked;
    state.blocked = [];
    for (const message of waited) {
      if (message.to === state.settings.id) this.#step(message);
      else state.outbox.push(message);
    }
  }

  #takeCommitted(): readonly Entry[] {
    const state = this.#state;
    if (state.applyingTo !== undefined) return [];
    const { applyEntriesMax, applyBytesMax } = state.settings.limits;
    const committed = state.log.nextToApply({ entriesMax: applyEntriesMax, bytesMax: applyBytesMax });
    state.applyingTo = committed.at(-1)?.index;
    return committed;
  }

  #persisted(sequence: number): void {
    const state = this.#state;
    const { persisting } = state;
    assert(persisting !== undefined && persisting.sequence === sequence, 'writes come back once, in order');
    state.persisting = undefined;
    state.durable = { term: persisting.term, votedFor: persisting.votedFor };
    // A snapshot that was installed meanwhile made what was written irrelevant.
    if (persisting.last !== undefined && state.resetWanted === undefined) {
      state.log.stableTo(persisting.last.index, persisting.last.term);
    }
    for (const message of persisting.selfMessages) this.#step(message);
    maybeCommit(state);
  }
}
