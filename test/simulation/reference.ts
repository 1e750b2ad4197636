/**
 * What must hold in every run, judged from outside: from what members say to each other, write, and apply. Knows nothing
 * of how they come to it. A violation is thrown where it shows first. Here stands what is committed, and who counts for it;
 * elections, acknowledgements, log matching and the order of commands have files of their own.
 */
import type { AppendRequest, Message } from '../../raft/core/messages.ts';
import { membershipCodec } from '../../raft/driver/codec.ts';
import type { Entry, MemberId, Membership, SnapshotMetadata } from '../../raft/index.ts';
import { AcknowledgementJudge } from './acknowledgement-judge.ts';
import { type AppliedCommand, CommandOrder } from './command-order.ts';
import { Coverage } from './coverage.ts';
import {
  type DurableLog,
  DurableLogs,
  type NotedMembership,
  noted,
  noteMembership,
  termAt,
  type VoterSets,
} from './durable-logs.ts';
import { ElectionJudge } from './election-judge.ts';
import { LogMatching } from './log-matching.ts';
import { SafetyViolation } from './safety-violation.ts';

export class Reference {
  readonly #coverage: Coverage;
  readonly #logs = new DurableLogs();
  readonly #elections: ElectionJudge;
  readonly #acknowledgements = new AcknowledgementJudge(this.#logs);
  readonly #matching = new LogMatching();
  readonly #order = new CommandOrder();
  /** The terms of all entries known to be committed, by index, and a term in which they surely were. */
  readonly #committed = new Map<number, { readonly term: number; readonly byTerm: number }>();
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
    this.#elections = new ElectionJudge({ coverage: this.#coverage, now: options.now ?? (() => 0), logs: this.#logs });
  }

  /** How many commands some member has applied. */
  get length(): number {
    return this.#order.length;
  }

  /** Where a command is in the one order (from 0), if it is anywhere. */
  positionOf(command: string): number | undefined {
    return this.#order.positionOf(command);
  }

  /** Who led in a term, and since when it was heard to; undefined if nobody was. */
  leaderOf(term: number): { readonly id: MemberId; readonly sinceMs: number } | undefined {
    return this.#elections.leaderOf(term);
  }

  /** How many commands stand at or before an index of the log. All of them have been applied somewhere. */
  countThrough(index: number): number {
    return this.#order.countThrough(index);
  }

  /** A message leaves a member. */
  said(message: Message): void {
    if (message.type !== 'preVoteRequest' && message.term > this.#highestTerm) this.#highestTerm = message.term;
    switch (message.type) {
      case 'appendRequest':
        this.#elections.leads(message.from, message.term);
        this.#checkLeadersEntries(message);
        this.#acknowledgements.sent(message);
        this.#noteAppend(message);
        return;
      case 'appendResponse':
        if (message.success) this.#acknowledgements.acknowledged(message);
        else this.#coverage.note('append refused');
        return;
      case 'preVoteResponse':
        if (!message.granted) this.#coverage.note('pre-vote refused');
        return;
      case 'voteRequest':
        this.#elections.asked(message);
        return;
      case 'voteResponse':
        this.#elections.answered(message);
        return;
      default:
    }
  }

  /** A new member begins, in a cluster of these. */
  begins(member: MemberId, membership: Membership): void {
    const first = noted(0, membership);
    this.#firstMembership ??= first;
    this.#logs.begins(member, first);
  }

  /** A member started again, with this on its disk. */
  recovered(member: MemberId, start: SnapshotMetadata, entries: readonly Entry[]): void {
    if (entries.length > 0) this.#coverage.note('old log recovered');
    this.#logs.recovered(member, start, entries);
  }

  /** A member has loaded its state. */
  opened(member: MemberId, appliedIndex: number): void {
    if (appliedIndex < this.#logs.of(member).startIndex) this.#coverage.note('state behind its log');
  }

  /** Entries are on a member's disk. */
  saved(member: MemberId, entries: readonly Entry[]): void {
    const log = this.#logs.of(member);
    for (const entry of entries) {
      const offset = entry.index - log.startIndex - 1;
      if (offset < log.terms.length) this.#noteCut(log, entry, offset);
      const previousTerm = offset === 0 ? undefined : log.terms[offset - 1];
      log.terms.push(entry.term);
      noteMembership(log, entry);
      this.#matching.written(entry, previousTerm);
    }
  }

  /** A member's log on disk was cut at the front or replaced by a snapshot. */
  logStarts(member: MemberId, start: SnapshotMetadata, how: { readonly isReset: boolean }): void {
    this.#logs.starts(member, start, how);
    this.#coverage.note(how.isReset ? 'snapshot installed' : 'log compacted');
  }

  /** A member applies a command at a position of its state (state machine safety, thesis figure 3.2). */
  applies(position: number, applied: AppliedCommand): void {
    this.#order.applies(position, applied);
  }

  /** A member holds everything through `index` as committed; its own log tells the terms. */
  committed(member: MemberId, index: number): void {
    const log = this.#logs.get(member);
    if (log === undefined) return;
    for (let at = index; at > log.startIndex; at--) {
      const term = termAt(log, at);
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
    const term = termAt(log, index);
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
    const possible = [...this.#proposed, ...this.#logs.memberships()].filter(({ index }) => index > present.index);
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
    const term = termAt(applier, index);
    if (term === undefined) return;
    const isEnough = (sets: VoterSets): boolean => this.#logs.isHeldByMajority(sets, index, term);
    const own = applier.memberships.findLast(membership => membership.index <= index);
    if (own === undefined || isEnough(own.voterSets)) return;
    // A leader counts by a membership as soon as it is in its log, be it in memory alone: majorities of neighbours overlap.
    const later = [...this.#proposed, ...this.#logs.memberships()];
    if (later.some(membership => membership.index > own.index && isEnough(membership.voterSets))) return;
    if (this.#isLastOfTwo(own.voterSets, isEnough)) return;
    const holders = this.#logs.holders(index, term);
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

  /**
   * What is committed stays (leader completeness, thesis figure 3.2), also if all processes died at this very moment: nobody
   * who lacks it would find a majority whose logs are no newer than its own. It counts from the disks alone, so it tells what
   * an election could do that has not come yet.
   */
  #checkNobodyElse(index: number, term: number): void {
    const candidate = this.#logs.electableWithout(index, term);
    if (candidate === undefined) return;
    throw new SafetyViolation(`${index}@${term} is committed, but ${candidate} lacks it and could be elected`);
  }

  #noteAppend({ from, to, term, entries, commit }: AppendRequest): void {
    const first = entries[0];
    const receiver = this.#logs.get(to);
    if (first !== undefined && receiver !== undefined && termAt(receiver, first.index) === first.term) {
      this.#coverage.note('repeated append');
    }
    // The first moments of a leader are those in which it must not count what its predecessors left.
    const log = this.#logs.get(from);
    const next = commit + 1;
    const nextTerm = log === undefined ? undefined : termAt(log, next);
    if (log === undefined || nextTerm === undefined || nextTerm >= term || this.#committed.has(next)) return;
    const membership = log.memberships.findLast(({ index }) => index <= next);
    if (membership !== undefined && this.#logs.isHeldByMajority(membership.voterSets, next, nextTerm)) {
      this.#coverage.note('old-term entry not committed by counting');
    }
  }

  /** Leader completeness: a leader has what is committed (thesis figure 3.2). */
  #checkLeadersEntries({ from, term, entries }: AppendRequest): void {
    for (const entry of entries) {
      if (entry.kind === 'membership') this.#proposed.push(noted(entry.index, membershipCodec.decode(entry.data)));
      const committed = this.#committed.get(entry.index);
      // Leaders of older terms may still send what they have; it will be refused.
      if (committed === undefined || committed.term === entry.term || term <= committed.byTerm) continue;
      throw new SafetyViolation(`the leader ${from} has ${entry.index}@${entry.term}, committed is ${committed.term}`);
    }
  }
}
