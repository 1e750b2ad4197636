/**
 * What a controller has written of the objects that it decides on, and its cache does not show yet. Until it does, the
 * controller must wait: sizes that it adds up would be partly of before its own last decision. Kubernetes takes that risk
 * with ReplicaSets, and may then have more pods than surge allows for a moment.
 */
import type { KubernetesObject } from '../api/kind.ts';
import type { Clock } from '../client/clock.ts';
import type { Cache } from '../client/informer.ts';
import { keyOf } from '../client/keys.ts';
import { UNSEEN_WRITE_MS_MAX } from './limits.ts';

interface Write {
  readonly resourceVersion: number;
  readonly sinceMs: number;
}

export class UnseenWrites<T extends KubernetesObject> {
  readonly #cache: Cache<T>;
  readonly #clock: Clock;
  /** By the owner's UID, then by the object's key. */
  readonly #byOwner = new Map<string, Map<string, Write>>();

  constructor(cache: Cache<T>, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
  }

  /** The server has taken this for the owner; as it answered, with its version. */
  wrote(owner: string, object: T): void {
    const writes = this.#byOwner.get(owner) ?? new Map<string, Write>();
    writes.set(keyOf(object), { resourceVersion: versionOf(object), sinceMs: this.#clock.now() });
    this.#byOwner.set(owner, writes);
  }

  /**
   * How long the owner has to wait yet at most; undefined if the cache is no older than its writes. What never shows,
   * because it is gone already, is given up after a while.
   */
  waitMs(owner: string): number | undefined {
    const writes = this.#byOwner.get(owner);
    if (!writes) return undefined;
    const nowMs = this.#clock.now();
    for (const [key, { resourceVersion, sinceMs }] of writes) {
      const seen = this.#cache.get(key);
      const isSeen = seen !== undefined && versionOf(seen) >= resourceVersion;
      if (isSeen || nowMs - sinceMs >= UNSEEN_WRITE_MS_MAX) writes.delete(key);
    }
    if (writes.size > 0) {
      return Math.max(...[...writes.values()].map(({ sinceMs }) => sinceMs + UNSEEN_WRITE_MS_MAX - nowMs));
    }
    this.#byOwner.delete(owner);
    return undefined;
  }

  /** The owner is gone. */
  forget(owner: string): void {
    this.#byOwner.delete(owner);
  }
}

/** Versions are the store's revisions, which only grow. */
const versionOf = ({ metadata }: KubernetesObject): number => Number(metadata?.resourceVersion ?? 0);
