/** The real clock: the only file of `raft/` that owns timers. */
import { performance } from 'node:perf_hooks';
import type { Clock } from './clock.ts';

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout(callback, delayMs) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  nextTurn(callback) {
    setImmediate(callback);
  },
};
