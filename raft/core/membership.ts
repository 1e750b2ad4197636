/**
 * Who is in the cluster as of which log index. A membership takes effect when its entry is appended, not when it is
 * committed (thesis 4.1), so the history must follow the log when a conflict cuts it.
 *
 * One member changes at a time (thesis 4.1). Joint consensus would add a second voter set to {@link Configuration};
 * everything that counts votes already takes a list of sets.
 */
import assert from 'node:assert';
import { REMOVED_IDS_MAX } from './limits.ts';
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
  readonly voterSets: VoterSets;
  readonly voters: ReadonlySet<MemberId>;
  readonly members: ReadonlyMap<MemberId, MembershipEntry>;
  readonly removed: ReadonlySet<MemberId>;
}

export function configurationOf(membership: Membership): Configuration {
  const voters = membership.members.filter(member => member.role === 'voter').map(member => member.id);
  return {
    membership,
    voterSets: [voters],
    voters: new Set(voters),
    members: new Map(membership.members.map(member => [member.id, member])),
    removed: new Set(membership.removed ?? []),
  };
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

/** Says why one membership may not follow another in a single step, or undefined if it may. */
export function refuseMembershipChange(from: Membership, to: Membership): string | undefined {
  if (to.clusterId !== from.clusterId) return 'a membership cannot move to another cluster';
  const before = new Map(from.members.map(member => [member.id, member]));
  const after = new Map(to.members.map(member => [member.id, member]));
  if (after.size !== to.members.length) return 'a member is listed twice';
  if (!to.members.some(member => member.role === 'voter')) return 'a cluster needs at least one voter';
  const removed = new Set(from.removed ?? []);
  let changes = 0;
  for (const [id, member] of after) {
    const previous = before.get(id);
    if (previous === undefined) {
      if (removed.has(id)) return `member ${id} was removed; ids are never used again`;
      if (member.role !== 'learner') return 'a new member starts as a learner';
      changes++;
    } else if (!isSameMember(previous, member)) {
      if (previous.role === 'voter' && member.role === 'learner') return 'a voter cannot become a learner';
      changes++;
    }
  }
  for (const id of before.keys()) if (!after.has(id)) changes++;
  if (changes > 1) return 'only one member may change at a time';
  const names = new Set(to.members.map(member => member.name));
  if (names.size !== to.members.length) return 'two members cannot have one name; remove the old one first';
  return undefined;
}

function isSameMember(a: MembershipEntry, b: MembershipEntry): boolean {
  return a.role === b.role && a.name === b.name && a.peerAddress === b.peerAddress && a.clientUrl === b.clientUrl;
}

/** The membership with `member` in it, in the place of one with its id if there is any. */
export function withMember(membership: Membership, member: MembershipEntry): Membership {
  const others = membership.members.filter(other => other.id !== member.id);
  return { ...membership, members: [...others, member] };
}

/** The membership without the member, whose id is remembered as used up. */
export function withoutMember(membership: Membership, id: MemberId): Membership {
  return {
    ...membership,
    members: membership.members.filter(member => member.id !== id),
    removed: [...(membership.removed ?? []), id].slice(-REMOVED_IDS_MAX),
  };
}
