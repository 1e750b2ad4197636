/**
 * Writes that are under way beside the scheduler's decisions, with a bound. One who waits for room is woken by the next
 * write that ends: `Promise.race` over all of them would leave something behind on each, at every decision.
 */
export class WritesUnderWay {
  readonly #max: number;
  #count = 0;
  #change: PromiseWithResolvers<void> | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts a write until it ends; it must not reject. */
  add(write: Promise<void>): void {
    this.#count++;
    void write.finally(() => {
      this.#count--;
      this.#change?.resolve();
      this.#change = undefined;
    });
  }

  get isFull(): boolean {
    return this.#count >= this.#max;
  }

  /** Resolves once there is room for one more. */
  async room(): Promise<void> {
    while (this.isFull) await this.#nextEnd();
  }

  /** Resolves once none is under way. */
  async ended(): Promise<void> {
    while (this.#count > 0) await this.#nextEnd();
  }

  #nextEnd(): Promise<void> {
    this.#change ??= Promise.withResolvers();
    return this.#change.promise;
  }
}
