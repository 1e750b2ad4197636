/**
 * What must hold in every run, judged from outside: from what members say to each other, write, and apply. Knows nothing
 * of how they come to it. A violation is thrown where it shows first.
 */
import type { AppendRequest, AppendResponse, Message, VoteRequest, VoteResponse } from '../../raft/core/messages.ts';
import { membershipCodec } from '../../raft/driver/codec.ts';
import type { Entry, MemberId, Membership, SnapshotMetadata } from '../../raft/index.ts';
import { Coverage } from './coverage.ts';

/** Acknowledgements are held against what leaders of so many terms have sent. */
const TERMS_REMEMBERED = 50;

/** A property of Raft was broken. */
export class SafetyViolation extends Error {
  override readonly name = 'SafetyViolation';
}

interface Applied {
  readonly index: number;
  readonly term: number;
  readonly command: string;
}

/** What a member has on disk for certain. */
interface DurableLog {
  startIndex: number;
  /** The term of the entry at which it starts. */
  startTerm: number;
  terms: number[];
  /** Where its memberships stand, the oldest first: the one at its start, and those in its log. */
  memberships: NotedMembership[];
}

type VoterSets = readonly (readonly MemberId[])[];

interface NotedMembership {
  readonly index: number;
  readonly voterSets: VoterSets;
  readonly members: ReadonlySet<MemberId>;
}

/** An entry as it was first written anywhere. */
interface Written {
  readonly kind: Entry['kind'];
  readonly data: Uint8Array;
  previousTerm: number | undefined;
}

export class Reference {
  readonly #coverage: Coverage;
  readonly #now: () => number;
  readonly #leaders = new Map<number, MemberId>();
  readonly #ledSinceMs = new Map<number, number>();
  readonly #candidates = new Map<number, VoteRequest>();
  readonly #votes = new Map<MemberId, Map<number, MemberId>>();
  /** Entries by index and term. */
  readonly #entries = new Map<number, Map<number, Written>>();
  readonly #durable = new Map<MemberId, DurableLog>();
  /** The commands that were applied anywhere, in order. */
  readonly #applied: Applied[] = [];
  readonly #positions = new Map<string, number>();
  /** The terms of all entries known to be committed, by index, and a term in which they surely were. */
  readonly #committed = new Map<number, { readonly term: number; readonly byTerm: number }>();
  /** The terms of the entries that leaders have sent, by the term in which they led, and index. */
  readonly #sent = new Map<number, Map<number, number>>();
  #highestTerm = 0;
  #committedIndex = 0;
  #committedMembership: NotedMembership | undefined;
  /** The membership the cluster began with, which counts until another is committed. */
  #firstMembership: NotedMembership | undefined;
  /** The term of the joint membership that is in force, if one is. */
  #jointBy: number | undefined;
  /** Whose removal somebody has asked for. */
  readonly #toBeRemoved = new Set<MemberId>();
  /** Memberships that some leader has sent. */
  #proposed: NotedMembership[] = [];

  constructor(options: { readonly coverage?: Coverage; readonly now?: () => number } = {}) {
    this.#coverage = options.coverage ?? new Coverage();
    this.#now = options.now ?? (() => 0);
  }

  /** How many commands some member has applied. */
  get length(): number {
    return this.#applied.length;
  }

  /** Where a command is in the one order (from 0), if it is anywhere. */
  positionOf(command: string): number | undefined {
    return this.#positions.get(command);
  }

