/**
 * Objects as this process has written them, for as long as the informer still shows an older state: what is planned next
 * must not be planned from the past (k/k: assume_cache.go).
 */
import type { KubernetesObject } from '../api/kind.ts';
import type { Cache } from '../client/informer.ts';
import { keyOf } from '../client/keys.ts';
import { RECENT_WRITES_MAX } from './limits.ts';

export class RecentWrites<T extends KubernetesObject> {
  readonly #cache: Pick<Cache<T>, 'get'>;
  readonly #written = new Map<string, T>();

  constructor(cache: Pick<Cache<T>, 'get'>) {
    this.#cache = cache;
  }

  /** Remembers what the API server answered to a write. */
  note(object: T): void {
    const oldest = this.#written.keys().next();
    if (this.#written.size >= RECENT_WRITES_MAX && !oldest.done) this.#written.delete(oldest.value);
    this.#written.set(keyOf(object), object);
  }

  /** The newer one of what was written and what the cache has; undefined for what the cache does not have. */
  get(key: string): T | undefined {
    const cached = this.#cache.get(key);
    return cached && this.newest(cached);
  }

  /** The newer state of an object of the cache. */
  newest(cached: T): T {
    const key = keyOf(cached);
    const written = this.#written.get(key);
    if (!written) return cached;
    const isSame = written.metadata?.uid === cached.metadata?.uid;
    if (isSame && revisionOf(written) > revisionOf(cached)) return written;
    this.#written.delete(key);
    return cached;
  }
}

const revisionOf = ({ metadata }: KubernetesObject): number => Number(metadata?.resourceVersion ?? 0);
