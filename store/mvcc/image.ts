/**
 * A picture of the state at one revision, read in pieces while the state moves on. Nothing is copied: histories only grow
 * at their end, and what compaction frees stays until the picture is released.
 */
import type { Alarm, KeyValue } from '../client/client.ts';
import type { Counters, Lease } from './command.ts';
import { superfluousCount } from './history.ts';
import type { KeySpace } from './key-space.ts';
import { KEY_OVERHEAD_BYTES } from './limits.ts';

export interface ImagePage {
  readonly items: readonly KeyValue[];
  /** Pass it on for the next page; undefined after the last. */
  readonly next: string | undefined;
}

export interface Image {
  readonly counters: Counters;
  readonly leases: readonly Lease[];
  readonly alarms: readonly Alarm[];
  /** The next items by key, about `budgetBytes` of them. */
  read(after: string | undefined, budgetBytes: number): ImagePage;
  release(): void;
}

export class MvccImage implements Image {
  readonly counters: Counters;
  readonly leases: readonly Lease[];
  readonly alarms: readonly Alarm[];
  readonly #keys: KeySpace;
  readonly #onRelease: () => void;

  constructor(options: {
    keys: KeySpace;
    counters: Counters;
    leases: readonly Lease[];
    alarms: readonly Alarm[];
    onRelease: () => void;
  }) {
    this.#keys = options.keys;
    this.counters = options.counters;
    this.leases = options.leases;
    this.alarms = options.alarms;
    this.#onRelease = options.onRelease;
  }

  read(after: string | undefined, budgetBytes: number): ImagePage {
    const items: KeyValue[] = [];
    let bytes = 0;
    let next: string | undefined;
    this.#keys.scanAfter(after, history => {
      for (let at = superfluousCount(history, this.counters.compactedRevision); at < history.length; at++) {
        const item = history.at(at);
        if (item === undefined || item.modRevision > this.counters.revision) break;
        items.push(item);
        bytes += item.key.length + item.value.length + KEY_OVERHEAD_BYTES;
      }
      // Keys that came after the picture cost time too.
      bytes += 1;
      if (bytes < budgetBytes) return true;
      next = history.name;
      return false;
    });
    return { items, next };
  }

  release(): void {
    this.#onRelease();
  }
}
