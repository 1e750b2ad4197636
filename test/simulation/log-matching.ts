/** Log matching: index and term name one entry with one predecessor, on whatever disk (thesis figure 3.2). */
import type { Entry } from '../../raft/index.ts';
import { SafetyViolation } from './safety-violation.ts';

/** An entry as it was first written anywhere. */
interface Written {
  readonly kind: Entry['kind'];
  readonly data: Uint8Array;
  previousTerm: number | undefined;
}

export class LogMatching {
  /** By index and term. */
  readonly #entries = new Map<number, Map<number, Written>>();

  /** An entry is on a disk. @param previousTerm undefined where the log does not tell. @throws {SafetyViolation} */
  written(entry: Entry, previousTerm: number | undefined): void {
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
