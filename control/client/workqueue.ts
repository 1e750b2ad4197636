/**
 * A queue of keys for level-triggered work. Three sets give its promises: a key added many times while it waits is handed
 * out once (dirty); a key is never handed to two workers at once (processing); a key added while it is being worked on
 * comes again afterwards (client-go util/workqueue).
 */
import assert from 'node:assert';
import type { Clock } from './clock.ts';
import { WORKQUEUE_BACKOFF_MS_MAX, WORKQUEUE_BACKOFF_MS_MIN, WORKQUEUE_KEYS_MAX } from './limits.ts';

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly backoffMsMin?: number;
  readonly backoffMsMax?: number;
}

export class WorkQueue {
  readonly #clock: Clock;
  readonly #backoffMsMin: number;
  readonly #backoffMsMax: number;
  /** Keys that need work; those of them that no worker holds are also in `#order`. */
  readonly #dirty = new Set<string>();
  readonly #processing = new Set<string>();
  /** Insertion order is the order of work. Invariant: a subset of `#dirty`, disjoint from `#processing`. */
  readonly #order = new Set<string>();
  readonly #delayed = new Map<string, { readonly dueAtMs: number; readonly cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #isShutDown = false;

  constructor({ clock, backoffMsMin, backoffMsMax }: WorkQueueOptions) {
    this.#clock = clock;
    this.#backoffMsMin = backoffMsMin ?? WORKQUEUE_BACKOFF_MS_MIN;
    this.#backoffMsMax = backoffMsMax ?? WORKQUEUE_BACKOFF_MS_MAX;
  }

  /** Keys that wait for a worker now. */
  get length(): number {
    return this.#order.size;
  }

  /** Nothing waits, is delayed, or is being worked on. */
  get isIdle(): boolean {
    return this.#dirty.size === 0 && this.#processing.size === 0 && this.#delayed.size === 0;
  }

  add(key: string): void {
    if (this.#isShutDown || this.#dirty.has(key)) return;
    assert(this.#dirty.size < WORKQUEUE_KEYS_MAX, 'a work queue overflows: its controller does not keep up');
    this.#dirty.add(key);
    if (!this.#processing.has(key)) this.#enqueue(key);
  }

  /** Adds the key after a delay. Of several delays for one key the earliest holds. */
  addAfter(key: string, delayMs: number): void {
    if (this.#isShutDown) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const dueAtMs = this.#clock.now() + delayMs;
    const pending = this.#delayed.get(key);
    if (pending && pending.dueAtMs <= dueAtMs) return;
    pending?.cancel();
    const cancel = this.#clock.setTimeout(() => {
      this.#delayed.delete(key);
      this.add(key);
    }, delayMs);
    this.#delayed.set(key, { dueAtMs, cancel });
  }

  /** Adds the key after its failure delay, which doubles with every call until {@link forget}. */
  addBackedOff(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.addAfter(key, Math.min(this.#backoffMsMin * 2 ** Math.min(failures, 30), this.#backoffMsMax));
  }

  failuresOf(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The key succeeded: its next failure is the first again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, as soon as there is one; undefined once the queue is shut down. Each needs {@link done}. */
  take(): Promise<string | undefined> {
    if (this.#isShutDown) return Promise.resolve(undefined);
    const next = this.#order.values().next();
    if (!next.done) {
      this.#begin(next.value);
      return Promise.resolve(next.value);
    }
    return new Promise(resolve => this.#takers.push(resolve));
  }

  done(key: string): void {
    this.#processing.delete(key);
    if (this.#dirty.has(key)) this.#enqueue(key);
  }

  /** Hands out nothing more and cancels all delays. */
  shutDown(): void {
    this.#isShutDown = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#order.clear();
    this.#dirty.clear();
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  #enqueue(key: string): void {
    if (this.#isShutDown) return;
    this.#order.add(key);
    const taker = this.#takers.shift();
    if (!taker) return;
    const [first] = this.#order;
    assert(first !== undefined);
    this.#begin(first);
    taker(first);
  }

  #begin(key: string): void {
    assert(!this.#processing.has(key));
    this.#order.delete(key);
    this.#dirty.delete(key);
    this.#processing.add(key);
  }
}
