/**
 * All keys with their histories: point look-ups, ordered ranges, writes, and the removal of what compaction frees.
 *
 * Example: put at 5, put at 7, delete at 8, put at 11 gives the versions
 *   [create 5 mod 5 v1] [create 5 mod 7 v2] [mod 8 v0] [create 11 mod 11 v1].
 * Compacted at 7: the version of 7 and all after it stay. At 8: the tombstone of 8 stays too, because a watch may start at
 * 8. At 9: only the version of 11 stays; had there been no put at 11, the key would be gone.
 *
 * A version has two users: its key's history, and the log of revisions, where a change knows what it replaced. Compaction
 * takes it from the first at once ({@link KeySpace.compact}); its row goes when the log lets go of the change that replaced
 * it ({@link KeySpace.forget}).
 */
import assert from 'node:assert';
import type { KeyValue, RangeRequest, RangeResult, WatchEvent } from '../client/client.ts';
import { sortName, sortRange } from './keys.ts';
import { KEY_OVERHEAD_BYTES } from './limits.ts';
import { OrderedIndex } from './ordered-index.ts';
import { NO_BYTES, NO_ROW, type Row, VersionTable } from './version-table.ts';

/** What a picture of the state shows. */
export interface PictureAt {
  readonly revision: number;
  readonly compactedRevision: number;
}
export interface KeyPage {
  /** By key, and by revision within a key. */
  readonly items: readonly KeyValue[];
  /** Pass it on for the next page; undefined after the last. */
  readonly next: string | undefined;
}

export class KeySpace {
  readonly #versions = new VersionTable();
  /** The youngest version of each key, a tombstone too. */
  readonly #byKey = new Map<string, Row>();
  /** The keys in their order. */
  readonly #ordered = new OrderedIndex<string>();
  /** What was looked up last. Invariant: it is what the map says. */
  #foundKey: string | undefined;
  #foundRow: Row = NO_ROW;
  #liveBytes = 0;
  #liveCount = 0;

  /** Keys and values that are there now, with what a key costs by itself. The same on every member. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  get liveCount(): number {
    return this.#liveCount;
  }

  /** How many versions are held, those too that only the log of revisions still needs. */
  get versionCount(): number {
    return this.#versions.size;
  }

  get(key: string): KeyValue | undefined {
    const row = this.#latest(key);
    return row === NO_ROW ? undefined : this.#versions.item(row);
  }

  has(key: string): boolean {
    return this.#latest(key) !== NO_ROW;
  }

  /** The lease that a key hangs on; 0 if there is none, or no such key. */
  leaseOf(key: string): number {
    const row = this.#latest(key);
    return row === NO_ROW ? 0 : this.#versions.lease(row);
  }

  /** By how much a put would make the live bytes grow; negative if it makes a value shorter. */
  growthBytes(put: { readonly key: string; readonly value: Uint8Array }): number {
    const previous = this.#latest(put.key);
    if (previous !== NO_ROW) return put.value.length - this.#versions.valueBytes(previous);
    return put.key.length + put.value.length + KEY_OVERHEAD_BYTES;
  }

  /** The item that a put at `revision` makes; not yet written. */
  planPut(put: { key: string; value: Uint8Array; lease: number; revision: number }): KeyValue {
    const previous = this.#latest(put.key);
    return {
      key: put.key,
      value: put.value,
      createRevision: previous === NO_ROW ? put.revision : this.#versions.createRevision(previous),
      modRevision: put.revision,
      version: previous === NO_ROW ? 1 : this.#versions.version(previous) + 1,
      lease: put.lease,
    };
  }

  /** Adds an item, or a tombstone, as the youngest of its key. The value is copied. */
  write(item: KeyValue): Row {
    const youngest = this.#find(item.key);
    const previous = this.#latest(item.key);
    if (youngest === NO_ROW) this.#ordered.insert(sortName(item.key), item.key);
    else assert(this.#versions.modRevision(youngest) < item.modRevision, 'a key changes once a revision');
    // The map, the order and all versions share the string that came with the first.
    const key = youngest === NO_ROW ? item.key : this.#versions.key(youngest);
    const row = this.#versions.add(key, item, youngest);
    this.#byKey.set(key, row);
    this.#foundKey = key;
    this.#foundRow = row;
    if (previous !== NO_ROW) this.#account(previous, -1);
    if (!this.#versions.isTombstone(row)) this.#account(row, 1);
    return row;
  }

  key(row: Row): string {
    return this.#versions.key(row);
  }

  /** What a written version means to who watches. */
  event(row: Row): WatchEvent {
    return {
      type: this.#versions.isTombstone(row) ? 'delete' : 'put',
      item: this.#versions.item(row),
      previous: this.previous(row),
    };
  }

  /** What a version replaced; undefined if nothing was there. */
  previous(row: Row): KeyValue | undefined {
    const replaced = this.#versions.replaced(row);
    return replaced === NO_ROW || this.#versions.isTombstone(replaced) ? undefined : this.#versions.item(replaced);
  }

  /** The keys that are there now in a range, or the one key if `end` is undefined. */
  liveIn(key: string, end: string | undefined): readonly KeyValue[] {
    if (end === undefined) {
      const item = this.get(key);
      return item === undefined ? [] : [item];
    }
    const items: KeyValue[] = [];
    const range = sortRange(key, end);
    this.#ordered.scan(range.start, range.end, found => {
      const item = this.get(found);
      if (item !== undefined) items.push(item);
      return true;
    });
    return items;
  }

