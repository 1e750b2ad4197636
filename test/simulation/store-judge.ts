/**
 * Holds every member's store to the model. Since Raft gives all commands one order, nothing has to be guessed: what a member
 * answers, holds, remembers and announces after so many commands must be what the model says, to the letter.
 */
import type { MemberId } from '../../raft/index.ts';
import { decodeCommand } from '../../store/codec/command.ts';
import type { WatchEvent } from '../../store/index.ts';
import type { ApplyResult, Command } from '../../store/mvcc/command.ts';
import type { Replica } from '../../store/replica.ts';
import { type Reference, SafetyViolation } from './reference.ts';
import { ALL_KEYS, StoreModel } from './store-model.ts';
import { eventText, itemsText, itemText, resultText } from './store-text.ts';

/** A key that never exists; every transaction of a client asks that, each of another one, and so has a name. */
export const TAG_PREFIX = 'tag/';

export class StoreJudge {
  readonly model = new StoreModel();
  readonly #reference: Reference;
  /** The running hash at each revision, as the first member had it. */
  readonly #hashes = new Map<number, number>();

  constructor(reference: Reference) {
    this.#reference = reference;
  }

  /** A member is about to apply a command that goes to `position` of its state. */
  applies(position: number, { index, term, data }: { index: number; term: number; data: Uint8Array }): void {
    const command = decodeCommand(data);
    this.#reference.applies(position, { index, term, command: nameOf(command, index) });
    if (position === this.model.length) this.model.apply(command, term);
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
      this.checkEvents(`${member}, loaded,`, revision, state.eventsAt(revision)?.events ?? []);
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
