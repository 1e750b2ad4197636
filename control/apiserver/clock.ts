/** The one file of the API server that touches the system's time and event loop. */
import type { Clock } from './types.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout(run, delayMs) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after everything else that the event loop has to do now: lets others in during long work. */
export function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
