/**
 * A local copy of all objects of one kind, kept true by list and watch, which tells handlers what changed. Objects in it are
 * never changed, and frozen unless it is said otherwise: whoever wants to change one copies it first. After an interruption the watch resumes at the last version seen;
 * only when that version is gone (410) is everything listed again, and then handlers still see exactly the differences.
 */
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { hasReason } from '../api/status.ts';
import type { ApiWatchEvent, Client } from './client.ts';
import { type Clock, sleep } from './clock.ts';
import { keyOf } from './keys.ts';
import {
  INFORMER_BACKOFF_MS_MAX,
  INFORMER_BACKOFF_MS_MIN,
  LIST_PAGE_SIZE,
  WATCH_TIMEOUT_SECONDS_MIN,
} from './limits.ts';
import type { Logger } from './logger.ts';

/** Called synchronously, in the order of the server's events. */
export interface InformerHandler<T> {
  added?(object: T): void;
  updated?(object: T, old: T): void;
  deleted?(object: T): void;
}

/** Gives the values under which an object is found, such as the UID of its controller. */
export type Indexer<T> = (object: T) => readonly string[];

/** The cache as controllers read it. */
export interface Cache<T extends KubernetesObject> {
  /** By `namespace/name`, or `name`. */
  get(key: string): T | undefined;
  list(): readonly T[];
  byIndex(index: string, value: string): readonly T[];
  readonly size: number;
}

export interface InformerOptions<T extends KubernetesObject> {
  readonly client: Client;
  readonly kind: Kind<T>;
  readonly clock: Clock;
  /** In [0, 1): spreads the ends of watches and the retries. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly metadataOnly?: boolean;
  /**
   * False leaves objects as they were parsed. To freeze one costs twice what parsing it does, and a master of many pods
   * feels that; that nobody changes them is shown by all tests and the control simulation, whose objects are frozen.
   */
  readonly freezes?: boolean;
  /** What is kept of each object, where most of it is of no use; must keep name, namespace, UID and version. */
  readonly keep?: (object: T) => T;
}