  /** Reads a range as of `revision`; `now` says that this is the youngest one. */
  range(request: RangeRequest, revision: number, now: boolean): RangeResult {
    const limit = request.limit === undefined || request.limit === 0 ? Number.POSITIVE_INFINITY : request.limit;
    const items: KeyValue[] = [];
    let count = 0;
    const take = (key: string) => {
      const row = now ? this.#latest(key) : this.#asOf(key, revision);
      if (row === NO_ROW) return true;
      count++;
      if (request.countOnly === true || items.length >= limit) return true;
      const item = this.#versions.item(row);
      items.push(request.keysOnly === true ? { ...item, value: NO_BYTES } : item);
      return true;
    };
    if (request.end === undefined) take(request.key);
    else {
      const range = sortRange(request.key, request.end);
      this.#ordered.scan(range.start, range.end, take);
    }
    return { revision, items, more: request.countOnly !== true && count > items.length, count };
  }

  /**
   * Takes from readers what a compaction at `target` makes superfluous of the key that a version belongs to.
   * @param row a version that was written at `target` or before
   */
  compact(row: Row, target: number): void {
    if (this.#isCompacted(row, target)) return;
    const key = this.#versions.key(row);
    let kept = this.#find(key);
    let isYoungest = true;
    for (; kept !== NO_ROW && this.#versions.modRevision(kept) > target; isYoungest = false)
      kept = this.#versions.older(kept);
    if (kept === NO_ROW) return;
    if (!this.#isPast(kept, target)) {
      this.#versions.makeSuperfluous(this.#versions.replaced(kept), false);
      return;
    }
    this.#versions.makeSuperfluous(kept, isYoungest);
    if (!isYoungest) return;
    this.#byKey.delete(key);
    this.#foundKey = undefined;
    this.#ordered.remove(sortName(key));
  }

  /** The log of revisions lets go of a change: what it replaced is not needed any more. */
  forget(row: Row): void {
    this.#versions.removeOlderOf(row);
    if (this.#versions.isGone(row)) this.#versions.remove(row);
  }

  /**
   * The next keys with their versions, about `budgetBytes` of them, as a picture taken at `at.revision` has them, without what a
   * compaction at `at.compactedRevision` makes superfluous.
   * @param after the `next` of the page before; undefined for the first
   */
  page(after: string | undefined, at: PictureAt, budgetBytes: number): KeyPage {
    const items: KeyValue[] = [];
    let bytes = 0;
    let next: string | undefined;
    this.#ordered.scan(after === undefined ? '' : `${after}\0`, undefined, (key, name) => {
      for (const row of this.#versionsOf(key, at)) {
        const item = this.#versions.item(row);
        items.push(item);
        bytes += key.length + item.value.length + KEY_OVERHEAD_BYTES;
      }
      // Keys that came after the picture cost time too.
      bytes += 1;
      if (bytes < budgetBytes) return true;
      next = name;
      return false;
    });
    return { items, next };
  }

  /** Oldest first. */
  #versionsOf(key: string, at: PictureAt): readonly Row[] {
    const rows: Row[] = [];
    let row = this.#asOfAny(this.#find(key), at.revision);
    for (; row !== NO_ROW && this.#versions.modRevision(row) > at.compactedRevision; row = this.#versions.older(row)) {
      rows.push(row);
    }
    if (row !== NO_ROW && !this.#isPast(row, at.compactedRevision)) rows.push(row);
    return rows.length > 1 ? rows.reverse() : rows;
  }

  /** Whether a version says only that the key was not there before `revision` either. */
  #isPast(row: Row, revision: number): boolean {
    return this.#versions.isTombstone(row) && this.#versions.modRevision(row) < revision;
  }

  /** Whether this compaction has been at the key already: a hot key has many changes, and is to be walked through once. */
  #isCompacted(row: Row, target: number): boolean {
    if (this.#isPast(row, target)) return this.#versions.isSuperfluous(row);
    const replaced = this.#versions.replaced(row);
    return replaced === NO_ROW || this.#versions.isSuperfluous(replaced);
  }

  #latest(key: string): Row {
    const row = this.#find(key);
    return row === NO_ROW || this.#versions.isTombstone(row) ? NO_ROW : row;
  }

  /** The key as of `revision`, if it was there. */
  #asOf(key: string, revision: number): Row {
    const row = this.#asOfAny(this.#find(key), revision);
    return row === NO_ROW || this.#versions.isTombstone(row) ? NO_ROW : row;
  }

  #asOfAny(youngest: Row, revision: number): Row {
    let row = youngest;
    while (row !== NO_ROW && this.#versions.modRevision(row) > revision) row = this.#versions.older(row);
    return row;
  }

  /** One command asks for its key several times, and with many keys a look-up is a walk through cold memory. */
  #find(key: string): Row {
    if (this.#foundKey !== key) {
      this.#foundKey = key;
      this.#foundRow = this.#byKey.get(key) ?? NO_ROW;
    }
    return this.#foundRow;
  }

  #account(row: Row, sign: 1 | -1): void {
    this.#liveBytes += sign * (this.#versions.key(row).length + this.#versions.valueBytes(row) + KEY_OVERHEAD_BYTES);
    this.#liveCount += sign;
  }
}
