/** A clock that stands still until a test moves it. */
import type { Clock } from '../clock.ts';

export class ManualClock implements Clock {
  #nowMs: number;
  #timers: { readonly dueAtMs: number; readonly run: () => void }[] = [];

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.length;
  }

  setTimeout(run: () => void, delayMs: number): () => void {
    const timer = { dueAtMs: this.#nowMs + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer);
    };
  }

  /** Moves time on, running what falls due in its order and letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await settle();
      const next = this.#timers.toSorted((a, b) => a.dueAtMs - b.dueAtMs)[0];
      if (!next || next.dueAtMs > untilMs) break;
      this.#timers = this.#timers.filter(timer => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueAtMs);
      next.run();
    }
    this.#nowMs = untilMs;
    await settle();
  }
}

/** Lets everything that only waits for promises and I/O callbacks go on. */
export async function settle(turns = 4): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>(resolve => setImmediate(resolve));
}
