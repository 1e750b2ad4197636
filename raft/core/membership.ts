/**
 * Who is in the cluster as of which log index. A membership takes effect when its entry is appended, not when it is
 * committed (thesis 4.1), so the history must follow the log when a conflict cuts it.
 *
 * One member changes at a time (thesis 4.1), or any number of voters by joint consensus (thesis 4.3): a joint membership
 * holds the new members and, as `outgoing`, the old voters; until it is committed and left, a majority of both must agree.
 */
import assert from 'node:assert';
import { MEMBERS_MAX, REMOVED_IDS_MAX } from './limits.ts';
import type { VoterSets } from './quorum.ts';
import type { Entry, MemberId, Membership, MembershipEntry, SnapshotMetadata } from './types.ts';

/** Turns memberships into entry data and back; handed in, because the core knows no encoding. */
export interface MembershipCodec {
  encode(membership: Membership): Uint8Array;
  /** @throws where the bytes are no membership: the log is not what was written. */
  decode(data: Uint8Array): Membership;
}

/** A membership as the algorithm needs it. */
export interface Configuration {
  readonly membership: Membership;
  /** Each set has to agree: the voters, and during joint consensus also those before them. */
  readonly voterSets: VoterSets;
  /** Who is in any of the sets. */
  readonly voters: ReadonlySet<MemberId>;
  /** Who will be a voter once a joint membership is left; without one, the same as `voters`. */
  readonly incoming: ReadonlySet<MemberId>;
  readonly isJoint: boolean;
  /** Everyone who is to receive the log: members, and outgoing voters as long as they count. */
  readonly members: ReadonlyMap<MemberId, MembershipEntry>;
  readonly removed: ReadonlySet<MemberId>;
}

export function configurationOf(membership: Membership): Configuration {
  const { members, outgoing } = membership;
  const incoming = votersOf(membership).map(({ id }) => id);
  const old = outgoing?.map(({ id }) => id);
  return {
    membership,
    voterSets: old === undefined ? [incoming] : [incoming, old],
    voters: new Set([...incoming, ...(old ?? [])]),
    incoming: new Set(incoming),
    isJoint: outgoing !== undefined,
    // What the new membership says of a member counts more.
    members: new Map([...(outgoing ?? []), ...members].map(member => [member.id, member])),
    removed: new Set(membership.removed ?? []),
  };
}

function votersOf(membership: Membership): MembershipEntry[] {
  return membership.members.filter(member => member.role === 'voter');
}

interface HistoryItem {
  readonly index: number;
  readonly configuration: Configuration;
}

/** Memberships by index. Invariant: never empty, indices strictly rise, the first is the snapshot's or older. */
export class MembershipHistory {
  readonly #codec: MembershipCodec;
  #items: HistoryItem[];

  constructor(codec: MembershipCodec, snapshot: SnapshotMetadata) {
    this.#codec = codec;
    this.#items = [{ index: snapshot.index, configuration: configurationOf(snapshot.membership) }];
  }

  get current(): Configuration {
    return this.#last().configuration;
  }

  /** Where the present membership was appended; a change is pending while this is above the commit index. */
  get currentIndex(): number {
    return this.#last().index;
  }

  /** The membership as of `index`. */
  at(index: number): Configuration {
    const item = this.#items.findLast(candidate => candidate.index <= index);
    assert(item !== undefined, 'a membership was asked for from before the start of the log');
    return item.configuration;
  }

  /** To be called for each entry that is appended to the log. Answers whether the membership changed. */
  noteAppended(entry: Entry): boolean {
    if (entry.kind !== 'membership') return false;
    assert(entry.index > this.currentIndex, 'memberships are appended in log order');
    this.#items.push({ index: entry.index, configuration: configurationOf(this.#codec.decode(entry.data)) });
    return true;
  }

  /** The log lost its entries from `index` on. Answers whether the membership changed. */
  noteTruncated(index: number): boolean {
    const kept = this.#items.filter(item => item.index < index);
    assert(kept.length > 0, 'the membership that a snapshot stands on cannot be cut');
    const changed = kept.length < this.#items.length;
    this.#items = kept;
    return changed;
  }

  /** The log now starts after `index`; what was in force there stays. */
  noteCompacted(index: number): void {
    const first = this.#items.findLastIndex(item => item.index <= index);
    if (first > 0) this.#items = this.#items.slice(first);
  }

  reset(snapshot: SnapshotMetadata): void {
    this.#items = [{ index: snapshot.index, configuration: configurationOf(snapshot.membership) }];
  }

  #last(): HistoryItem {
    const item = this.#items.at(-1);
    assert(item !== undefined);
    return item;
  }
}

/**
 * Says why one membership may not follow another, or undefined if it may. Without `outgoing` one member may differ; with
 * it, which must then be the voters of `from`, any number of voters may. Joint memberships are left by {@link leaveJoint} only.
 */
