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

export interface KeyHistory {
  readonly name: string;
  /** Invariant: `modRevision` grows strictly; a tombstone is never first unless compaction left it there. */
  versions: KeyValue[];
}

export function isTombstone(item: KeyValue): boolean {
  return item.version === 0;
}

/** The key as of now; undefined if it is deleted. */
export function latest(history: KeyHistory | undefined): KeyValue | undefined {
  const item = history?.versions.at(-1);
  return item === undefined || isTombstone(item) ? undefined : item;
}

/** The key as of `revision`; undefined if it was not there. */
export function atRevision(history: KeyHistory, revision: number): KeyValue | undefined {
  const item = history.versions[positionAt(history, revision)];
  return item === undefined || isTombstone(item) ? undefined : item;
}

/** How many of the oldest versions a compaction at `revision` makes superfluous. */
export function superfluousCount(history: KeyHistory, revision: number): number {
  const kept = positionAt(history, revision);
  const item = history.versions[kept];
  if (item === undefined) return 0;
  return isTombstone(item) && item.modRevision < revision ? kept + 1 : kept;
}

/** The position of the last version not above `revision`; -1 if there is none. Recent ones are found first. */
function positionAt(history: KeyHistory, revision: number): number {
  const { versions } = history;
  let low = 0;
  let high = versions.length;
  if (high > 0 && (versions[high - 1] as KeyValue).modRevision <= revision) return high - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((versions[middle] as KeyValue).modRevision <= revision) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