export class Informer<T extends KubernetesObject> implements Cache<T> {
  readonly kind: Kind<T>;
  readonly #options: InformerOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, { readonly indexer: Indexer<T>; readonly entries: Map<string, Set<T>> }>();
  readonly #handlers: InformerHandler<T>[] = [];
  readonly #synced = Promise.withResolvers<void>();
  #hasSynced = false;
  #resourceVersion = '';
  #failures = 0;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.kind = options.kind;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** True once the first list is in the cache and every handler has been told of it. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Resolves with true when synced, with false when the signal aborts first. */
  async waitForSync(signal?: AbortSignal): Promise<boolean> {
    if (!signal) await this.#synced.promise;
    else if (!signal.aborted) {
      const aborted = Promise.withResolvers<void>();
      const stop = () => aborted.resolve();
      signal.addEventListener('abort', stop, { once: true });
      await Promise.race([this.#synced.promise, aborted.promise]);
      signal.removeEventListener('abort', stop);
    }
    return this.#hasSynced && !signal?.aborted;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  byIndex(index: string, value: string): readonly T[] {
    const found = this.#indexes.get(index);
    if (!found) throw new RangeError(`the ${this.kind.plural} informer has no index ${index}`);
    return [...(found.entries.get(value) ?? [])];
  }

  /** Adding an index that is there already does nothing: several controllers may want the same one. */
  addIndex(index: string, indexer: Indexer<T>): void {
    if (this.#indexes.has(index)) return;
    const entries = new Map<string, Set<T>>();
    this.#indexes.set(index, { indexer, entries });
    for (const object of this.#objects.values()) insert(entries, indexer, object);
  }

  /** A handler that comes late is told of what is there already. */
  addHandler(handler: InformerHandler<T>): void {
    this.#handlers.push(handler);
    for (const object of this.#objects.values()) this.#tell(() => handler.added?.(object));
  }

  /** Lists and watches until the signal aborts. Never rejects: failures are logged and retried with back-off. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === '') await this.#relist(signal);
        await this.#watch(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (hasReason(error, 'Expired') || hasReason(error, 'Gone')) this.#resourceVersion = '';
        this.#failures++;
        const { logger, clock } = this.#options;
        logger.debug({ kind: this.kind.plural, err: error, failures: this.#failures }, 'informer interrupted');
        await sleep(clock, this.#backoffMs(), signal);
      }
    }
  }

  #backoffMs(): number {
    const ceiling = Math.min(INFORMER_BACKOFF_MS_MIN * 2 ** Math.min(this.#failures - 1, 20), INFORMER_BACKOFF_MS_MAX);
    return ceiling * (0.5 + this.#options.random() / 2);
  }

  /** Reads all pages at one version, then makes the cache equal to them. */
  async #relist(signal: AbortSignal): Promise<void> {
    const { client, namespace, labelSelector, fieldSelector, metadataOnly } = this.#options;
    const found = new Map<string, T>();
    let resourceVersion = '';
    let next: string | undefined;
    do {
      const page = await client.list(this.kind, {
        ...withoutUndefined({ namespace, labelSelector, fieldSelector, metadataOnly, continue: next }),
        limit: LIST_PAGE_SIZE,
        signal,
      });
      for (const object of page.items) found.set(keyOf(object), this.#prepare(object));
      resourceVersion = page.resourceVersion;
      next = page.continue;
    } while (next && !signal.aborted);
    if (signal.aborted) return;
    for (const [key, object] of [...this.#objects]) if (!found.has(key)) this.#remove(key, object);
    for (const [key, object] of found) this.#put(key, object);
    this.#resourceVersion = resourceVersion;
    this.#hasSynced = true;
    this.#synced.resolve();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, random, namespace, labelSelector, fieldSelector, metadataOnly } = this.#options;
    const events = client.watch(this.kind, {
      ...withoutUndefined({ namespace, labelSelector, fieldSelector, metadataOnly }),
      resourceVersion: this.#resourceVersion,
      allowBookmarks: true,
      timeoutSeconds: Math.floor(WATCH_TIMEOUT_SECONDS_MIN * (1 + random())),
      signal,
    });
    for await (const event of events) {
      if (signal.aborted) return;
      this.#failures = 0;
      this.#apply(event);
    }
  }

  #apply(event: ApiWatchEvent<T>): void {
    const version = event.object.metadata?.resourceVersion;
    if (event.type === 'DELETED') this.#remove(keyOf(event.object), this.#prepare(event.object));
    else if (event.type !== 'BOOKMARK') this.#put(keyOf(event.object), this.#prepare(event.object));
    if (version) this.#resourceVersion = version;
  }

  #put(key: string, object: T): void {
    const old = this.#objects.get(key);
    if (
      old?.metadata?.resourceVersion !== undefined &&
      old.metadata.resourceVersion === object.metadata?.resourceVersion
    ) {
      return;
    }
    // A new object under an old name: its handlers must see the first one go.
    if (old && old.metadata?.uid !== object.metadata?.uid) {
      this.#remove(key, old);
      this.#put(key, object);
      return;
    }
    this.#objects.set(key, object);
    for (const { indexer, entries } of this.#indexes.values()) {
      if (old) erase(entries, indexer, old);
      insert(entries, indexer, object);
    }
    for (const handler of this.#handlers) {
      this.#tell(() => (old ? handler.updated?.(object, old) : handler.added?.(object)));
    }
  }

  #remove(key: string, last: T): void {
    const old = this.#objects.get(key);
    if (!old) return;
    this.#objects.delete(key);
    for (const { indexer, entries } of this.#indexes.values()) erase(entries, indexer, old);
    for (const handler of this.#handlers) this.#tell(() => handler.deleted?.(last));
  }

  /** Drops what no controller reads, which is a third of a small object. */
  #prepare(object: T): T {
    if (object.metadata?.managedFields) delete object.metadata.managedFields;
    const kept = this.#keptOf(object);
    return this.#options.freezes === false ? kept : deepFreeze(kept);
  }

  #keptOf(object: T): T {
    const { keep, metadataOnly } = this.#options;
    if (keep) return keep(object);
    if (!metadataOnly) return object;
    const { apiVersion, kind, metadata } = object;
    if (metadata?.annotations) delete metadata.annotations;
    return { apiVersion, kind, metadata } as T;
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      // One handler's fault must not cost the others the event.
      this.#options.logger.error({ kind: this.kind.plural, err: error }, 'informer handler failed');
    }
  }
}

/** Freezes an object of JSON all the way down. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const key in value) deepFreeze(value[key]);
  return Object.freeze(value);
}

function insert<T>(entries: Map<string, Set<T>>, indexer: Indexer<T>, object: T): void {
  for (const value of indexer(object)) {
    const set = entries.get(value);
    if (set) set.add(object);
    else entries.set(value, new Set([object]));
  }
}

function erase<T>(entries: Map<string, Set<T>>, indexer: Indexer<T>, object: T): void {
  for (const value of indexer(object)) {
    const set = entries.get(value);
    set?.delete(object);
    if (set?.size === 0) entries.delete(value);
  }
}

function withoutUndefined<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
