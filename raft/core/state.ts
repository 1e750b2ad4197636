/**
 * The state of one core, as plain data that the files beside this one work on: `roles.ts` changes roles, `election.ts`
 * votes, `follower.ts` receives, `leader.ts` replicates. Only `raft.ts` is used from outside.
 */

import type { CoreLimits } from './limits.ts';
import type { RaftLog } from './log.ts';
import type { MembershipCodec, MembershipHistory } from './membership.ts';
import type { Message } from './messages.ts';
import type { Progress } from './progress.ts';
import type { ReadState } from './ready.ts';
import type { Entry, MemberId, SnapshotMetadata } from './types.ts';

export type CoreRole = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export interface CoreSettings {
  readonly id: MemberId;
  /** Ticks without a leader before an election, at least; drawn anew from [this, 2 × this) each time (thesis 3.4). */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Uniform in [0, 1). The only source of chance. */
  readonly random: () => number;
  readonly codec: MembershipCodec;
  readonly limits: CoreLimits;
}

/** What exists only while leading. */
export interface Leading {
  readonly progress: Map<MemberId, Progress>;
  /** The index of the entry that opened this term: until it is committed, no read and no membership change. */
  readonly termStartIndex: number;
  heartbeatElapsed: number;
  quorumElapsed: number;
  transfer: { readonly to: MemberId; elapsed: number; isSent: boolean } | undefined;
  uncommittedBytes: number;
  /** Counts read attempts; each has its own context, so that no old answer can confirm a new read (etcd #20418). */
  readContext: number;
  pendingReads: ReadState[];
}

/** A write that the driver has not reported durable yet. */
export interface PersistInFlight {
  readonly sequence: number;
  readonly term: number;
  readonly votedFor: MemberId | undefined;
  readonly last: Entry | undefined;
  readonly isReset: boolean;
  readonly selfMessages: readonly Message[];
  elapsed: number;
}

export interface CoreState {
  readonly settings: CoreSettings;
  readonly log: RaftLog;
  readonly memberships: MembershipHistory;
  role: CoreRole;
  term: number;
  votedFor: MemberId | undefined;
  leader: MemberId | undefined;
  leading: Leading | undefined;
  votes: Map<MemberId, boolean>;
  /** Ticks since the leader was heard, or since the last campaign began. */
  electionElapsed: number;
  electionTimeout: number;
  /** What is on disk. */
  durable: { term: number; votedFor: MemberId | undefined };
  persisting: PersistInFlight | undefined;
  persistSequence: number;
  /** A snapshot replaced the log in memory; the next write has to replace it on disk. */
  resetWanted: SnapshotMetadata | undefined;
  /** May go at once. */
  outbox: Message[];
  /** Wait until everything known at the time of their making is durable. */
  blocked: Message[];
  confirmedReads: ReadState[];
  /** Entries handed out to be applied; nothing more is until they are acknowledged. */
  applyingTo: number | undefined;
}

/** True if this member may start elections: a voter of its own membership whose state machine has what its log has. */
export function isPromotable(state: CoreState): boolean {
  return isOrMayStillBeVoter(state) && !needsSnapshot(state);
}

/**
 * A member that its own log has taken out may still be needed while that is not committed: it may be the only one with the
 * entry, and then none of the others is elected without its vote, nor with it, its log being ahead of theirs. It leads
 * without counting itself until the entry is committed, and then goes (thesis 4.2.2).
 */
function isOrMayStillBeVoter({ memberships, log, settings }: CoreState): boolean {
  if (memberships.current.voters.has(settings.id)) return true;
  return memberships.currentIndex > log.commitIndex && memberships.at(log.commitIndex).voters.has(settings.id);
}

/** The log starts after what the state machine holds: only a snapshot can close the gap. */
export function needsSnapshot(state: CoreState): boolean {
  return state.log.appliedIndex < state.log.start.index;
}

/** Whether a leader is known to be alive: then no other candidate is helped (leader stickiness, thesis 4.2.3). */
export function hasLiveLeader(state: CoreState): boolean {
  if (state.role === 'leader') return true;
  return state.leader !== undefined && state.electionElapsed < state.settings.electionTicks;
}

/**
 * Sends once all that is known now is durable. Acknowledgements of one outcome that wait together become one, the
 * furthest: so that a hung disk does not pile them up, and a group commit answers once.
 */
export function sendDurably(state: CoreState, message: Message): void {
  if (message.type !== 'appendResponse') {
    state.blocked.push(message);
    return;
  }
  const position = state.blocked.findIndex(
    other => other.type === 'appendResponse' && other.to === message.to && other.success === message.success,
  );
  const other = position === -1 ? undefined : state.blocked[position];
  if (other?.type !== 'appendResponse') state.blocked.push(message);
  else if (!message.success || message.matchIndex >= other.matchIndex) state.blocked[position] = message;
}

export function isTermDurable(state: CoreState): boolean {
  return state.durable.term === state.term && state.durable.votedFor === state.votedFor;
}

/** True if a write has been under way for an election timeout: this member can promise nothing, so it must not lead. */
export function isDiskStalled(state: CoreState): boolean {
  return state.persisting !== undefined && state.persisting.elapsed >= state.settings.electionTicks;
}

/** True while a snapshot has replaced the log in memory and not yet on disk. */
export function isResetPending(state: CoreState): boolean {
  return state.resetWanted !== undefined || state.persisting?.isReset === true;
}
