/**
 * Watches that have seen everything so far, by what they wait for. Those with the same key or range form one group: what
 * happens is looked up once for all of them, and they share one batch. A change that nobody waits for costs one look into a
 * map and one into a tree, however many watches there are.
 */
import type { WatchEvent } from '../client/client.ts';
import type { SortRange } from '../mvcc/keys.ts';
import { RangeIndex } from './range-index.ts';

/** One key by its sort name, or a range of them. */
export type WatchTarget = { readonly key: string } | SortRange;

export function targetHolds(target: WatchTarget, name: string): boolean {
  if ('key' in target) return name === target.key;
  return name >= target.start && (target.end === undefined || name < target.end);
}

/** What a publication holds for one group. */
export class WatchGroup<Watcher> {
  readonly target: WatchTarget;
  readonly watchers = new Set<Watcher>();
  /** This publication's events, whole revisions only. */
  events: WatchEvent[] = [];
  firstRevision = 0;
  #lastRevision = 0;
  /** The first revision that was not taken any more, because a batch is bounded. */
  overflowRevision: number | undefined;

  constructor(target: WatchTarget) {
    this.target = target;
  }

  /** Takes an event. Answers true for the first one of a publication. */
  take(event: WatchEvent, revision: number, eventsMax: number): boolean {
    if (this.events.length === 0) {
      this.events.push(event);
      this.firstRevision = revision;
      this.#lastRevision = revision;
      return true;
    }
    if (this.overflowRevision !== undefined) return false;
    // A revision that was begun is taken whole.
    if (this.events.length >= eventsMax && revision !== this.#lastRevision) this.overflowRevision = revision;
    else this.events.push(event);
    this.#lastRevision = revision;
    return false;
  }

  /** Ready for the next publication. The events belong to whoever was handed them. */
  reset(): void {
    this.events = [];
    this.overflowRevision = undefined;
  }
}

export class WatchIndex<Watcher> {
  readonly #keys = new Map<string, WatchGroup<Watcher>>();
  readonly #ranges = new RangeIndex<WatchGroup<Watcher>>();
  #size = 0;

  /** Watchers in it. */
  get size(): number {
    return this.#size;
  }

  add(target: WatchTarget, watcher: Watcher): WatchGroup<Watcher> {
    let group = 'key' in target ? this.#keys.get(target.key) : this.#ranges.get(target);
    if (group === undefined) {
      group = new WatchGroup<Watcher>(target);
      if ('key' in target) this.#keys.set(target.key, group);
      else this.#ranges.set(target, group);
    }
    group.watchers.add(watcher);
    this.#size++;
    return group;
  }

  remove(group: WatchGroup<Watcher>, watcher: Watcher): void {
    if (!group.watchers.delete(watcher)) return;
    this.#size--;
    if (group.watchers.size > 0) return;
    const { target } = group;
    if ('key' in target) this.#keys.delete(target.key);
    else this.#ranges.delete(target);
  }

  /** Calls back for each group that waits for `name`. The index must not change meanwhile. */
  visit(name: string, found: (group: WatchGroup<Watcher>) => void): void {
    const group = this.#keys.get(name);
    if (group !== undefined) found(group);
    if (this.#ranges.size > 0) this.#ranges.visit(name, found);
  }
}
