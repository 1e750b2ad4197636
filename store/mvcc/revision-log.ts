/** What changed at each revision since the last compaction, in order: what watches read from. */
import assert from 'node:assert';
import type { WatchEvent } from '../client/client.ts';

/** All changes of one revision. */
export interface RevisionEvents {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

/** A queue of contiguous revisions; old ones leave at the front. */
export class RevisionLog {
  #entries: RevisionEvents[] = [];
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

  push(entry: RevisionEvents): void {
    assert(entry.revision === this.#firstRevision + this.length, 'revisions follow each other without a gap');
    this.#entries.push(entry);
  }

  get(revision: number): RevisionEvents | undefined {
    const offset = revision - this.#firstRevision;
    return offset < 0 ? undefined : this.#entries[this.#gone + offset];
  }

  /** Forgets what lies before `revision`. */
  dropBefore(revision: number): void {
    const count = Math.min(this.length, Math.max(0, revision - this.#firstRevision));
    this.#gone += count;
    this.#firstRevision += count;
    if (this.#gone > 1024 && this.#gone * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#gone);
      this.#gone = 0;
    }
  }
}
