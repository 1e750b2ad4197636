import test from 'ava';
import { WritesUnderWay } from './writes-under-way.ts';

test('who waits for room gets it with the first write that ends, and all are waited for at the end', async t => {
  const writes = new WritesUnderWay(2);
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  writes.add(first.promise);
  t.false(writes.isFull);
  await writes.room();
  writes.add(second.promise);
  t.true(writes.isFull);
  const seen: string[] = [];
  const room = writes.room().then(() => seen.push('room'));
  const end = writes.ended().then(() => seen.push('end'));
  second.resolve();
  await room;
  t.false(writes.isFull);
  t.deepEqual(seen, ['room']);
  first.resolve();
  await end;
  t.deepEqual(seen, ['room', 'end']);
});

test('nothing is waited for where nothing is under way', async t => {
  const writes = new WritesUnderWay(1);
  await Promise.all([writes.room(), writes.ended()]);
  t.false(writes.isFull);
});
