/**
 * The words of the Raft core: what goes in, what comes out, what is persisted. Everything here is plain data, so that
 * the core, its storage, its transport and the simulator share one vocabulary (thesis figure 3.1 and chapters 3, 4, 6).
 */

/** Names a member for ever: 16 lower-case hex digits, drawn at random when the member is made, never used again. */
export type MemberId = string;

/** What an entry carries. `noop` opens a term (thesis 6.4); `membership` holds a {@link Membership} in msgpack. */
export type EntryKind = 'command' | 'noop' | 'membership';

/** One slot of the replicated log. Invariant: indices are contiguous and terms never fall as indices grow. */
export interface Entry {
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  /** The command's bytes, opaque to Raft; empty for a noop. */
  readonly data: Uint8Array;
}

/** What a member must remember through a crash before it answers (thesis figure 3.1, "persistent state"). */
export interface HardState {
  readonly term: number;
  /** Whom this member voted for in `term`; undefined if for nobody. */
  readonly votedFor: MemberId | undefined;
  /** A hint only: the commit index is learned again from the leader. */
  readonly commit: number;
}

/** A member's place in the cluster. A learner receives the log but counts in no quorum (thesis 4.2.1). */
export interface MembershipEntry {
  readonly id: MemberId;
  /** The name an operator knows, such as `master-1`. */
  readonly name: string;
  /** Where its peers reach it: `host:port`. */
  readonly peerAddress: string;
  /** Where clients reach its API: `https://host:port`. */
  readonly clientUrl: string;
  readonly role: 'voter' | 'learner';
  /** Only on a learner: the voter whose place it is to take. The two may bear one name. */
  readonly replaces?: MemberId;
}

/** All members as of one log index. */
export interface Membership {
  /** 16 hex digits; members of another cluster are refused. */
  readonly clusterId: string;
  readonly members: readonly MembershipEntry[];
  /**
   * Only during joint consensus (thesis 4.3): the voters as they were before. Until the joint entry is committed and left,
   * a majority of these and a majority of the voters in `members` have to agree.
   */
  readonly outgoing?: readonly MembershipEntry[];
  /** Ids that were members once. They are refused for ever, because an id is never used again (bounded, newest last). */
  readonly removed?: readonly MemberId[];
}

/** Says what a snapshot stands for: the log up to and including `index`. */
export interface SnapshotMetadata {
  readonly index: number;
  readonly term: number;
  readonly membership: Membership;
}
