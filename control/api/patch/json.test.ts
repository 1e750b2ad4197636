import test from 'ava';
import { clone } from './json.ts';

test('a clone is equal all the way down, and shares nothing', t => {
  const value = { list: [{ a: 1 }, null, 'text'], map: { b: { c: true } } };
  const copy = clone(value);
  t.deepEqual(copy, value);
  t.not(copy.list[0], value.list[0]);
  t.not(copy.map.b, value.map.b);
});

test('a clone has a key named __proto__ as its own', t => {
  const copy = clone(JSON.parse('{"__proto__":{"polluted":true}}'));
  t.true(Object.hasOwn(copy, '__proto__'));
  t.is(copy.polluted, undefined);
});
