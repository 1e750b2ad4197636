/**
 * How long to wait before something that failed is tried again: twice as long after each failure, from the start again after a
 * long peace (client-go util/flowcontrol Backoff). Keeps nothing that is over.
 */
import type { Clock } from '../client/clock.ts';

export interface FailureBackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** Keys that are kept; the oldest go first. */
  readonly keysMax: number;
}

export class FailureBackoff {
  readonly #clock: Clock;
  readonly #options: FailureBackoffOptions;
  /** In the order of the last failure. */
  readonly #failures = new Map<string, { readonly atMs: number; readonly delayMs: number }>();

  constructor(clock: Clock, options: FailureBackoffOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** Milliseconds until the next try; 0: now. */
  remainingMs(key: string): number {
    const failure = this.#failures.get(key);
    return failure ? Math.max(0, failure.atMs + failure.delayMs - this.#clock.now()) : 0;
  }

  /** Counts a failure that is dealt with now. */
  failed(key: string): void {
    const { minMs, maxMs, keysMax } = this.#options;
    const nowMs = this.#clock.now();
    for (const [old, { atMs }] of this.#failures) {
      if (nowMs - atMs <= 2 * maxMs && this.#failures.size <= keysMax) break;
      this.#failures.delete(old);
    }
    const before = this.#failures.get(key);
    this.#failures.delete(key);
    this.#failures.set(key, { atMs: nowMs, delayMs: before ? Math.min(2 * before.delayMs, maxMs) : minMs });
  }
}
