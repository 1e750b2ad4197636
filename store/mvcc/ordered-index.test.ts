import test from 'ava';
import fc from 'fast-check';
import { OrderedIndex } from './ordered-index.ts';

function scanned(index: OrderedIndex<string>, start: string, end: string | undefined): string[] {
  const names: string[] = [];
  index.scan(start, end, value => {
    names.push(value);
    return true;
  });
  return names;
}

test('behaves as a sorted list through thousands of insertions and removals', t => {
  const name = fc.integer({ min: 0, max: 5_000 }).map(number => number.toString(36));
  fc.assert(
    fc.property(fc.array(name, { maxLength: 4_000, minLength: 2_000 }), name, name, (names, one, other) => {
      const index = new OrderedIndex<string>();
      const model = new Set<string>();
      for (const each of names) {
        if (model.has(each)) {
          index.remove(each);
          model.delete(each);
        } else {
          index.insert(each, each);
          model.add(each);
        }
      }
      const sorted = [...model].sort();
      const [start, end] = one < other ? [one, other] : [other, one];
      t.deepEqual(scanned(index, '', undefined), sorted);
      t.deepEqual(
        scanned(index, start, end),
        sorted.filter(each => each >= start && each < end),
      );
      t.is(index.size, model.size);
    }),
    { numRuns: 20 },
  );
});

test('ascending, descending and emptied indexes stay whole', t => {
  const numbers = Array.from({ length: 5_000 }, (_, number) => String(number).padStart(5, '0'));
  for (const order of [numbers, numbers.toReversed()]) {
    const index = new OrderedIndex<string>();
    for (const name of order) index.insert(name, name);
    t.deepEqual(scanned(index, '', undefined), numbers);
    t.deepEqual(scanned(index, '02500', '02503'), ['02500', '02501', '02502']);
    for (const name of order) index.remove(name);
    t.deepEqual(scanned(index, '', undefined), []);
    index.insert('x', 'x');
    t.deepEqual(scanned(index, 'a', undefined), ['x']);
  }
});

test('a scan stops where its visitor says so', t => {
  const index = new OrderedIndex<number>();
  for (const [number, name] of ['a', 'b', 'c'].entries()) index.insert(name, number);
  const seen: number[] = [];
  index.scan('a', undefined, value => seen.push(value) < 2);
  t.deepEqual(seen, [0, 1]);
});
