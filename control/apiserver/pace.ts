/** Long work in short steps: whoever walks over many objects asks between two whether others should have a turn. */
import { nextTurn } from './clock.ts';
import type { Clock } from './types.ts';

/** Well below the 20 ms for which nothing may hold the event loop: the step that goes over it counts too. */
const STEP_MS = 8;
/** Reading the clock costs more than many steps. */
const STEPS_BETWEEN_LOOKS = 16;

export class Pace {
  readonly #clock: Clock;
  readonly #stepsBetweenLooks: number;
  #startedMs: number;
  #steps = 0;

  /** `stepsBetweenLooks`: one for steps that are long themselves. */
  constructor(clock: Clock, stepsBetweenLooks = STEPS_BETWEEN_LOOKS) {
    this.#clock = clock;
    this.#stepsBetweenLooks = stepsBetweenLooks;
    this.#startedMs = clock.now();
  }

  /** True if it is time to await {@link turn}; to be asked once a step. */
  isDue(): boolean {
    if (++this.#steps % this.#stepsBetweenLooks !== 0) return false;
    return this.#clock.now() - this.#startedMs >= STEP_MS;
  }

  /** Lets everything else run that waits to. */
  async turn(): Promise<void> {
    await nextTurn(this.#clock);
    this.#startedMs = this.#clock.now();
  }
}

/** Does work that comes in steps, each of which may be long, and lets others have a turn between two when it is time. */
export async function inSteps<T>(clock: Clock, work: Generator<undefined, T>): Promise<T> {
  const pace = new Pace(clock, 1);
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (pace.isDue()) await pace.turn();
  }
}
