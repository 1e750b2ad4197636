/** What was written at each revision since the last compaction, in order: what watches read from. */
import assert from 'node:assert';
import type { Row } from './version-table.ts';

const NO_ROWS: readonly Row[] = [];

/** A queue of contiguous revisions; old ones leave at the front. */
export class RevisionLog {
  /** The rows of each revision; one alone, which is usual, lies here without a list around it. */
  #entries: (Row | readonly Row[])[] = [];
  /** Entries at the front that have left but are not yet cut off. */
  #gone = 0;
  #firstRevision: number;

  /** @param firstRevision the revision that the next pushed entry has */
  constructor(firstRevision: number) {
    this.#firstRevision = firstRevision;
  }

  /** The oldest revision that is still here. */
  get firstRevision(): number {
    return this.#firstRevision;
  }

  get length(): number {
    return this.#entries.length - this.#gone;
  }

  push(revision: number, rows: readonly Row[]): void {
    assert(revision === this.#firstRevision + this.length, 'revisions follow each other without a gap');
    const [first] = rows;
    this.#entries.push(first !== undefined && rows.length === 1 ? first : rows.slice());
  }

  /** Makes room up to a revision, each without rows, for {@link add}. */
  reserve(throughRevision: number): void {
    while (this.#firstRevision + this.length <= throughRevision) this.#entries.push(NO_ROWS);
  }

  /** Adds a row to a revision that is here already: while a state is loaded, they come in the order of keys. */
  add(revision: number, row: Row): void {
    const at = this.#gone + revision - this.#firstRevision;
    const entry = this.#entries[at];
    assert(entry !== undefined, 'room was made for the revision');
    if (entry === NO_ROWS) this.#entries[at] = row;
    else this.#entries[at] = typeof entry === 'number' ? [entry, row] : [...entry, row];
  }

  /** What was written at a revision; undefined if it has left, or has not come yet. */
  get(revision: number): readonly Row[] | undefined {
    const offset = revision - this.#firstRevision;
    const entry = offset < 0 ? undefined : this.#entries[this.#gone + offset];
    return typeof entry === 'number' ? [entry] : entry;
  }

  /** Forgets the oldest revision. */
  dropFirst(): void {
    if (this.length === 0) return;
    this.#gone++;
    this.#firstRevision++;
    if (this.#gone > 1024 && this.#gone * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#gone);
      this.#gone = 0;
    }
  }
}
