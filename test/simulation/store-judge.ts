/**
 * Holds every member's store to the model. Since Raft gives all commands one order, nothing has to be guessed: what a member
 * answers, holds, remembers and announces after so many commands must be what the model says, to the letter.
 */
import type { MemberId } from '../../raft/index.ts';
import { decodeCommand } from '../../store/codec/command.ts';
import type { WatchEvent } from '../../store/index.ts';
import type { ApplyResult, Command } from '../../store/mvcc/command.ts';
import type { Replica } from '../../store/replica.ts';
import { eventsAt } from '../../store/testing/events.ts';
import { LeaseJudge } from './lease-judge.ts';
import type { Reference } from './reference.ts';
import { SafetyViolation } from './safety-violation.ts';
import { ALL_KEYS, StoreModel } from './store-model.ts';
import { eventText, itemsText, itemText, resultText } from './store-text.ts';
import type { WorkloadContext } from './workload.ts';

/** A key that never exists; every transaction of a client asks that, each of another one, and so has a name. */
export const TAG_PREFIX = 'tag/';

export class StoreJudge {
  readonly model = new StoreModel();
  readonly leases: LeaseJudge;
  readonly #context: WorkloadContext;
  readonly #reference: Reference;
  /** The running hash at each revision, as the first member had it. */
  readonly #hashes = new Map<number, number>();
  /** Members that were made to hold something else, at some time. */
  readonly #diverged = new Set<MemberId>();

  constructor(context: WorkloadContext) {
    this.#context = context;
    this.#reference = context.reference;
    this.leases = new LeaseJudge(context);
  }

  /** A member comes to hold something else, of the harness' doing. */
  diverged(member: MemberId): void {
    this.#diverged.add(member);
  }

  /** Whether a member that came to hold something else holds what it should again, as far as anybody can tell. */
  isRight(replica: Replica): boolean {
    const { revision } = replica.state;
    const known = this.#hashes.get(revision);
    return known !== undefined && known === replica.hashAt(revision);
  }

  /** A member is about to apply a command that goes to `position` of its state. */
  applies(position: number, { index, term, data }: { index: number; term: number; data: Uint8Array }): void {
    const command = decodeCommand(data);
    this.#reference.applies(position, { index, term, command: nameOf(command, index) });
    if (position !== this.model.length) return;
    const { revision } = this.model;
    const result = this.model.apply(command, term);
    this.leases.applied(command, result, term);
    if (command.type === 'alarm') this.#judgeAlarm(command);
    this.#noteCoverage(command, result, revision);
  }

  /** A member has applied commands from `position` on. */
  applied(member: MemberId, position: number, replica: Replica, results: readonly ApplyResult[]): void {
    for (const [offset, result] of results.entries()) {
      const expected = this.model.resultAt(position + offset);
      if (resultText(result) === expected) continue;
      throw new SafetyViolation(
        `${member} answers command ${position + offset} with "${resultText(result)}" for "${expected}"`,
      );
    }
    this.#checkCounters(member, replica);
  }

  /** A member has loaded its state, from disk or from another member: all of it is looked at. */
  loaded(member: MemberId, replica: Replica): void {
    this.#checkCounters(member, replica);
    const { state } = replica;
    const found = state.range(ALL_KEYS);
    const text = found.ok ? itemsText(found.value.items) : found.refusal.code;
    this.checkState(`${member}, loaded,`, state.revision, text);
    for (let revision = Math.max(2, state.compactedRevision); revision <= state.revision; revision++) {
      this.checkEvents(`${member}, loaded,`, revision, eventsAt(state, revision));
    }
  }

  /** Somebody saw all keys as of a revision. */
  checkState(who: string, revision: number, text: string): void {
    const expected = this.model.stateAt(revision);
    if (text !== expected) throw new SafetyViolation(`${who} sees "${text}" at ${revision}; it is "${expected}"`);
  }

  /** Somebody saw these events of a revision. */
  checkEvents(who: string, revision: number, events: readonly WatchEvent[]): void {
    const expected = this.model.eventsAt(revision);
    const sorted = [...events].sort((one, other) => (eventText(one) < eventText(other) ? -1 : 1));
    const [seen, wanted] = [sorted.map(eventText).join(), expected.map(eventText).join()];
    if (seen !== wanted)
      throw new SafetyViolation(`${who} sees the events "${seen}" at ${revision}; they are "${wanted}"`);
    for (const [position, { previous }] of sorted.entries()) {
      const before = expected[position]?.previous;
      const isForgotten = previous === undefined && revision <= this.model.compactedRevision;
      if (isForgotten || (previous && itemText(previous)) === (before && itemText(before))) continue;
      throw new SafetyViolation(`${who} sees an event at ${revision} that replaced another item`);
    }
  }

