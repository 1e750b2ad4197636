import test from 'ava';
import fc from 'fast-check';
import { OPEN_END, sortName } from '../mvcc/keys.ts';
import { GrpcError } from './grpc.ts';
import { type KeyRange, keyOf, leastTextFrom, rangeOf, watchRangeOf } from './keys.ts';

/** Bytes that are often nearly UTF-8: texts, cut, followed by or ending in bytes of all kinds. */
const edge = fc.constantFrom(
  0,
  1,
  0x7f,
  0x80,
  0xbf,
  0xc0,
  0xc1,
  0xc2,
  0xdf,
  0xe0,
  0xed,
  0xa0,
  0xef,
  0xf0,
  0xf4,
  0x8f,
  0x90,
  0xf5,
  0xff,
);
const someKey = fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }).filter(key => key.isWellFormed());
const someBytes = fc
  .tuple(
    fc.string({ unit: 'binary', maxLength: 3 }),
    fc.array(fc.oneof(edge, fc.nat(255)), { maxLength: 4 }),
    fc.nat(3),
  )
  .map(([text, tail, cut]) => {
    const bytes = Buffer.concat([Buffer.from(text), Buffer.from(tail)]);
    return bytes.subarray(0, Math.max(0, bytes.length - cut));
  });

function holds(range: KeyRange, key: string): boolean {
  if (range.end === undefined) return key === range.key;
  const name = sortName(key);
  return name >= sortName(range.key) && (range.end === OPEN_END || name < sortName(range.end));
}

test('a bound in bytes and its text have the same keys on each side', t => {
  fc.assert(
    fc.property(someBytes, someKey, (bound, key) => {
      const text = leastTextFrom(bound);
      const isBelow = Buffer.compare(Buffer.from(key), bound) < 0;
      return isBelow === (text === undefined || sortName(key) < sortName(text));
    }),
    { numRuns: 20_000 },
  );
  t.pass();
});

test('a range in bytes holds the same keys as its texts', t => {
  fc.assert(
    fc.property(
      someBytes.filter(bytes => bytes.length > 0),
      someBytes.filter(bytes => bytes.length > 0),
      someKey,
      (from, to, key) => {
        const bytes = Buffer.from(key);
        const isOpen = to.length === 1 && to[0] === 0;
        const expected = Buffer.compare(bytes, from) >= 0 && (isOpen || Buffer.compare(bytes, to) < 0);
        return holds(rangeOf(from, to), key) === expected;
      },
    ),
    { numRuns: 20_000 },
  );
  t.pass();
});

test('bounds that prefixes make', t => {
  const cases: readonly (readonly [number[], string | undefined])[] = [
    [[0x80], '\u0080'],
    [[0x61, 0x80], 'a\u0080'],
    [[0x61, 0xff], 'b'],
    [[0xff], undefined],
    [[0xf4, 0x90], undefined],
    [[0xed, 0xa0, 0x80], '\ue000'],
    [[0xc0], '\u0080'],
    [[0xc3], '\u00c0'],
    [[0x61, 0xc3, 0xbf, 0xc0], 'a\u00ff\u0080'],
  ];
  for (const [bytes, text] of cases) t.is(leastTextFrom(Buffer.from(bytes)), text, Buffer.from(bytes).toString('hex'));
});

test('what etcd means by empty keys and zero bytes', t => {
  const zero = Buffer.from([0]);
  const none = Buffer.alloc(0);
  t.deepEqual(rangeOf(zero, zero), { key: '\0', end: OPEN_END });
  t.deepEqual(rangeOf(Buffer.from('a'), none), { key: 'a' });
  t.throws(() => rangeOf(none, zero), { instanceOf: GrpcError, message: 'etcdserver: key is not provided' });
  t.throws(() => keyOf(none), { instanceOf: GrpcError, message: 'etcdserver: key is not provided' });
  t.throws(() => keyOf(Buffer.from([0xff])), { instanceOf: GrpcError, message: /UTF-8/ });
  t.throws(() => rangeOf(Buffer.from([0xff]), none), { instanceOf: GrpcError, message: /UTF-8/ });
  t.deepEqual(watchRangeOf(none, zero), { key: '\0', end: OPEN_END });
  t.deepEqual(watchRangeOf(none, none), { key: '\0' });
});
