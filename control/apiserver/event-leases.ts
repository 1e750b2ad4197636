/**
 * Events are kept for an hour and then go by themselves: their keys hang on leases of the store. A lease is shared by all
 * events of about a minute, since every lease costs the store something and nobody needs the end to the second.
 */
import { LeaseNotFoundError, type StoreClient } from '../../store/index.ts';
import type { Clock } from './types.ts';

/** As kube-apiserver's `--event-ttl`. */
const EVENT_TTL_SECONDS = 3_600;
const SHARED_SECONDS = 60;

export class EventLeases {
  readonly #store: StoreClient;
  readonly #clock: Clock;
  #current: { readonly id: Promise<number>; readonly untilMs: number } | undefined;

  constructor(store: StoreClient, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Runs `write` with a lease that lasts at least an event's time. Throws what the store throws. */
  async with<T>(write: (lease: number) => Promise<T>): Promise<T> {
    try {
      return await write(await this.#lease());
    } catch (error) {
      this.#current = undefined;
      // The store has forgotten the lease: nothing was written, another one will do.
      if (error instanceof LeaseNotFoundError) return write(await this.#lease());
      throw error;
    }
  }

  #lease(): Promise<number> {
    const now = this.#clock.now();
    if (!this.#current || now >= this.#current.untilMs) {
      const granted = this.#store.grantLease(EVENT_TTL_SECONDS + SHARED_SECONDS);
      this.#current = { id: granted.then(({ id }) => id), untilMs: now + SHARED_SECONDS * 1000 };
    }
    return this.#current.id;
  }
}
