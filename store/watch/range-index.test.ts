import test from 'ava';
import fc from 'fast-check';
import { RangeIndex } from './range-index.ts';

const name = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), maxLength: 3 });
const range = fc.record({ start: name, end: fc.option(name, { nil: undefined }) });
const step = fc.record({ isRemoval: fc.boolean(), range });

test('finds what a list would find, whatever was added and removed', t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.array(name, { maxLength: 8 }), (steps, names) => {
      const index = new RangeIndex<string>();
      const list = new Map<string, (typeof steps)[number]['range']>();
      for (const { isRemoval, range: one } of steps) {
        const text = JSON.stringify(one);
        if (isRemoval) {
          index.delete(one);
          list.delete(text);
        } else {
          index.set(one, text);
          list.set(text, one);
        }
      }
      t.is(index.size, list.size);
      for (const asked of names) {
        const found: string[] = [];
        index.visit(asked, value => found.push(value));
        const expected = [...list].filter(([, { start, end }]) => asked >= start && (end === undefined || asked < end));
        t.deepEqual(found.toSorted(), expected.map(([text]) => text).toSorted());
      }
      for (const [text, one] of list) t.is(index.get(one), text);
    }),
    { numRuns: 500 },
  );
});

test('sorted insertions leave no long path: a hundred thousand ranges are asked in no time', t => {
  const index = new RangeIndex<number>();
  const count = 100_000;
  const text = (number: number) => `/${String(number).padStart(6, '0')}`;
  for (let number = 0; number < count; number++) index.set({ start: text(number), end: text(number + 1) }, number);
  for (let number = 0; number < count; number += 997) {
    const found: number[] = [];
    index.visit(`${text(number)}/x`, value => found.push(value));
    t.deepEqual(found, [number]);
  }
  for (let number = 0; number < count; number++) index.delete({ start: text(number), end: text(number + 1) });
  t.is(index.size, 0);
});
