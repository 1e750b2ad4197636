/** What an evaluation may still spend. Every evaluation has one; there is no way to go on when it is used up. */
import { FREE_STEPS_PER_UNIT } from './limits.ts';

/** The expression cost too much. No operator goes on after that. */
export class CostLimitError extends Error {
  override readonly name = 'CostLimitError';

  constructor() {
    super('operation cancelled: actual cost limit exceeded');
  }
}

export class Budget {
  readonly #limit: number;
  #cost = 0;
  #steps = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Cost units spent. */
  get cost(): number {
    return this.#cost;
  }

  /** Spends cost units. Throws {@link CostLimitError}. */
  spend(cost: number): void {
    this.#cost += cost;
    if (this.#cost > this.#limit) throw new CostLimitError();
  }

  /** Counts elementary work that the cost model takes to be free. Throws {@link CostLimitError}. */
  step(count: number): void {
    this.#steps += count;
    if (this.#steps > this.#limit * FREE_STEPS_PER_UNIT) throw new CostLimitError();
  }
}
