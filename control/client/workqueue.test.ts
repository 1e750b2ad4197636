import test from 'ava';
import fc from 'fast-check';
import { ManualClock, settle } from './testing/manual-clock.ts';
import { WorkQueue } from './workqueue.ts';

test('a key that waits is handed out once', async t => {
  const queue = new WorkQueue({ clock: new ManualClock() });
  queue.add('a');
  queue.add('a');
  t.is(await queue.take(), 'a');
  t.is(queue.length, 0);
});

test('a key added while it is worked on comes again only after done', async t => {
  const queue = new WorkQueue({ clock: new ManualClock() });
  queue.add('a');
  t.is(await queue.take(), 'a');
  queue.add('a');
  t.is(queue.length, 0);
  queue.done('a');
  t.is(await queue.take(), 'a');
  queue.done('a');
  t.true(queue.isIdle);
});

test('failures double the delay up to its limit, and forget starts over', async t => {
  const clock = new ManualClock();
  const queue = new WorkQueue({ clock, backoffMsMin: 10, backoffMsMax: 35 });
  for (const delayMs of [10, 20, 35, 35]) {
    queue.addBackedOff('a');
    await clock.advance(delayMs - 1);
    t.is(queue.length, 0);
    await clock.advance(1);
    t.is(await queue.take(), 'a');
    queue.done('a');
  }
  queue.forget('a');
  queue.addBackedOff('a');
  await clock.advance(10);
  t.is(queue.length, 1);
});

test('of several delays the earliest holds', async t => {
  const clock = new ManualClock();
  const queue = new WorkQueue({ clock });
  queue.addAfter('a', 100);
  queue.addAfter('a', 10);
  queue.addAfter('a', 50);
  await clock.advance(10);
  t.is(await queue.take(), 'a');
  t.is(clock.pending, 0);
});

test('shutting down wakes who waits and cancels delays', async t => {
  const clock = new ManualClock();
  const queue = new WorkQueue({ clock });
  const taken = queue.take();
  queue.addAfter('a', 10);
  queue.shutDown();
  t.is(await taken, undefined);
  t.is(clock.pending, 0);
});

test('no key is ever with two workers, and none that was added is lost', async t => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('add' as const), key: fc.integer({ min: 0, max: 4 }) }),
    fc.record({ do: fc.constant('take' as const) }),
    fc.record({ do: fc.constant('done' as const), key: fc.integer({ min: 0, max: 4 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const queue = new WorkQueue({ clock: new ManualClock() });
      const held = new Set<string>();
      const due = new Set<string>();
      const hand = (key: string | undefined) => {
        if (key === undefined) return;
        t.false(held.has(key));
        held.add(key);
        due.delete(key);
      };
      for (const each of steps) {
        if (each.do === 'add') {
          queue.add(`${each.key}`);
          due.add(`${each.key}`);
        } else if (each.do === 'take' && queue.length > 0) hand(await queue.take());
        else if (each.do === 'done' && held.delete(`${each.key}`)) queue.done(`${each.key}`);
      }
      for (const key of [...held]) {
        held.delete(key);
        queue.done(key);
      }
      while (queue.length > 0) hand(await queue.take());
      t.is(due.size, 0);
      await settle(1);
    }),
    { numRuns: 50 },
  );
});
