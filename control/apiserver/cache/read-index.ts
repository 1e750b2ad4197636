/**
 * Shares one question to the store among all consistent reads that wait for it. A read must learn of every write that was
 * acknowledged before the read began, so it may only share a question that has not been sent yet.
 */
import { type Clock, nextTurn } from '../clock.ts';

export class ReadIndex {
  readonly #ask: () => Promise<number>;
  readonly #clock: Clock;
  #inFlight: Promise<unknown> = Promise.resolve();
  #next: Promise<number> | undefined;

  /** `ask` gives the store's revision as of now, linearizably. */
  constructor(ask: () => Promise<number>, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** The store's revision at some moment after this call. Throws what `ask` throws. */
  current(): Promise<number> {
    this.#next ??= this.#afterInFlight();
    return this.#next;
  }

  async #afterInFlight(): Promise<number> {
    await this.#inFlight.catch(() => undefined);
    await nextTurn(this.#clock);
    this.#next = undefined;
    const answer = this.#ask();
    this.#inFlight = answer;
    return answer;
  }
}
