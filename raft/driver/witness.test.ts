import test from 'ava';
import { PeerUnreachableError } from '../transport/transport.ts';
import type { Clock } from './clock.ts';
import { checkPromises } from './witness.ts';

/** Time passes only by waiting, and by exactly what is waited for, as far as a number can say that. */
function jumpingClock(startMs: number): Clock {
  let now = startMs;
  return {
    now: () => now,
    setTimeout(callback, ms) {
      queueMicrotask(() => {
        now += ms;
        callback();
      });
      return () => {};
    },
    nextTurn: callback => queueMicrotask(callback),
  };
}

test('who never answers is given up, also where what is left of the time is lost in rounding', async t => {
  // 0.7 ms from here is a time that 0.1 ms at a time do not hit: what is left in the end adds nothing any more.
  const clock = jumpingClock(1_178.8 * 2 ** 20);
  let asked = 0;
  const silent = await checkPromises({
    peers: ['0000000000000002'],
    clock,
    timeoutMs: 0.7,
    retryMs: 1e-7,
    isOver: () => ++asked > 1_000,
    own: () => ({ term: 1, lastIndex: 1 }),
    ask: async () => {
      throw new PeerUnreachableError('away', { isUnsent: true });
    },
  });
  t.deepEqual(silent, ['0000000000000002']);
  t.true(asked < 10, `${asked} times`);
});
