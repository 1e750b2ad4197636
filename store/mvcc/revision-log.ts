/** What changed at each revision since the last compaction, in order: what watches read from. */
import assert from 'node:assert';
import type { WatchEvent } from '../client/client.ts';

/** All changes of one revision. */
export interface RevisionEvents {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

const NO_EVENTS: readonly WatchEvent[] = [];

/** A queue of contiguous revisions; old ones leave at the front. */
export class RevisionLog {
  /** The events of each revision; one alone, which is usual, lies here without a list around it. */
  #entries: (WatchEvent | readonly WatchEvent[])[] = [];
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
    const [first] = entry.events;
    this.#entries.push(first !== undefined && entry.events.length === 1 ? first : entry.events);
  }

  /** Makes room up to a revision, each without events, for {@link add}. */
  reserve(throughRevision: number): void {
    while (this.#firstRevision + this.length <= throughRevision) this.#entries.push(NO_EVENTS);
  }

  /** Adds an event to a revision that is here already: while a state is loaded, they come in the order of keys. */
  add(revision: number, event: WatchEvent): void {
    const at = this.#gone + revision - this.#firstRevision;
    const entry = this.#entries[at];
    assert(entry !== undefined, 'room was made for the revision');
    if (entry === NO_EVENTS) this.#entries[at] = event;
    else this.#entries[at] = 'item' in entry ? [entry, event] : [...entry, event];
  }

  get(revision: number): RevisionEvents | undefined {
    const offset = revision - this.#firstRevision;
    const entry = offset < 0 ? undefined : this.#entries[this.#gone + offset];
    if (entry === undefined) return undefined;
    return { revision, events: 'item' in entry ? [entry] : entry };
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
