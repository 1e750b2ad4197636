/**
 * Items in the order of their keys, in blocks of a bounded size: to put one in moves at most a block, and a page costs what is
 * on it, however many items there are. One array of all would be moved by half its length for each new item.
 */

/** Above this a block is split in two. */
export const BLOCK_ITEMS_MAX = 512;

export interface Keyed {
  readonly key: string;
}

/** Some items in order, and how many more follow within the range that was asked for. */
export interface KeyRange<T> {
  readonly items: T[];
  readonly remaining: number;
}

export class KeyOrder<T extends Keyed> {
  /** None of them is empty; the keys of each lie below those of the next. */
  #blocks: T[][] = [];

  clear(): void {
    this.#blocks = [];
  }

  /** Puts an item in its place, or in the place of the one that has its key. */
  set(item: T): void {
    const number = this.#blockOf(item.key);
    const block = this.#blocks[number];
    if (!block) {
      this.#blocks.push([item]);
      return;
    }
    const index = indexIn(block, item.key);
    block.splice(index, block[index]?.key === item.key ? 1 : 0, item);
    if (block.length <= BLOCK_ITEMS_MAX) return;
    // What comes in order, as when a cache is filled, leaves full blocks behind.
    const isAtEnd = number === this.#blocks.length - 1 && index === block.length - 1;
    this.#blocks.splice(number + 1, 0, block.splice(isAtEnd ? index : block.length >> 1));
  }

  /** Takes the item with this key out, if there is one. */
  delete(key: string): void {
    const number = this.#blockOf(key);
    const block = this.#blocks[number];
    if (!block) return;
    const index = indexIn(block, key);
    if (block[index]?.key !== key) return;
    block.splice(index, 1);
    if (block.length === 0) this.#blocks.splice(number, 1);
  }

  /** Up to `limit` items from the first key that is not below `from` to the last below `to`. */
  range(from: string, to: string, limit = Number.POSITIVE_INFINITY): KeyRange<T> {
    const items: T[] = [];
    let remaining = 0;
    for (let number = this.#blockOf(from); number < this.#blocks.length; number++) {
      const block = this.#blocks[number] as T[];
      const start = indexIn(block, from);
      const end = indexIn(block, to);
      const taken = Math.max(start, Math.min(end, start + limit - items.length));
      for (let index = start; index < taken; index++) items.push(block[index] as T);
      remaining += Math.max(0, end - taken);
      if (end < block.length) break;
    }
    return { items, remaining };
  }

  /** The last block that begins at or below `key`; the first where none does. */
  #blockOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#blocks[middle]?.[0]?.key ?? '') <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The index of the first item whose key is not below `key`. */
function indexIn(block: readonly Keyed[], key: string): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((block[middle] as Keyed).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
