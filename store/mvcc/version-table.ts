/**
 * All versions of all keys, one a row. Numbers lie in typed arrays and values in slabs, so that of a version only the
 * string of its key is an object: at a million keys that makes a full garbage collection several times shorter, and a key a
 * third smaller. What leaves the table is a {@link KeyValue}, made when it is asked for.
 *
 * The rows of one key form a list, from the youngest to the oldest. A row that compaction has made superfluous ends that
 * list for readers, but stays until the log of revisions lets go of it: see `key-space.ts`.
 */
import assert from 'node:assert';
import type { KeyValue } from '../client/client.ts';
import { ValueSlabs } from './value-slabs.ts';

/** The number of a row; valid until the row is removed, then given to another. */
export type Row = number;
export const NO_ROW: Row = -1;

/** The value of a tombstone, and of an item read with `keysOnly`. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);

/** Why a row is of no more use to readers. */
const KEPT = 0;
const SUPERFLUOUS = 1;
/** The key itself is gone with it, so no younger row will ever refer to this one. */
const GONE = 2;

/** Rows come in pages, so that the table grows without copying what is there. */
const PAGE_BITS = 13;
const PAGE_ROWS = 1 << PAGE_BITS;
const ROW_MASK = PAGE_ROWS - 1;

// The columns: where in a row's part of the two arrays each of them is.
const NUMBERS = 4;
const CREATE_REVISION = 0;
const MOD_REVISION = 1;
const VERSION = 2;
const LEASE = 3;
const PLACES = 5;
const SLAB = 0;
const OFFSET = 1;
const LENGTH = 2;
const OLDER = 3;
const STATE = 4;

interface Page {
  readonly numbers: Float64Array;
  readonly places: Int32Array;
  readonly keys: string[];
}

export class VersionTable {
  readonly #pages: Page[] = [];
  readonly #values = new ValueSlabs();
  readonly #freed: Row[] = [];
  #rows = 0;

  /** How many rows are in use. */
  get size(): number {
    return this.#rows - this.#freed.length;
  }

  /** Adds a version of `key`; `older` is the one that it replaces. The value is copied. */
  add(key: string, item: KeyValue, older: Row): Row {
    const row = this.#freed.pop() ?? this.#newRow();
    const { numbers, places, keys } = this.#page(row);
    const at = (row & ROW_MASK) * NUMBERS;
    numbers[at + CREATE_REVISION] = item.createRevision;
    numbers[at + MOD_REVISION] = item.modRevision;
    numbers[at + VERSION] = item.version;
    numbers[at + LEASE] = item.lease;
    const { slab, offset } = this.#values.add(item.value);
    const from = (row & ROW_MASK) * PLACES;
    places[from + SLAB] = slab;
    places[from + OFFSET] = offset;
    places[from + LENGTH] = item.value.length;
    places[from + OLDER] = older;
    places[from + STATE] = KEPT;
    keys[row & ROW_MASK] = key;
    return row;
  }

  /** Removes a row, and the link to it from the one that replaced it. */
  removeOlderOf(row: Row): void {
    const older = this.#place(row, OLDER);
    if (older === NO_ROW) return;
    assert(this.#place(older, STATE) !== KEPT, 'only what is superfluous is removed');
    this.#setPlace(row, OLDER, NO_ROW);
    this.remove(older);
  }

  /** Removes a row that no other refers to. */
  remove(row: Row): void {
    this.#values.remove(this.#place(row, SLAB));
    this.#page(row).keys[row & ROW_MASK] = '';
    this.#freed.push(row);
  }

  /** The version as clients see it. */
  item(row: Row): KeyValue {
    const { numbers, places, keys } = this.#page(row);
    const at = (row & ROW_MASK) * NUMBERS;
    const from = (row & ROW_MASK) * PLACES;
    return {
      key: keys[row & ROW_MASK] as string,
      value: this.#values.get(
        places[from + SLAB] as number,
        places[from + OFFSET] as number,
        places[from + LENGTH] as number,
      ),
      createRevision: numbers[at + CREATE_REVISION] as number,
      modRevision: numbers[at + MOD_REVISION] as number,
      version: numbers[at + VERSION] as number,
      lease: numbers[at + LEASE] as number,
    };
  }

  key(row: Row): string {
    return this.#page(row).keys[row & ROW_MASK] as string;
  }
  createRevision(row: Row): number {
    return this.#number(row, CREATE_REVISION);
  }
  modRevision(row: Row): number {
    return this.#number(row, MOD_REVISION);
  }
  version(row: Row): number {
    return this.#number(row, VERSION);
  }
  lease(row: Row): number {
    return this.#number(row, LEASE);
  }
  isTombstone(row: Row): boolean {
    return this.#number(row, VERSION) === 0;
  }
  valueBytes(row: Row): number {
    return this.#place(row, LENGTH);
  }

  /** The version that this one replaced, as long as its row is there; {@link NO_ROW} if there is none. */
  replaced(row: Row): Row {
    return this.#place(row, OLDER);
  }

  /** The next older version that readers may still see; {@link NO_ROW} if there is none. */
  older(row: Row): Row {
    const older = this.#place(row, OLDER);
    return older === NO_ROW || this.#place(older, STATE) !== KEPT ? NO_ROW : older;
  }

  isSuperfluous(row: Row): boolean {
    return this.#place(row, STATE) !== KEPT;
  }

  /** Whether its key went with it, so that nothing younger refers to it. */
  isGone(row: Row): boolean {
    return this.#place(row, STATE) === GONE;
  }

  /** Takes a row, and all that are older, from the readers. `isGone`: there is no younger one. */
  makeSuperfluous(row: Row, isGone: boolean): void {
    let state = isGone ? GONE : SUPERFLUOUS;
    for (let at = row; at !== NO_ROW && !this.isSuperfluous(at); at = this.#place(at, OLDER)) {
      this.#setPlace(at, STATE, state);
      state = SUPERFLUOUS;
    }
  }

  #newRow(): Row {
    const row = this.#rows++;
    if (row >>> PAGE_BITS === this.#pages.length) {
      this.#pages.push({
        numbers: new Float64Array(PAGE_ROWS * NUMBERS),
        places: new Int32Array(PAGE_ROWS * PLACES),
        keys: new Array<string>(PAGE_ROWS).fill(''),
      });
    }
    return row;
  }

  // Row numbers come from here, so there is something at each.
  #page(row: Row): Page {
    return this.#pages[row >>> PAGE_BITS] as Page;
  }
  #number(row: Row, column: number): number {
    return this.#page(row).numbers[(row & ROW_MASK) * NUMBERS + column] as number;
  }
  #place(row: Row, column: number): number {
    return this.#page(row).places[(row & ROW_MASK) * PLACES + column] as number;
  }
  #setPlace(row: Row, column: number, value: number): void {
    this.#page(row).places[(row & ROW_MASK) * PLACES + column] = value;
  }
}
