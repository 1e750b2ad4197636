/**
 * What is remembered of one key. The versions lie in one list, oldest first; a tombstone is an item of version 0. A run of
 * items that ends with a tombstone is what etcd's key index calls a generation: `createRevision` names the first of it.
 *
 * Example: put at 5, put at 7, delete at 8, put at 11 gives
 *   [create 5 mod 5 v1] [create 5 mod 7 v2] [mod 8 v0] [create 11 mod 11 v1].
 * Compacted at 7: the item of 7 and all after it stay. At 8: the tombstone of 8 stays too, because a watch may start at 8.
 * At 9: only the item of 11 stays; had there been no put at 11, the key would be gone.
 */
import type { KeyValue } from '../client/client.ts';

/** There are as many of these as keys, and most keys have one version: the list of versions is made with the second. */
export class KeyHistory {
  /** The name that the key sorts by. */
  readonly name: string;
  /** One version, or several. Invariant: `modRevision` grows strictly; a tombstone is never first unless compaction left it there. */
  #versions: KeyValue | KeyValue[];

  constructor(name: string, first: KeyValue) {
    this.name = name;
    this.#versions = first;
  }

  get length(): number {
    return Array.isArray(this.#versions) ? this.#versions.length : 1;
  }

  /** The version at a position, oldest first. */
  at(position: number): KeyValue | undefined {
    if (Array.isArray(this.#versions)) return this.#versions[position];
    return position === 0 ? this.#versions : undefined;
  }

  /** The youngest version, a tombstone too. */
  get last(): KeyValue {
    // There is always one.
    return Array.isArray(this.#versions) ? (this.#versions.at(-1) as KeyValue) : this.#versions;
  }

  push(item: KeyValue): void {
    const versions = this.#versions;
    if (!Array.isArray(versions)) this.#versions = [versions, item];
    // An array that is pushed to takes room for seventeen more, so short ones are made anew.
    else if (versions.length < SHORT_HISTORY) this.#versions = [...versions, item];
    else versions.push(item);
  }

  /** Forgets the oldest; at least one stays. */
  dropFirst(count: number): void {
    if (!Array.isArray(this.#versions) || count === 0) return;
    const rest = this.#versions.slice(count);
    this.#versions = rest.length === 1 ? (rest[0] as KeyValue) : rest;
  }
}

const SHORT_HISTORY = 8;

export function isTombstone(item: KeyValue): boolean {
  return item.version === 0;
}

/** The key as of now; undefined if it is deleted. */
export function latest(history: KeyHistory | undefined): KeyValue | undefined {
  const item = history?.last;
  return item === undefined || isTombstone(item) ? undefined : item;
}

/** The key as of `revision`; undefined if it was not there. */
export function atRevision(history: KeyHistory, revision: number): KeyValue | undefined {
  const item = history.at(positionAt(history, revision));
  return item === undefined || isTombstone(item) ? undefined : item;
}

/** How many of the oldest versions a compaction at `revision` makes superfluous. */
export function superfluousCount(history: KeyHistory, revision: number): number {
  const kept = positionAt(history, revision);
  const item = history.at(kept);
  if (item === undefined) return 0;
  return isTombstone(item) && item.modRevision < revision ? kept + 1 : kept;
}

/** The position of the last version not above `revision`; -1 if there is none. Recent ones are found first. */
function positionAt(history: KeyHistory, revision: number): number {
  let low = 0;
  let high = history.length;
  if (history.last.modRevision <= revision) return high - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    // Between the bounds there is one.
    if ((history.at(middle) as KeyValue).modRevision <= revision) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
