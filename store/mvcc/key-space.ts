/** All keys with their histories: point look-ups, ordered ranges, writes, and the removal of what compaction frees. */
import assert from 'node:assert';
import type { KeyValue, RangeRequest, RangeResult, WatchEvent } from '../client/client.ts';
import { atRevision, isTombstone, KeyHistory, latest, superfluousCount } from './history.ts';
import { sortName, sortRange } from './keys.ts';
import { KEY_OVERHEAD_BYTES } from './limits.ts';
import { OrderedIndex } from './ordered-index.ts';

/** The value of a tombstone, and of an item read with `keysOnly`. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);

export class KeySpace {
  readonly #byKey = new Map<string, KeyHistory>();
  readonly #ordered = new OrderedIndex<KeyHistory>();
  /** What was looked up last. Invariant: it is what the map says. */
  #found: { readonly key: string; readonly history: KeyHistory | undefined } | undefined;
  #liveBytes = 0;
  #liveCount = 0;

  /** Keys and values that are there now, with what a key costs by itself. The same on every member. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  get liveCount(): number {
    return this.#liveCount;
  }

  get(key: string): KeyValue | undefined {
    return latest(this.#find(key));
  }

  /** By how much a put would make the live bytes grow; negative if it makes a value shorter. */
  growthBytes(put: { readonly key: string; readonly value: Uint8Array }): number {
    const previous = this.get(put.key);
    if (previous !== undefined) return put.value.length - previous.value.length;
    return put.key.length + put.value.length + KEY_OVERHEAD_BYTES;
  }

  /** The item that a put at `revision` makes; not yet written. */
  planPut(put: { key: string; value: Uint8Array; lease: number; revision: number }): KeyValue {
    const previous = this.get(put.key);
    return {
      key: put.key,
      value: put.value,
      createRevision: previous?.createRevision ?? put.revision,
      modRevision: put.revision,
      version: (previous?.version ?? 0) + 1,
      lease: put.lease,
    };
  }

  /** Adds an item, or a tombstone, as the youngest of its key. */
  write(item: KeyValue): WatchEvent {
    const history = this.#find(item.key);
    const previous = latest(history);
    if (history === undefined) {
      const made = new KeyHistory(sortName(item.key), item);
      this.#byKey.set(item.key, made);
      this.#found = { key: item.key, history: made };
      this.#ordered.insert(made.name, made);
    } else {
      assert(history.last.modRevision < item.modRevision, 'a key changes once a revision');
      history.push(item);
    }
    this.#account(previous, -1);
    if (isTombstone(item)) return { type: 'delete', item, previous };
    this.#account(item, 1);
    return { type: 'put', item, previous };
  }

  /** The keys that are there now in a range, or the one key if `end` is undefined. */
  liveIn(key: string, end: string | undefined): readonly KeyValue[] {
    if (end === undefined) {
      const item = this.get(key);
      return item === undefined ? [] : [item];
    }
    const items: KeyValue[] = [];
    const range = sortRange(key, end);
    this.#ordered.scan(range.start, range.end, history => {
      const item = latest(history);
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
    const take = (item: KeyValue | undefined) => {
      if (item === undefined) return;
      count++;
      if (request.countOnly === true || items.length >= limit) return;
      items.push(request.keysOnly === true ? { ...item, value: NO_BYTES } : item);
    };
    if (request.end === undefined) {
      const history = this.#byKey.get(request.key);
      if (history !== undefined) take(now ? latest(history) : atRevision(history, revision));
    } else {
      const range = sortRange(request.key, request.end);
      this.#ordered.scan(range.start, range.end, history => {
        take(now ? latest(history) : atRevision(history, revision));
        return true;
      });
    }
    return { revision, items, more: request.countOnly !== true && count > items.length, count };
  }

  /** Drops what a compaction at `revision` makes superfluous of one key. */
  compact(key: string, revision: number): void {
    const history = this.#byKey.get(key);
    if (history === undefined) return;
    const count = superfluousCount(history, revision);
    if (count === 0) return;
    if (count < history.length) {
      history.dropFirst(count);
      return;
    }
    this.#byKey.delete(key);
    this.#found = undefined;
    this.#ordered.remove(history.name);
  }

  /** Visits histories in order, beginning after `name` (undefined: at the first), until the visitor answers false. */
  scanAfter(name: string | undefined, visit: (history: KeyHistory) => boolean): void {
    this.#ordered.scan(name === undefined ? '' : `${name}\0`, undefined, visit);
  }

  /** One command asks for its key several times, and with many keys a look-up is a walk through cold memory. */
  #find(key: string): KeyHistory | undefined {
    if (this.#found?.key !== key) this.#found = { key, history: this.#byKey.get(key) };
    return this.#found.history;
  }

  #account(item: KeyValue | undefined, sign: 1 | -1): void {
    if (item === undefined) return;
    this.#liveBytes += sign * (item.key.length + item.value.length + KEY_OVERHEAD_BYTES);
    this.#liveCount += sign;
  }
}
