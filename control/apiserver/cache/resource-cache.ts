/** All objects of one resource in key order, its recent events, and who watches it. */
import { CachedObject } from './cached-object.ts';
import { KeyOrder, type KeyRange } from './key-order.ts';

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
  readonly #ordered = new KeyOrder<CachedObject>();
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
    return this.page(prefix, start).items;
  }

  /** The first `limit` objects of such a list, and how many follow. */
  page(prefix: string, start: string, limit?: number): KeyRange<CachedObject> {
    return this.#ordered.range(start > prefix ? start : prefix, `${prefix.slice(0, -1)}0`, limit);
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

  /** Takes an object in while the cache is first filled: no event. */
  load(object: CachedObject): void {
    this.#ordered.set(object);
    this.#byKey.set(object.key, object);
  }

  /** One change from the store; tells the watchers. */
  apply(key: string, stored: Uint8Array | undefined, revision: number): void {
    const previous = this.#byKey.get(key);
    if (!stored && !previous) return;
    const object = stored && CachedObject.fromStored(key, stored, revision);
    if (object) {
      this.#byKey.set(key, object);
      this.#ordered.set(object);
    } else {
      this.#byKey.delete(key);
      this.#ordered.delete(key);
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
    this.#ordered.clear();
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
}
