import test from 'ava';
import { isEqual, isSemanticallyEqual } from './equal.ts';

test('a property that is undefined counts as absent', t => {
  t.true(isEqual({ a: 1, b: undefined }, { a: 1 }));
  t.true(isEqual({ a: 1 }, { b: undefined, a: 1 }));
  t.false(isEqual({ a: 1, b: null }, { a: 1 }));
  t.false(isEqual({ a: 1 }, { a: 1, b: {} }));
  t.false(isEqual([], {}));
  t.false(isEqual([1, 2], [1]));
  t.true(isEqual([{ a: [1] }], [{ a: [1] }]));
});

test('null, {} and [] count as absent, however deep, but an item of a list is an item', t => {
  t.true(isSemanticallyEqual({ a: 1, b: null, c: {}, d: [], e: { f: { g: [] } } }, { a: 1 }));
  t.true(isSemanticallyEqual({ a: 1 }, { a: 1, e: { f: { g: [] } } }));
  t.true(isSemanticallyEqual(undefined, { a: {} }));
  t.true(isSemanticallyEqual([], {}));
  t.true(isSemanticallyEqual([{}], [null]));
  t.false(isSemanticallyEqual({ a: [null] }, {}));
  t.false(isSemanticallyEqual({}, { a: [{}] }));
  t.false(isSemanticallyEqual({ a: 0 }, {}));
  t.false(isSemanticallyEqual({ a: '' }, {}));
  t.false(isSemanticallyEqual({ a: false }, {}));
  t.false(isSemanticallyEqual([1], { 0: 1 }));
});

test("names of every object's methods are names like others", t => {
  t.false(isEqual({ constructor: 'x' }, {}));
  t.false(isEqual({}, { constructor: 'x' }));
  t.false(isSemanticallyEqual({ toString: 'x' }, {}));
  t.false(isSemanticallyEqual({}, { toString: 'x' }));
  t.true(isSemanticallyEqual({ constructor: null }, {}));
});
