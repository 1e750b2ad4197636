/**
 * The state of the store's /registry/ in memory, as bytes ready to be sent. It is filled by one range and kept by one
 * watch from that range's revision on; if the watch breaks it goes on from the last revision seen. Reads that must be
 * consistent ask the store for its revision (ReadIndex, shared) and wait until the cache has reached it.
 */

import { CompactedError, type StoreClient, type WatchBatch } from '../../../store/index.ts';
import { ApiError } from '../../api/status.ts';
import type { Limits } from '../limits.ts';
import type { Clock, Logger } from '../types.ts';
import { CachedObject } from './cached-object.ts';
import { ReadIndex } from './read-index.ts';
import { ResourceCache } from './resource-cache.ts';

/** Where API objects live in the store. */
export const REGISTRY = '/registry/';
/**
 * The cache watches all keys, not only REGISTRY: a consistent read waits for the store's revision, which writes of other
 * keys move too.
 */
const ALL_KEYS = { key: '/', end: '0' } as const;
const RETRY_MS = 200;
const LOAD_PAGE_KEYS = 1_000;

export interface WatchCacheOptions {
  readonly store: StoreClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Limits;
}

interface Waiter {
  readonly revision: number;
  readonly wake: () => void;
}

export class WatchCache {
  readonly #options: WatchCacheOptions;
  readonly #resources = new Map<string, ResourceCache>();
  readonly #readIndex: ReadIndex;
  readonly #stop = new AbortController();
  #waiters: Waiter[] = [];
  #revision = 0;
  #isFilled = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: WatchCacheOptions) {
    this.#options = options;
    this.#readIndex = new ReadIndex(async () => {
      const { revision } = await options.store.range({ key: REGISTRY, countOnly: true });
      return revision;
    }, options.clock);
  }

  /** Everything up to this revision is in the cache. */
  get revision(): number {
    return this.#revision;
  }

  /** True once the cache has been filled for the first time. */
  get isFilled(): boolean {
    return this.#isFilled;
  }

  /** Begins to fill the cache; does not wait for it. */
  start(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    for (const resource of this.#resources.values()) for (const watcher of [...resource.watchers]) watcher.lost();
    await this.#running;
  }

  /** The cache of the resource whose keys begin with `prefix` (`/registry/core/pods/`). */
  resource(prefix: string): ResourceCache {
    let resource = this.#resources.get(prefix);
    if (!resource) {
      resource = new ResourceCache(prefix, this.#revision, this.#options.limits.historyEventsMax);
      this.#resources.set(prefix, resource);
    }
    return resource;
  }

  /** The object under a key as far as the cache has come. */
  get(key: string): CachedObject | undefined {
    return this.#resources.get(prefixOf(key))?.get(key);
  }

  /** How many objects of a resource there are, without making a cache for one that nobody has. */
  sizeOf(prefix: string): number {
    return this.#resources.get(prefix)?.size ?? 0;
  }

  /** Waits until the cache holds every write acknowledged before this call, and tells its revision. */
  async freshen(): Promise<number> {
    const revision = await this.#readIndex.current();
    await this.waitFor(revision);
    return this.#revision;
  }

  /**
   * Freshens if that is quickly done. For reads that are content with any state: with several masters behind one address,
   * a client would else be told by one that what another has just acknowledged is not there. Without a quorum, the state
   * at hand is the answer. Never rejects.
   */
  async freshenSoon(): Promise<void> {
    const { clock, limits } = this.#options;
    await new Promise<void>(resolve => {
      const cancel = clock.setTimeout(resolve, limits.anyStateWaitMsMax);
      const done = () => {
        cancel();
        resolve();
      };
      this.freshen().then(done, done);
    });
  }

  /** Waits until the cache has reached `revision`. Throws 504 Timeout, `ResourceVersionTooLarge`, when it takes too long. */
  async waitFor(revision: number): Promise<void> {
    if (this.#isFilled && this.#revision >= revision) return;
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        revision,
        wake: () => {
          cancel();
          resolve();
        },
      };
      const cancel = this.#options.clock.setTimeout(() => {
        this.#waiters = this.#waiters.filter(other => other !== waiter);
        reject(this.#isFilled ? tooLarge(revision, this.#revision) : notFilled());
      }, this.#options.limits.freshnessWaitMsMax);
      this.#waiters.push(waiter);
    });
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        if (!this.#isFilled) await this.#fill();
        await this.#follow();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (error instanceof CompactedError) this.#isFilled = false;
        this.#options.logger.warn({ error: String(error), revision: this.#revision }, 'the cache lost its watch');
        await this.#pause();
      }
    }
  }

  async #fill(): Promise<void> {
    const { store } = this.#options;
    const objects: CachedObject[] = [];
    let key: string = REGISTRY;
    let revision: number | undefined;
    for (;;) {
      const page = await store.range({
        key,
        end: '/registry0',
        limit: LOAD_PAGE_KEYS,
        ...(revision !== undefined && { revision }),
      });
      revision ??= page.revision;
      for (const item of page.items) objects.push(CachedObject.fromStored(item.key, item.value, item.modRevision));
      const last = page.items.at(-1);
      if (!page.more || !last) break;
      key = `${last.key}\0`;
    }
    this.#revision = revision;
    for (const resource of this.#resources.values()) resource.reset(revision);
    for (const object of objects) this.resource(prefixOf(object.key)).load(object);
    this.#isFilled = true;
    this.#wake();
  }

  async #follow(): Promise<void> {
    const { store } = this.#options;
    const batches = store.watch({
      ...ALL_KEYS,
      startRevision: this.#revision + 1,
      progressMs: this.#options.limits.cacheProgressMs,
      signal: this.#stop.signal,
    });
    for await (const batch of batches) this.#take(batch);
  }

  #take(batch: WatchBatch): void {
    for (const { type, item } of batch.events) {
      if (!item.key.startsWith(REGISTRY) || item.modRevision <= this.#revision) continue;
      this.resource(prefixOf(item.key)).apply(item.key, type === 'put' ? item.value : undefined, item.modRevision);
    }
    if (batch.revision > this.#revision) this.#revision = batch.revision;
    this.#wake();
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const ready = this.#waiters.filter(waiter => waiter.revision <= this.#revision);
    if (ready.length === 0) return;
    this.#waiters = this.#waiters.filter(waiter => waiter.revision > this.#revision);
    for (const { wake } of ready) wake();
  }

  #pause(): Promise<void> {
    return new Promise(resolve => {
      const cancel = this.#options.clock.setTimeout(resolve, RETRY_MS);
      this.#stop.signal.addEventListener(
        'abort',
        () => {
          cancel();
          resolve();
        },
        { once: true },
      );
    });
  }
}

/** `/registry/GROUP/RESOURCE/` of a key. */
function prefixOf(key: string): string {
  const group = key.indexOf('/', REGISTRY.length);
  const resource = key.indexOf('/', group + 1);
  return key.slice(0, resource + 1);
}

function notFilled(): ApiError {
  return new ApiError('ServiceUnavailable', 'the server has not yet read its state from the store');
}

export function tooLarge(wanted: number, current: number): ApiError {
  return new ApiError('Timeout', `Timeout: Too large resource version: ${wanted}, current: ${current}`, {
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}
