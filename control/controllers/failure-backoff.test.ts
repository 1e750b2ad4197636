import test from 'ava';
import { ManualClock } from '../client/testing/manual-clock.ts';
import { FailureBackoff } from './failure-backoff.ts';

test('the wait doubles up to its bound, and begins anew after a long peace', async t => {
  const clock = new ManualClock();
  const backoff = new FailureBackoff(clock, { minMs: 1000, maxMs: 3000, keysMax: 2 });
  t.is(backoff.remainingMs('a'), 0);
  for (const wait of [1000, 2000, 3000, 3000]) {
    backoff.failed('a');
    t.is(backoff.remainingMs('a'), wait);
    await clock.advance(wait - 1);
    t.is(backoff.remainingMs('a'), 1);
    await clock.advance(1);
    t.is(backoff.remainingMs('a'), 0);
  }
  t.is(backoff.remainingMs('b'), 0);
  await clock.advance(6000);
  backoff.failed('a');
  t.is(backoff.remainingMs('a'), 1000);
});

test('of too many keys the oldest are forgotten', t => {
  const backoff = new FailureBackoff(new ManualClock(), { minMs: 1000, maxMs: 3000, keysMax: 2 });
  for (const key of ['a', 'b', 'c', 'd']) backoff.failed(key);
  t.deepEqual(
    ['a', 'c', 'd'].map(key => backoff.remainingMs(key)),
    [0, 1000, 1000],
  );
});
