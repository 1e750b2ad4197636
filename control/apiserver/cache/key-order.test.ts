import test from 'ava';
import { BLOCK_ITEMS_MAX, KeyOrder } from './key-order.ts';

interface Item {
  readonly key: string;
  readonly value: number;
}

/** A small generator, so that a failure comes again. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const keyOf = (number: number) => `/r/${String(number).padStart(5, '0')}`;

test('holds what a plain sorted array holds, whatever comes and goes', t => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = numbers(seed);
    const order = new KeyOrder<Item>();
    const twin = new Map<string, Item>();
    for (let step = 0; step < 4 * BLOCK_ITEMS_MAX; step++) {
      const key = keyOf(Math.floor(random() * 3 * BLOCK_ITEMS_MAX));
      if (random() < 0.3) {
        order.delete(key);
        twin.delete(key);
      } else {
        const item = { key, value: step };
        order.set(item);
        twin.set(key, item);
      }
      if (step % 64 !== 0) continue;
      const from = keyOf(Math.floor(random() * 3 * BLOCK_ITEMS_MAX));
      const to = keyOf(Math.floor(random() * 3 * BLOCK_ITEMS_MAX));
      const limit = random() < 0.5 ? Math.floor(random() * BLOCK_ITEMS_MAX) : undefined;
      const expected = [...twin.values()]
        .filter(({ key: other }) => other >= from && other < to)
        .sort((a, b) => (a.key < b.key ? -1 : 1));
      const { items, remaining } = order.range(from, to, limit);
      t.deepEqual(items, expected.slice(0, limit), `seed ${seed}, step ${step}`);
      t.is(remaining, Math.max(0, expected.length - items.length), `seed ${seed}, step ${step}`);
    }
  }
});

test('is empty, cleared, and emptied alike', t => {
  const order = new KeyOrder<Item>();
  t.deepEqual(order.range('', '~'), { items: [], remaining: 0 });
  order.delete('/r/1');
  for (let number = 0; number < 3 * BLOCK_ITEMS_MAX; number++) order.set({ key: keyOf(number), value: number });
  t.is(order.range('', '~').items.length, 3 * BLOCK_ITEMS_MAX);
  for (let number = 0; number < 3 * BLOCK_ITEMS_MAX; number++) order.delete(keyOf(number));
  t.deepEqual(order.range('', '~'), { items: [], remaining: 0 });
  order.set({ key: '/r/1', value: 1 });
  order.clear();
  t.deepEqual(order.range('', '~'), { items: [], remaining: 0 });
});

test('a range is a copy', t => {
  const order = new KeyOrder<Item>();
  order.set({ key: '/r/1', value: 1 });
  const { items } = order.range('', '~');
  order.set({ key: '/r/2', value: 2 });
  order.delete('/r/1');
  t.deepEqual(items, [{ key: '/r/1', value: 1 }]);
});