export function refuseMembershipChange(from: Membership, to: Membership): string | undefined {
  if (to.clusterId !== from.clusterId) return 'a membership cannot move to another cluster';
  if (from.outgoing !== undefined) return 'another change of the voters is not finished yet; try again';
  return refuseAsSet(to) ?? (to.outgoing === undefined ? refuseSimple(from, to) : refuseJoint(from, to, to.outgoing));
}

/** What a membership must be like whatever came before it. */
function refuseAsSet({ members }: Membership): string | undefined {
  if (members.length > MEMBERS_MAX) return `a cluster has at most ${MEMBERS_MAX} members`;
  if (new Set(members.map(({ id }) => id)).size !== members.length) return 'a member is listed twice';
  if (!members.some(member => member.role === 'voter')) return 'a cluster needs at least one voter';
  const bearers = new Map<string, MembershipEntry>();
  for (const member of members) {
    const other = bearers.get(member.name);
    if (other === undefined) bearers.set(member.name, member);
    else if (!isReplacement(member, other) && !isReplacement(other, member)) {
      return `two members cannot have the name ${member.name}: remove or replace the old one`;
    }
  }
  return undefined;
}

function isReplacement(learner: MembershipEntry, voter: MembershipEntry): boolean {
  return learner.role === 'learner' && learner.replaces === voter.id;
}

function refuseSimple(from: Membership, to: Membership): string | undefined {
  const before = membersById(from);
  const removed = new Set(from.removed ?? []);
  let changes = 0;
  for (const member of to.members) {
    const previous = before.get(member.id);
    if (previous === undefined) {
      if (removed.has(member.id)) return `member ${member.id} was removed; ids are never used again`;
      if (member.role !== 'learner') return 'a new member starts as a learner';
      changes++;
    } else if (!isSameMember(previous, member)) {
      if (previous.role === 'voter' && member.role === 'learner') return 'a voter cannot become a learner';
      changes++;
    }
  }
  const after = membersById(to);
  for (const id of before.keys()) if (!after.has(id)) changes++;
  return changes > 1 ? 'only one member may change at a time' : undefined;
}

function refuseJoint(from: Membership, to: Membership, outgoing: readonly MembershipEntry[]): string | undefined {
  const before = membersById(from);
  const old = votersOf(from);
  const isOld = outgoing.length === old.length && outgoing.every(({ id }) => old.some(other => other.id === id));
  if (!isOld) return 'the outgoing voters of a joint change are the voters of now';
  for (const member of to.members) {
    const previous = before.get(member.id);
    if (previous === undefined) return 'a new member starts as a learner';
    if (previous.role === 'voter' && member.role === 'learner') return 'a voter cannot become a learner';
  }
  return undefined;
}

function membersById(membership: Membership): Map<MemberId, MembershipEntry> {
  return new Map(membership.members.map(member => [member.id, member]));
}

function isSameMember(a: MembershipEntry, b: MembershipEntry): boolean {
  const isSamePlace = a.name === b.name && a.peerAddress === b.peerAddress && a.clientUrl === b.clientUrl;
  return a.role === b.role && a.replaces === b.replaces && isSamePlace;
}

/** The membership with `member` in it, in the place of one with its id if there is any. */
export function withMember(membership: Membership, member: MembershipEntry): Membership {
  const isThere = membership.members.some(({ id }) => id === member.id);
  if (!isThere) return { ...membership, members: [...membership.members, member] };
  return { ...membership, members: membership.members.map(other => (other.id === member.id ? member : other)) };
}

/** The membership without the member, whose id is remembered as used up. */
export function withoutMember(membership: Membership, id: MemberId): Membership {
  return {
    ...membership,
    members: membership.members.filter(member => member.id !== id),
    removed: withUsedUp(membership, [id]),
  };
}

/** The member as a voter; as such it has taken its place, if it was to take one. */
export function asVoter({ replaces: _, ...member }: MembershipEntry): MembershipEntry {
  return { ...member, role: 'voter' };
}

/** The joint membership in which the learner `by` takes the place of the voter `id` (thesis 4.3). */
export function replacing(membership: Membership, id: MemberId, by: MemberId): Membership {
  const members = membership.members
    .filter(member => member.id !== id)
    .map(member => (member.id === by ? asVoter(member) : member));
  return { ...membership, members, outgoing: votersOf(membership) };
}

/** What follows a joint membership: the new voters alone count. Who is out has its id remembered, not before. */
export function leaveJoint(membership: Membership): Membership {
  const { outgoing = [], ...rest } = membership;
  const after = membersById(membership);
  const gone = outgoing.filter(({ id }) => !after.has(id)).map(({ id }) => id);
  return { ...rest, removed: withUsedUp(membership, gone) };
}

function withUsedUp(membership: Membership, ids: readonly MemberId[]): MemberId[] {
  return [...(membership.removed ?? []), ...ids].slice(-REMOVED_IDS_MAX);
}