  /** Somebody who watches a range saw these events, and nothing else, in a stretch of revisions. */
  checkEventsIn(
    who: string,
    range: { readonly key: string; readonly end?: string; readonly from: number; readonly through: number },
    events: readonly WatchEvent[],
  ): void {
    const { key, end, from, through } = range;
    const isWatched = ({ item }: WatchEvent): boolean =>
      end === undefined ? item.key === key : item.key >= key && (end === '' || item.key < end);
    const wanted: string[] = [];
    for (let revision = from; revision <= through; revision++) {
      wanted.push(...this.model.eventsAt(revision).filter(isWatched).map(eventText).sort());
    }
    const seen: string[] = [];
    for (const { item } of events) {
      if (item.modRevision >= from && item.modRevision <= through) continue;
      throw new SafetyViolation(`${who} is told of ${item.modRevision} within ${from} to ${through}`);
    }
    for (const [, same] of Map.groupBy(events, ({ item }) => item.modRevision))
      seen.push(...same.map(eventText).sort());
    if (seen.join() === wanted.join()) return;
    throw new SafetyViolation(`${who} sees "${seen}" from ${from} to ${through}; it is "${wanted}"`);
  }

  /** Nobody is accused who has not come to hold something else. */
  #judgeAlarm(command: Extract<Command, { type: 'alarm' }>): void {
    const { coverage } = this.#context;
    const { action } = command;
    const { type, memberId, cause } = action === 'raise' ? command.alarm : command.filter;
    if (type === 'CORRUPT' && action === 'raise') {
      if (memberId !== '' && !this.#diverged.has(memberId ?? '')) {
        throw new SafetyViolation(`${memberId} is accused of holding something else than the others, and never did`);
      }
      if (this.#diverged.size === 0) throw new SafetyViolation('members are said to differ, and none does');
      coverage.note(memberId === '' ? 'CORRUPT alarm without a name' : 'CORRUPT alarm raised');
    } else if (type === 'CORRUPT') coverage.note('CORRUPT alarm ended');
    else if (action === 'disarm') coverage.note('NOSPACE alarm ended');
    else coverage.note(cause === 'quota' ? 'NOSPACE alarm raised by the quota' : 'NOSPACE alarm raised by a disk');
  }

  #noteCoverage(command: Command, result: ApplyResult, revisionBefore: number): void {
    const { coverage } = this.#context;
    if (!result.ok) {
      if (result.refusal.code === 'STORE_FENCED' && command.type === 'transaction') coverage.note('write fenced');
      return;
    }
    if (command.type === 'compact') coverage.note('history compacted');
    if (command.type === 'leaseExpire' && this.model.revision > revisionBefore)
      coverage.note('key gone with its lease');
    if (result.value.type === 'transaction' && !result.value.result.succeeded) coverage.note('exchange failed');
  }

  #checkCounters(member: MemberId, replica: Replica): void {
    const { appliedIndex, state } = replica;
    const expected = this.model.after(this.#reference.countThrough(appliedIndex));
    const { revision, compactedRevision } = state;
    if (revision !== expected.revision || compactedRevision !== expected.compactedRevision) {
      throw new SafetyViolation(
        `${member}, applied ${appliedIndex}, is at revision ${revision}, compacted ${compactedRevision}; ` +
          `that is ${expected.revision} and ${expected.compactedRevision}`,
      );
    }
    const hash = replica.hashAt(revision);
    const known = this.#hashes.get(revision);
    if (hash === undefined) throw new SafetyViolation(`${member} has no hash of its own revision ${revision}`);
    if (known === undefined) this.#hashes.set(revision, hash);
    else if (known !== hash) throw new SafetyViolation(`${member} has another hash at revision ${revision}`);
  }
}

/** The tag of a transaction. What leaders do by themselves has none, and may be done twice. */
function nameOf(command: Command, index: number): string {
  if (command.type !== 'transaction') return `${command.type}#${index}`;
  const tag = command.transaction.compare?.find(({ key }) => key.startsWith(TAG_PREFIX));
  return tag?.key ?? `untagged#${index}`;
}
