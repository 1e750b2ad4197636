/** What each member has on disk for certain: the terms of its entries, and its memberships. Knows nothing of what is right. */
import { membershipCodec } from '../../raft/driver/codec.ts';
import type { Entry, MemberId, Membership, SnapshotMetadata } from '../../raft/index.ts';

/** Each of these sets has to agree, by majority. */
export type VoterSets = readonly (readonly MemberId[])[];

/** A membership, and the entry that brought it. */
export interface NotedMembership {
  readonly index: number;
  readonly voterSets: VoterSets;
  readonly members: ReadonlySet<MemberId>;
}

export interface DurableLog {
  startIndex: number;
  /** The term of the entry at which it starts. */
  startTerm: number;
  terms: number[];
  /** Where its memberships stand, the oldest first: the one at its start, and those in its log. */
  memberships: NotedMembership[];
}

export class DurableLogs {
  readonly #logs = new Map<MemberId, DurableLog>();

  /** Undefined for who has never written. */
  get(member: MemberId): DurableLog | undefined {
    return this.#logs.get(member);
  }

  /** That of a member, empty if it has never written. */
  of(member: MemberId): DurableLog {
    let log = this.#logs.get(member);
    if (log === undefined) {
      log = { startIndex: 0, startTerm: 0, terms: [], memberships: [] };
      this.#logs.set(member, log);
    }
    return log;
  }

  begins(member: MemberId, first: NotedMembership): void {
    this.#logs.set(member, { startIndex: 0, startTerm: 0, terms: [], memberships: [first] });
  }

  recovered(member: MemberId, start: SnapshotMetadata, entries: readonly Entry[]): void {
    const log: DurableLog = {
      startIndex: start.index,
      startTerm: start.term,
      terms: entries.map(entry => entry.term),
      memberships: [noted(start.index, start.membership)],
    };
    for (const entry of entries) noteMembership(log, entry);
    this.#logs.set(member, log);
  }

  /** A log was cut at the front or replaced by a snapshot. */
  starts(member: MemberId, start: SnapshotMetadata, how: { readonly isReset: boolean }): void {
    const log = this.of(member);
    log.terms = how.isReset ? [] : log.terms.slice(start.index - log.startIndex);
    log.startIndex = start.index;
    log.startTerm = start.term;
    const kept = how.isReset ? [] : log.memberships.filter(({ index }) => index > start.index);
    log.memberships = [noted(start.index, start.membership), ...kept];
  }

  /** All memberships that stand in some log, in no order. */
  memberships(): NotedMembership[] {
    return [...this.#logs.values()].flatMap(({ memberships }) => memberships);
  }

  isHeld(member: MemberId, index: number, term: number): boolean {
    const log = this.#logs.get(member);
    if (log === undefined) return false;
    return log.startIndex >= index || termAt(log, index) === term;
  }

  isHeldByMajority(sets: VoterSets, index: number, term: number): boolean {
    return sets.every(voters => 2 * voters.filter(id => this.isHeld(id, index, term)).length > voters.length);
  }

  /** Who has an entry. */
  holders(index: number, term: number): MemberId[] {
    return [...this.#logs.keys()].filter(member => this.isHeld(member, index, term));
  }

  /** Who lacks an entry and could be elected all the same, if all processes died now and only the disks stayed. */
  electableWithout(index: number, term: number): MemberId | undefined {
    for (const [candidate, log] of this.#logs) {
      if (this.isHeld(candidate, index, term)) continue;
      const voterSets = log.memberships.at(-1)?.voterSets ?? [];
      if (!voterSets.some(voters => voters.includes(candidate))) continue;
      const grants = (voter: MemberId): boolean => {
        const other = this.#logs.get(voter);
        return other === undefined || isUpToDate(log, other);
      };
      if (voterSets.every(voters => 2 * voters.filter(grants).length > voters.length)) return candidate;
    }
    return undefined;
  }
}

/** The term of an entry of the log; undefined before its start and behind its end. */
export function termAt(log: DurableLog, index: number): number | undefined {
  return log.terms[index - log.startIndex - 1];
}

export function lastIndexOf({ startIndex, terms }: DurableLog): number {
  return startIndex + terms.length;
}

/** Notes the membership that an entry brings, if it does. */
export function noteMembership(log: DurableLog, entry: Entry): void {
  if (entry.kind !== 'membership') return;
  log.memberships.push(noted(entry.index, membershipCodec.decode(entry.data)));
}

export function noted(index: number, membership: Membership): NotedMembership {
  return { index, voterSets: voterSetsOf(membership), members: new Set(membership.members.map(({ id }) => id)) };
}

/** The voters, and during joint consensus those before them too (thesis 4.3). */
function voterSetsOf(membership: Membership): VoterSets {
  const voters = membership.members.filter(({ role }) => role === 'voter').map(({ id }) => id);
  return membership.outgoing === undefined ? [voters] : [voters, membership.outgoing.map(({ id }) => id)];
}

/** Whether a log would win the vote of another (thesis 3.6.1). */
function isUpToDate(log: DurableLog, other: DurableLog): boolean {
  const [last, otherLast] = [lastTermOf(log), lastTermOf(other)];
  return last > otherLast || (last === otherLast && lastIndexOf(log) >= lastIndexOf(other));
}

function lastTermOf({ terms, startTerm }: DurableLog): number {
  return terms.at(-1) ?? startTerm;
}
