import test from 'ava';
import fc from 'fast-check';
import { hasQuorum, quorumValue, voteResult } from './quorum.ts';

const COMMITTED: readonly (readonly [values: readonly number[], expected: number])[] = [
  [[], 0],
  [[7], 7],
  [[3, 7], 3],
  [[3, 7, 9], 7],
  [[1, 3, 7, 9], 3],
  [[1, 1, 5, 9, 9], 5],
];
for (const [values, expected] of COMMITTED) {
  test(`a majority of [${values}] has reached ${expected}`, t => {
    const ids = values.map((_, index) => String(index));
    t.is(
      quorumValue([ids], id => values[Number(id)] ?? 0),
      expected,
    );
  });
}

test('the quorum value is the largest that a majority has reached', t => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 9 }), values => {
      const ids = values.map((_, index) => String(index));
      const reached = (value: number) => values.filter(each => each >= value).length * 2 > values.length;
      const value = quorumValue([ids], id => values[Number(id)] ?? 0);
      return reached(value) && !reached(value + 1);
    }),
  );
  t.pass();
});

test('of two sets each must agree (thesis 4.3)', t => {
  const sets = [
    ['a', 'b', 'c'],
    ['c', 'd', 'e'],
  ];
  const reached: Record<string, number> = { a: 5, b: 5, c: 5, d: 1, e: 2 };
  t.is(
    quorumValue(sets, id => reached[id] ?? 0),
    2,
  );
  t.is(
    voteResult(
      sets,
      new Map([
        ['a', true],
        ['b', true],
      ]),
    ),
    'pending',
  );
  t.is(
    voteResult(
      sets,
      new Map([
        ['a', true],
        ['b', true],
        ['d', false],
        ['e', false],
      ]),
    ),
    'lost',
  );
  t.is(
    voteResult(
      sets,
      new Map([
        ['a', true],
        ['c', true],
        ['d', true],
      ]),
    ),
    'won',
  );
  t.true(hasQuorum(sets, id => id !== 'a' && id !== 'd'));
  t.false(hasQuorum(sets, id => id === 'a' || id === 'b'));
});

test('an election among four needs three', t => {
  const sets = [['a', 'b', 'c', 'd']];
  t.is(
    voteResult(
      sets,
      new Map([
        ['a', true],
        ['b', true],
      ]),
    ),
    'pending',
  );
  t.is(
    voteResult(
      sets,
      new Map([
        ['a', true],
        ['b', true],
        ['c', false],
        ['d', false],
      ]),
    ),
    'lost',
  );
  t.is(voteResult([], new Map()), 'lost');
});
