import test from 'ava';
import fc from 'fast-check';
import { keyProblem, OPEN_END, prefixEnd, sortName } from './keys.ts';

const key = fc.string({ unit: 'binary', maxLength: 6 });

test('sort names order keys by their UTF-8 bytes', t => {
  fc.assert(
    fc.property(key, key, (one, other) => {
      const byBytes = Math.sign(Buffer.compare(Buffer.from(one), Buffer.from(other)));
      const [a, b] = [sortName(one), sortName(other)];
      return byBytes === (a < b ? -1 : a > b ? 1 : 0);
    }),
    { numRuns: 3_000 },
  );
  t.true(sortName('\uffee') < sortName('\u{1f600}'));
});

test('the end of a prefix lies above all keys with it and below all others', t => {
  fc.assert(
    fc.property(key, key, (prefix, other) => {
      const end = prefixEnd(prefix);
      const isBelow = end === OPEN_END || sortName(other) < sortName(end);
      return other.startsWith(prefix) === (sortName(other) >= sortName(prefix) && isBelow);
    }),
    { numRuns: 3_000 },
  );
  t.is(prefixEnd('/a/'), '/a0');
  t.is(prefixEnd(''), OPEN_END);
  t.is(prefixEnd('\u{10ffff}'), OPEN_END);
  t.is(prefixEnd('a\u{10ffff}'), 'b');
  t.is(prefixEnd('\ud7ff'), '\ue000');
});

test('keys that cannot be stored are named', t => {
  t.is(keyProblem('/a'), undefined);
  for (const bad of ['', 7, 'x'.repeat(9_000), 'a\ud800']) t.is(typeof keyProblem(bad), 'string');
});
