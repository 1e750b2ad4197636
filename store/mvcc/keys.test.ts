import test from 'ava';
import fc from 'fast-check';
import { keyBytes, keyFromBytes, keyProblem, OPEN_END, prefixEnd, sortName } from './keys.ts';

const edge = fc.constantFrom(
  0,
  0x7f,
  0x80,
  0xbf,
  0xc0,
  0xc2,
  0xdf,
  0xe0,
  0xed,
  0xa0,
  0xef,
  0xbd,
  0xf0,
  0xf4,
  0x90,
  0xff,
);
/** Texts, and bytes that are often nearly a text. */
const anyBytes = fc
  .tuple(
    fc.string({ unit: 'binary', maxLength: 4 }),
    fc.array(fc.oneof(edge, fc.nat(255)), { maxLength: 4 }),
    fc.nat(2),
  )
  .map(([text, tail, cut]) => {
    const bytes = Buffer.concat([Buffer.from(text), Buffer.from(tail)]);
    return bytes.subarray(0, Math.max(0, bytes.length - cut));
  });
const key = anyBytes.map(keyFromBytes);

test('each sequence of bytes is one key, and UTF-8 is the text that it says', t => {
  fc.assert(
    fc.property(anyBytes, bytes => {
      const one = keyFromBytes(bytes);
      return Buffer.compare(keyBytes(one), bytes) === 0 && (bytes.length === 0 || keyProblem(one) === undefined);
    }),
    { numRuns: 10_000 },
  );
  t.is(keyFromBytes(Buffer.from('\ufffd\u{1f600}')), '\ufffd\u{1f600}');
  t.is(keyFromBytes(Buffer.of(0x61, 0xff)), 'a\udcff');
});

test('sort names order keys by their bytes', t => {
  fc.assert(
    fc.property(key, key, (one, other) => {
      const byBytes = Math.sign(Buffer.compare(keyBytes(one), keyBytes(other)));
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
      const starts = keyBytes(other).subarray(0, keyBytes(prefix).length).equals(keyBytes(prefix));
      return starts === (sortName(other) >= sortName(prefix) && isBelow);
    }),
    { numRuns: 3_000 },
  );
  t.is(prefixEnd('/a/'), '/a0');
  t.is(prefixEnd(''), OPEN_END);
  t.is(prefixEnd('\udcff'), OPEN_END);
  t.is(prefixEnd('a\udcff'), 'b');
  t.is(prefixEnd('\u00e4'), '\u00e5');
});

test('keys that cannot be stored are named', t => {
  t.is(keyProblem('/a'), undefined);
  // The last one is another name for `ä`.
  for (const bad of ['', 7, 'x'.repeat(9_000), 'a\ud800', 'a\udc00', '\udcc3\udca4'])
    t.is(typeof keyProblem(bad), 'string');
});
