/**
 * What must hold in every run, judged from outside: from what members say to each other, write, and apply. Knows nothing
 * of how they come to it. A violation is thrown where it shows first.
 */

import type { Message } from '../../raft/core/messages.ts';
import type { Entry, MemberId } from '../../raft/index.ts';

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
  terms: number[];
}

export class Reference {
  readonly #leaders = new Map<number, MemberId>();
  readonly #votes = new Map<string, MemberId>();
  readonly #entries = new Map<string, string>();
  readonly #durable = new Map<MemberId, DurableLog>();
  /** The commands that were applied anywhere, in order. */
  readonly #applied: Applied[] = [];
  readonly #positions = new Map<string, number>();
  /** The terms of all entries known to be committed, by index, and a term in which they surely were. */
  readonly #committed = new Map<number, { readonly term: number; readonly byTerm: number }>();
  #highestTerm = 0;

  /** Set while the membership cannot change: then every applied command must be on the disks of a majority of these. */
  readonly #fixedMembers: readonly MemberId[] | undefined;

  constructor(fixedMembers?: readonly MemberId[]) {
    this.#fixedMembers = fixedMembers;
  }

  /** How many commands some member has applied. */
  get length(): number {
    return this.#applied.length;
  }

  /** Where a command is in the one order (from 0), if it is anywhere. */
  positionOf(command: string): number | undefined {
    return this.#positions.get(command);
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
    if (message.type !== 'preVoteRequest') this.#highestTerm = Math.max(this.#highestTerm, message.term);
    if (message.type === 'appendRequest') this.#checkLeader(message.from, message.term, message.entries);
    if (message.type === 'voteResponse' && message.granted) this.#checkVote(message.from, message.to, message.term);
    if (message.type === 'appendResponse' && message.success) {
      const durable = this.#durable.get(message.from);
      const lastIndex = durable === undefined ? 0 : durable.startIndex + durable.terms.length;
      if (message.matchIndex > lastIndex) {
        throw new SafetyViolation(
          `${message.from} acknowledged ${message.matchIndex}, but only ${lastIndex} is on its disk`,
        );
      }
    }
  }

  /** A member started again, with this on its disk. */
  recovered(member: MemberId, startIndex: number, entries: readonly Entry[]): void {
    this.#durable.set(member, { startIndex, terms: entries.map(entry => entry.term) });
  }

  /** Entries are on a member's disk. */
  saved(member: MemberId, entries: readonly Entry[]): void {
    const log = this.#durable.get(member) ?? { startIndex: 0, terms: [] };
    this.#durable.set(member, log);
    for (const entry of entries) {
      const offset = entry.index - log.startIndex - 1;
      log.terms.length = Math.min(log.terms.length, offset);
      const previousTerm = offset === 0 ? 'start' : String(log.terms[offset - 1]);
      log.terms.push(entry.term);
      this.#checkEntry(entry, previousTerm);
    }
  }

  /** A member's log on disk was cut at the front or replaced by a snapshot. */
  logStarts(member: MemberId, startIndex: number, isReset: boolean): void {
    const log = this.#durable.get(member) ?? { startIndex: 0, terms: [] };
    const terms = isReset ? [] : log.terms.slice(startIndex - log.startIndex);
    this.#durable.set(member, { startIndex, terms });
  }

  /** A member applies a command at a position of its state (state machine safety, thesis figure 3.2). */
  applies(position: number, applied: Applied): void {
    const known = this.#applied[position];
    if (known === undefined) {
      if (position !== this.#applied.length)
        throw new SafetyViolation(`position ${position} was applied with a gap before`);
      if (this.#positions.has(applied.command)) throw new SafetyViolation(`${applied.command} was applied twice`);
      this.#checkQuorum(applied);
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
    for (let at = index; at > log.startIndex && !this.#committed.has(at); at--) {
      const term = log.terms[at - log.startIndex - 1];
      if (term === undefined) throw new SafetyViolation(`${member} applied ${at}, which is not on its disk`);
      this.#committed.set(at, { term, byTerm: this.#highestTerm });
    }
  }

  /** What is committed is durable on a majority (thesis 3.6): no counting of what is only in memory. */
  #checkQuorum({ index, term }: Applied): void {
    if (this.#fixedMembers === undefined) return;
    const holders = this.#fixedMembers.filter(member => {
      const log = this.#durable.get(member);
      if (log === undefined) return false;
      return log.startIndex >= index || log.terms[index - log.startIndex - 1] === term;
    });
    if (2 * holders.length > this.#fixedMembers.length) return;
    throw new SafetyViolation(`${index}@${term} was applied, but only ${holders.length} members have it on disk`);
  }

  /** Election safety: one leader a term. Leader completeness: it has what is committed (thesis figure 3.2). */
  #checkLeader(from: MemberId, term: number, entries: readonly Entry[]): void {
    const known = this.#leaders.get(term);
    if (known === undefined) this.#leaders.set(term, from);
    else if (known !== from) throw new SafetyViolation(`${known} and ${from} both lead in term ${term}`);
    for (const entry of entries) {
      const committed = this.#committed.get(entry.index);
      // Leaders of older terms may still send what they have; it will be refused.
      if (committed === undefined || committed.term === entry.term || term <= committed.byTerm) continue;
      throw new SafetyViolation(`the leader ${from} has ${entry.index}@${entry.term}, committed is ${committed.term}`);
    }
  }

  /** One vote a member and term, also across crashes. */
  #checkVote(from: MemberId, to: MemberId, term: number): void {
    const key = `${from}@${term}`;
    const known = this.#votes.get(key);
    if (known !== undefined && known !== to) {
      throw new SafetyViolation(`${from} voted for ${known} and for ${to} in term ${term}`);
    }
    this.#votes.set(key, to);
  }

  /** Log matching: index and term name one entry with one predecessor (thesis figure 3.2). */
  #checkEntry(entry: Entry, previousTerm: string): void {
    const key = `${entry.index}@${entry.term}`;
    const value = `${entry.kind}:${Buffer.from(entry.data).toString('latin1')}`;
    const known = this.#entries.get(key);
    if (known === undefined) this.#entries.set(key, value);
    else if (known !== value) throw new SafetyViolation(`${key} is two different entries`);
    if (previousTerm === 'start') return;
    const before = this.#entries.get(`before ${key}`);
    if (before === undefined) this.#entries.set(`before ${key}`, previousTerm);
    else if (before !== previousTerm) throw new SafetyViolation(`${key} follows terms ${before} and ${previousTerm}`);
  }
}
