/** The machine's own clock: the one file here that touches real time. Composed in by `main.ts` files only. */
import type { Clock } from './clock.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout(run, delayMs) {
    const timer = setTimeout(run, Math.min(delayMs, TIMER_MS_MAX));
    return () => clearTimeout(timer);
  },
};

/** Node's timers overflow beyond 31 bits and would fire at once. */
const TIMER_MS_MAX = 0x7fff_ffff;
