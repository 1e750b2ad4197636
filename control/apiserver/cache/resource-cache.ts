/** All objects of one resource in key order, its recent events, and who watches it. */
import { CachedObject } from './cached-object.ts';

/** A change of one object, shared by all watchers of its resource. */
export interface CacheEvent {
  /** The revision of the change; an object's resourceVersion after it. */
  readonly revision: number;
  /** What is there now; undefined if it was deleted. */
  readonly object: CachedObject | undefined;
  readonly previous: CachedObject | undefined;
  /** Frames already encoded for some watcher, by form and type, so that each is encoded once for all that are told now. */
  readonly frames: Map<string, Buffer>;
}

export interface CacheWatcher {
  /** Called in order of revision; must not throw and must not wait. */
  offer(event: CacheEvent): void;
  /** The cache cannot go on from where it is: the watcher must end, its client starts again. */
  lost(): void;
}

export class ResourceCache {
  readonly prefix: string;
  readonly watchers = new Set<CacheWatcher>();
  readonly #byKey = new Map<string, CachedObject>();
  /** The values of #byKey, ordered by key. */
  #ordered: CachedObject[] = [];
  readonly #history: CacheEvent[] = [];
  readonly #historyEventsMax: number;
  /** Every event after this revision is in #history. */
  #historyStart: number;
  /** The revision of the last change of this resource. */
  #lastChange: number;

  constructor(prefix: string, startRevision: number, historyEventsMax: number) {
    this.prefix = prefix;
    this.#historyStart = startRevision;
    this.#lastChange = startRevision;
    this.#historyEventsMax = historyEventsMax;
  }

  get(key: string): CachedObject | undefined {
    return this.#byKey.get(key);
  }

  get size(): number {
    return this.#byKey.size;
  }

  get lastChange(): number {
    return this.#lastChange;
  }

  /**
   * The objects whose keys begin with `prefix`, in order, from the first key after or at `start`. A copy: stays as it is
   * when the cache goes on.
   */
  list(prefix: string, start = prefix): CachedObject[] {
    const from = this.#indexOf(start > prefix ? start : prefix);
    const isWhole = prefix === this.prefix;
    const to = isWhole ? this.#ordered.length : this.#indexOf(`${prefix.slice(0, -1)}0`);
    return this.#ordered.slice(from, to);
  }

  /** True if all events after `revision` are still known here. */
  canReplayFrom(revision: number): boolean {
    return revision >= this.#historyStart;
  }

  /** The events after `revision`, in order. Only if {@link canReplayFrom}. */
  eventsAfter(revision: number): CacheEvent[] {
    let index = this.#history.length;
    while (index > 0 && (this.#history[index - 1] as CacheEvent).revision > revision) index--;
    return this.#history.slice(index);
  }

  /** Takes an object in while the cache is first filled: no event. Keys must come in order. */
  load(object: CachedObject): void {
    if (this.#byKey.has(object.key)) this.#ordered[this.#indexOf(object.key)] = object;
    else this.#ordered.push(object);
    this.#byKey.set(object.key, object);
  }

  /** One change from the store; tells the watchers. */
  apply(key: string, stored: Uint8Array | undefined, revision: number): void {
    const previous = this.#byKey.get(key);
    if (!stored && !previous) return;
    const object = stored && CachedObject.fromStored(key, stored, revision);
    const index = this.#indexOf(key);
    if (object) {
      this.#byKey.set(key, object);
      this.#ordered.splice(index, previous ? 1 : 0, object);
    } else {
      this.#byKey.delete(key);
      this.#ordered.splice(index, 1);
    }
    this.#lastChange = revision;
    const event: CacheEvent = { revision, object, previous, frames: new Map() };
    this.#remember(event);
    for (const watcher of this.watchers) watcher.offer(event);
    // They have what is theirs. Kept in thousands of events for who might come back, frames would take more than the objects.
    event.frames.clear();
  }

  /** Forgets everything and lets the watchers go: the store's history has a hole. */
  reset(startRevision: number): void {
    this.#byKey.clear();
    this.#ordered = [];
    this.#history.length = 0;
    this.#historyStart = startRevision;
    this.#lastChange = startRevision;
    for (const watcher of [...this.watchers]) watcher.lost();
  }

  #remember(event: CacheEvent): void {
    this.#history.push(event);
    if (this.#history.length <= this.#historyEventsMax) return;
    // Half at a time, so that shifting is rare; never between two events of one revision.
    let cut = this.#history.length >> 1;
    const revisionAt = (index: number) => this.#history[index]?.revision;
    while (cut < this.#history.length && revisionAt(cut) === revisionAt(cut - 1)) cut++;
    this.#historyStart = revisionAt(cut - 1) ?? this.#historyStart;
    this.#history.splice(0, cut);
  }

  /** The index of the first object whose key is not below `key`. */
  #indexOf(key: string): number {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ordered[middle] as CachedObject).key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