  /** Who led in a term, and since when it was heard to; undefined if nobody was. */
  leaderOf(term: number): { readonly id: MemberId; readonly sinceMs: number } | undefined {
    const id = this.#leaders.get(term);
    return id === undefined ? undefined : { id, sinceMs: this.#ledSinceMs.get(term) ?? 0 };
  }

  /** How many commands stand at or before an index of the log. All of them have been applied somewhere. */
  countThrough(index: number): number {
    let [low, high] = [0, this.#applied.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#applied[middle]?.index ?? Number.POSITIVE_INFINITY) <= index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** A message leaves a member. */
  said(message: Message): void {
    if (message.type !== 'preVoteRequest' && message.term > this.#highestTerm) this.#highestTerm = message.term;
    switch (message.type) {
      case 'appendRequest':
        this.#checkLeader(message.from, message.term, message.entries);
        this.#noteSent(message);
        this.#noteAppend(message);
        return;
      case 'appendResponse':
        if (message.success) this.#checkAcknowledgement(message);
        else this.#coverage.note('append refused');
        return;
      case 'preVoteResponse':
        if (!message.granted) this.#coverage.note('pre-vote refused');
        return;
      case 'voteRequest':
        this.#noteCandidate(message);
        return;
      case 'voteResponse':
        if (message.granted) this.#checkVote(message.from, message.to, message.term);
        else this.#noteRefusedVote(message);
        return;
      default:
    }
  }

  /** A new member begins, in a cluster of these. */
  begins(member: MemberId, membership: Membership): void {
    const first = noted(0, membership);
    this.#firstMembership ??= first;
    this.#durable.set(member, { startIndex: 0, startTerm: 0, terms: [], memberships: [first] });
  }

  /** A member started again, with this on its disk. */
  recovered(member: MemberId, start: SnapshotMetadata, entries: readonly Entry[]): void {
    if (entries.length > 0) this.#coverage.note('old log recovered');
    const log: DurableLog = {
      startIndex: start.index,
      startTerm: start.term,
      terms: entries.map(entry => entry.term),
      memberships: [noted(start.index, start.membership)],
    };
    for (const entry of entries) noteMembership(log, entry);
    this.#durable.set(member, log);
  }

  /** A member has loaded its state. */
  opened(member: MemberId, appliedIndex: number): void {
    if (appliedIndex < this.#logOf(member).startIndex) this.#coverage.note('state behind its log');
  }

  /** Entries are on a member's disk. */
  saved(member: MemberId, entries: readonly Entry[]): void {
    const log = this.#logOf(member);
    for (const entry of entries) {
      const offset = entry.index - log.startIndex - 1;
      if (offset < log.terms.length) this.#noteCut(log, entry, offset);
      const previousTerm = offset === 0 ? undefined : log.terms[offset - 1];
      log.terms.push(entry.term);
      noteMembership(log, entry);
      this.#checkEntry(entry, previousTerm);
    }
  }

  /** A member's log on disk was cut at the front or replaced by a snapshot. */
  logStarts(member: MemberId, start: SnapshotMetadata, how: { readonly isReset: boolean }): void {
    const log = this.#logOf(member);
    log.terms = how.isReset ? [] : log.terms.slice(start.index - log.startIndex);
    log.startIndex = start.index;
    log.startTerm = start.term;
    const kept = how.isReset ? [] : log.memberships.filter(({ index }) => index > start.index);
    log.memberships = [noted(start.index, start.membership), ...kept];
    this.#coverage.note(how.isReset ? 'snapshot installed' : 'log compacted');
  }

  /** A member applies a command at a position of its state (state machine safety, thesis figure 3.2). */
  applies(position: number, applied: Applied): void {
    const known = this.#applied[position];
    if (known === undefined) {
      if (position !== this.#applied.length)
        throw new SafetyViolation(`position ${position} was applied with a gap before`);
      if (this.#positions.has(applied.command)) throw new SafetyViolation(`${applied.command} was applied twice`);
      this.#applied.push(applied);
      this.#positions.set(applied.command, position);
    } else if (known.command !== applied.command || known.index !== applied.index || known.term !== applied.term) {
      throw new SafetyViolation(
        `position ${position} is ${known.command} (${known.index}@${known.term}) on one member and ` +
          `${applied.command} (${applied.index}@${applied.term}) on another`,
      );
    }
  }

  /** A member holds everything through `index` as committed; its own log tells the terms. */
  committed(member: MemberId, index: number): void {
    const log = this.#durable.get(member);
    if (log === undefined) return;
    for (let at = index; at > log.startIndex; at--) {
      const term = log.terms[at - log.startIndex - 1];
      if (term === undefined) throw new SafetyViolation(`${member} applied ${at}, which is not on its disk`);
      const known = this.#committed.get(at);
      if (known !== undefined) {
        if (known.term === term) break;
        throw new SafetyViolation(`${member} holds ${at}@${term} as committed, which is ${at}@${known.term}`);
      }
      this.#committed.set(at, { term, byTerm: this.#highestTerm });
      if (term < this.#highestTerm) this.#coverage.note('old-term entry committed');
    }
    if (index <= this.#committedIndex) return;
    this.#checkQuorum(log, index);
    this.#committedIndex = index;
    const term = log.terms[index - log.startIndex - 1];
    if (term !== undefined) this.#checkNobodyElse(index, term);
    const membership = log.memberships.findLast(noted => noted.index <= index);
    if (membership !== undefined && membership.index >= (this.#committedMembership?.index ?? 0)) {
      this.#noteCommittedMembership(membership);
    }
  }

  /** Somebody asks for a member to be removed; whether it comes to that is not known. */
  removalAsked(member: MemberId): void {
    this.#toBeRemoved.add(member);
  }

  /** Whether a member belongs to the cluster, as far as that is certain. */
  isMember(member: MemberId): boolean {
    return (this.#committedMembership ?? this.#firstMembership)?.members.has(member) ?? false;
  }

  /** Who votes for certain. */
  get voters(): readonly MemberId[] {
    return [...new Set(this.#committedMembership?.voterSets.flat() ?? [])];
  }

  /**
   * Whether a majority of voters would be left without these, by the membership that is committed and by each that may come
   * to be: as long as that is so, one of them has a good copy of each committed entry.
   */
  canSpare(lost: ReadonlySet<MemberId>): boolean {
    const present = this.#committedMembership;
    if (present === undefined) return false;
    this.#proposed = this.#proposed.filter(({ index }) => index > present.index);
    const written = [...this.#durable.values()].flatMap(({ memberships }) => memberships);
    const possible = [...this.#proposed, ...written].filter(({ index }) => index > present.index);
    return [present, ...possible].every(({ voterSets }) =>
      voterSets.every(voters => 2 * voters.filter(id => !lost.has(id)).length > voters.length),
    );
  }

  #noteCommittedMembership(membership: NotedMembership): void {
    if (membership === this.#committedMembership) return;
    if (membership.voterSets.length > 1) {
      this.#coverage.note('joint membership entered');
      this.#jointBy = this.#committed.get(membership.index)?.term;
    } else if (this.#jointBy !== undefined) {
      if (this.#committed.get(membership.index)?.term !== this.#jointBy)
        this.#coverage.note('joint membership left by another leader');
      this.#jointBy = undefined;
    }
    this.#committedMembership = membership;
  }

  #logOf(member: MemberId): DurableLog {
    let log = this.#durable.get(member);
    if (log === undefined) {
      log = { startIndex: 0, startTerm: 0, terms: [], memberships: [] };
      this.#durable.set(member, log);
    }
    return log;
  }

  #noteCut(log: DurableLog, entry: Entry, offset: number): void {
    const isConflict = log.terms[offset] !== entry.term;
    if (isConflict) this.#coverage.note('conflicting suffix truncated');
    else this.#coverage.note('repeated append');
    if ((log.memberships.at(-1)?.index ?? 0) >= entry.index) {
      if (isConflict) this.#coverage.note('uncommitted membership cut');
      log.memberships = log.memberships.filter(({ index }) => index < entry.index);
    }
    const lost = this.#committed.get(entry.index);
    if (lost !== undefined && lost.term !== entry.term && lost.term === log.terms[offset]) {
      throw new SafetyViolation(`the committed ${entry.index}@${lost.term} is overwritten in term ${entry.term}`);
    }
    log.terms.length = offset;
  }

  /**
   * What is committed is durable on a majority (thesis 3.6): no counting of what is only in memory. Which majority, the
   * leader's membership says; it is that of the entry, or one that was appended behind it.
   */
  #checkQuorum(applier: DurableLog, index: number): void {
    const term = applier.terms[index - applier.startIndex - 1];
    if (term === undefined) return;
    const isEnough = (sets: VoterSets): boolean => this.#isHeldByMajority(sets, index, term);
    const own = applier.memberships.findLast(membership => membership.index <= index);
    if (own === undefined || isEnough(own.voterSets)) return;
    // A leader counts by a membership as soon as it is in its log, be it in memory alone: majorities of neighbours overlap.
    const later = [...this.#proposed, ...[...this.#durable.values()].flatMap(({ memberships }) => memberships)];
    if (later.some(membership => membership.index > own.index && isEnough(membership.voterSets))) return;
    if (this.#isLastOfTwo(own.voterSets, isEnough)) return;
    const holders = [...this.#durable.keys()].filter(member => this.#isHeld(member, index, term));
    throw new SafetyViolation(
      `${index}@${term} was applied, but only ${holders} have it on disk, of ${JSON.stringify(own.voterSets)}`,
    );
  }

  /**
   * Of two voters one is being removed: the other counts alone from the moment it has that in memory, and tells nobody, for
   * there is nobody left. Should it forget the removal, it is still needed for each election among the two.
   */
  #isLastOfTwo([voters = [], ...others]: VoterSets, isEnough: (sets: VoterSets) => boolean): boolean {
    if (voters.length !== 2 || others.length > 0) return false;
    return voters.some(id => this.#toBeRemoved.has(id) && isEnough([voters.filter(other => other !== id)]));
  }

  #isHeldByMajority(sets: VoterSets, index: number, term: number): boolean {
    return sets.every(voters => 2 * voters.filter(id => this.#isHeld(id, index, term)).length > voters.length);
  }

  #isHeld(member: MemberId, index: number, term: number): boolean {
    const log = this.#durable.get(member);
    if (log === undefined) return false;
    return log.startIndex >= index || log.terms[index - log.startIndex - 1] === term;
  }

  /** What is acknowledged is on the disk, and it is what the leader of that term has there. */
  #checkAcknowledgement({ from, term, matchIndex }: AppendResponse): void {
    const log = this.#durable.get(from);
    const lastIndex = log === undefined ? 0 : log.startIndex + log.terms.length;
    if (matchIndex > lastIndex) {
      throw new SafetyViolation(`${from} acknowledged ${matchIndex}, but only ${lastIndex} is on its disk`);
    }
    const meant = this.#sent.get(term)?.get(matchIndex);
    const held = log?.terms[matchIndex - log.startIndex - 1];
    if (meant === undefined || held === undefined || held === meant) return;
    throw new SafetyViolation(
      `${from} acknowledged ${matchIndex}@${meant} in term ${term}, but ${matchIndex}@${held} is on its disk`,
    );
  }

  /**
   * What is committed stays (leader completeness, thesis figure 3.2), also if all processes died at this very moment: nobody
   * who lacks it would find a majority whose logs are no newer than its own. It counts from the disks alone, so it tells what
   * an election could do that has not come yet.
   */
  #checkNobodyElse(index: number, term: number): void {
    for (const [candidate, log] of this.#durable) {
      if (this.#isHeld(candidate, index, term)) continue;
      const voterSets = log.memberships.at(-1)?.voterSets ?? [];
      if (!voterSets.some(voters => voters.includes(candidate))) continue;
      const grants = (voter: MemberId): boolean => {
        const other = this.#durable.get(voter);
        return other === undefined || isUpToDate(log, other);
      };
      if (!voterSets.every(voters => 2 * voters.filter(grants).length > voters.length)) continue;
      throw new SafetyViolation(`${index}@${term} is committed, but ${candidate} lacks it and could be elected`);
    }
  }

  #noteSent({ term, previousIndex, previousTerm, entries }: AppendRequest): void {
    let terms = this.#sent.get(term);
    if (terms === undefined) {
      terms = new Map();
      this.#sent.set(term, terms);
      this.#sent.delete(term - TERMS_REMEMBERED);
    }
    terms.set(previousIndex, previousTerm);
    for (const entry of entries) terms.set(entry.index, entry.term);
  }

  #noteCandidate(request: VoteRequest): void {
    const known = this.#candidates.get(request.term);
    if (known === undefined || known.from === request.from) this.#candidates.set(request.term, request);
    else this.#coverage.note('candidates met');
  }

  #noteRefusedVote({ from, to, term }: VoteResponse): void {
    this.#coverage.note('vote refused');
    const request = this.#candidates.get(term);
    const log = this.#durable.get(from);
    if (request?.from !== to || log === undefined) return;
    const lastTerm = log.terms.at(-1) ?? 0;
    const isOlder =
      request.lastLogTerm < lastTerm ||
      (request.lastLogTerm === lastTerm && request.lastLogIndex < log.startIndex + log.terms.length);
    if (isOlder) this.#coverage.note('vote refused for an older log');
  }

  #noteAppend({ from, to, term, entries, commit }: AppendRequest): void {
    const first = entries[0];
    const receiver = this.#durable.get(to);
    if (first !== undefined && receiver?.terms[first.index - receiver.startIndex - 1] === first.term) {
      this.#coverage.note('repeated append');
    }
    // The first moments of a leader are those in which it must not count what its predecessors left.
    const log = this.#durable.get(from);
    const next = commit + 1;
    const nextTerm = log?.terms[next - log.startIndex - 1];
    if (log === undefined || nextTerm === undefined || nextTerm >= term || this.#committed.has(next)) return;
    const membership = log.memberships.findLast(({ index }) => index <= next);
    if (membership !== undefined && this.#isHeldByMajority(membership.voterSets, next, nextTerm)) {
      this.#coverage.note('old-term entry not committed by counting');
    }
  }

  /** Election safety: one leader a term. Leader completeness: it has what is committed (thesis figure 3.2). */
  #checkLeader(from: MemberId, term: number, entries: readonly Entry[]): void {
    const known = this.#leaders.get(term);
    if (known === undefined) {
      this.#leaders.set(term, from);
      this.#ledSinceMs.set(term, this.#now());
      this.#coverage.note('leader elected');
    } else if (known !== from) throw new SafetyViolation(`${known} and ${from} both lead in term ${term}`);
    for (const entry of entries) {
      if (entry.kind === 'membership') this.#proposed.push(noted(entry.index, membershipCodec.decode(entry.data)));
      const committed = this.#committed.get(entry.index);
      // Leaders of older terms may still send what they have; it will be refused.
      if (committed === undefined || committed.term === entry.term || term <= committed.byTerm) continue;
      throw new SafetyViolation(`the leader ${from} has ${entry.index}@${entry.term}, committed is ${committed.term}`);
    }
  }

  /** One vote a member and term, also across crashes. */
  #checkVote(from: MemberId, to: MemberId, term: number): void {
    let votes = this.#votes.get(from);
    if (votes === undefined) {
      votes = new Map();
      this.#votes.set(from, votes);
    }
    const known = votes.get(term);
    if (known !== undefined && known !== to) {
      throw new SafetyViolation(`${from} voted for ${known} and for ${to} in term ${term}`);
    }
    votes.set(term, to);
  }

  /** Log matching: index and term name one entry with one predecessor (thesis figure 3.2). */
  #checkEntry(entry: Entry, previousTerm: number | undefined): void {
    let terms = this.#entries.get(entry.index);
    if (terms === undefined) {
      terms = new Map();
      this.#entries.set(entry.index, terms);
    }
    const known = terms.get(entry.term);
    if (known === undefined) {
      terms.set(entry.term, { kind: entry.kind, data: entry.data, previousTerm });
      return;
    }
    const name = `${entry.index}@${entry.term}`;
    const isSame = known.data === entry.data || Buffer.compare(known.data, entry.data) === 0;
    if (known.kind !== entry.kind || !isSame) throw new SafetyViolation(`${name} is two different entries`);
    if (previousTerm === undefined) return;
    known.previousTerm ??= previousTerm;
    if (known.previousTerm === previousTerm) return;
    throw new SafetyViolation(`${name} follows terms ${known.previousTerm} and ${previousTerm}`);
  }
}

/** Whether a log would win the vote of another (thesis 3.6.1). */
function isUpToDate(log: DurableLog, other: DurableLog): boolean {
  const [last, otherLast] = [lastTermOf(log), lastTermOf(other)];
  return (
    last > otherLast ||
    (last === otherLast && log.startIndex + log.terms.length >= other.startIndex + other.terms.length)
  );
}

function lastTermOf({ terms, startTerm }: DurableLog): number {
  return terms.at(-1) ?? startTerm;
}

function noteMembership(log: DurableLog, entry: Entry): void {
  if (entry.kind !== 'membership') return;
  log.memberships.push(noted(entry.index, membershipCodec.decode(entry.data)));
}

function noted(index: number, membership: Membership): NotedMembership {
  return { index, voterSets: voterSetsOf(membership), members: new Set(membership.members.map(({ id }) => id)) };
}

/** Each of these sets has to agree: the voters, and during joint consensus those before them too (thesis 4.3). */
function voterSetsOf(membership: Membership): VoterSets {
  const voters = membership.members.filter(({ role }) => role === 'voter').map(({ id }) => id);
  return membership.outgoing === undefined ? [voters] : [voters, membership.outgoing.map(({ id }) => id)];
}
