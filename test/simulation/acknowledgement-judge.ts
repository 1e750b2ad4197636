/** What a member acknowledges is on its disk, and it is what the leader of that term has there. */
import type { AppendRequest, AppendResponse } from '../../raft/core/messages.ts';
import { type DurableLogs, lastIndexOf, termAt } from './durable-logs.ts';
import { SafetyViolation } from './safety-violation.ts';

/** Acknowledgements are held against what leaders of so many terms have sent. */
const TERMS_REMEMBERED = 50;

export class AcknowledgementJudge {
  readonly #logs: DurableLogs;
  /** The terms of the entries that leaders have sent, by the term in which they led, and index. */
  readonly #sent = new Map<number, Map<number, number>>();

  constructor(logs: DurableLogs) {
    this.#logs = logs;
  }

  /** A leader sends entries, and says what stands before them. */
  sent({ term, previousIndex, previousTerm, entries }: AppendRequest): void {
    let terms = this.#sent.get(term);
    if (terms === undefined) {
      terms = new Map();
      this.#sent.set(term, terms);
      this.#sent.delete(term - TERMS_REMEMBERED);
    }
    terms.set(previousIndex, previousTerm);
    for (const entry of entries) terms.set(entry.index, entry.term);
  }

  /** A member says that it has all through an index. @throws {SafetyViolation} */
  acknowledged({ from, term, matchIndex }: AppendResponse): void {
    const log = this.#logs.get(from);
    const lastIndex = log === undefined ? 0 : lastIndexOf(log);
    if (matchIndex > lastIndex) {
      throw new SafetyViolation(`${from} acknowledged ${matchIndex}, but only ${lastIndex} is on its disk`);
    }
    const meant = this.#sent.get(term)?.get(matchIndex);
    const held = log === undefined ? undefined : termAt(log, matchIndex);
    if (meant === undefined || held === undefined || held === meant) return;
    throw new SafetyViolation(
      `${from} acknowledged ${matchIndex}@${meant} in term ${term}, but ${matchIndex}@${held} is on its disk`,
    );
  }
}
