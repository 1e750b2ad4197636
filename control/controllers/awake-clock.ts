/**
 * Time that this process was there to see. A process that was stopped (SIGSTOP, a laptop that slept, a machine that swapped)
 * has heard nobody meanwhile, and must not take its own silence for others': what passed while it stood still does not count,
 * nor does a wall clock that somebody set.
 */
import type { Clock } from '../client/clock.ts';
import { AWAKE_STALL_MS, AWAKE_TICK_MS } from './limits.ts';

export class AwakeClock {
  readonly #clock: Clock;
  #lastTickMs: number;
  /** By how much the wall clock ran on without us. */
  #missedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastTickMs = clock.now();
  }

  /** Milliseconds; only differences mean something. Never goes back. */
  now(): number {
    return this.#clock.now() - this.#missedMs - this.#gapMs();
  }

  /** Keeps count until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    // It ticks for as long as this master leads: a timer that arms itself again leaves no promise and no listener a tick.
    let cancel = () => {};
    const arm = () => {
      cancel = this.#clock.setTimeout(() => {
        this.#missedMs += this.#gapMs();
        this.#lastTickMs = this.#clock.now();
        arm();
      }, AWAKE_TICK_MS);
    };
    arm();
    await new Promise<void>(resolve => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    cancel();
  }

  /** What of the time since the last tick was not lived through: the tick that is overdue says so before it comes. */
  #gapMs(): number {
    const sinceMs = this.#clock.now() - this.#lastTickMs;
    return sinceMs < 0 ? sinceMs : sinceMs > AWAKE_STALL_MS ? sinceMs - AWAKE_TICK_MS : 0;
  }
}
