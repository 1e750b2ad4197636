import test from 'ava';
import fc from 'fast-check';
import { keyFromBytes, OPEN_END, sortName } from '../mvcc/keys.ts';
import { GrpcError } from './grpc/status.ts';
import { type KeyRange, keyOf, rangeOf, watchRangeOf } from './keys.ts';

const someBytes = fc
  .array(fc.oneof(fc.constantFrom(0, 0x61, 0x7f, 0x80, 0xc3, 0xbf, 0xff), fc.nat(255)), { minLength: 1, maxLength: 4 })
  .map(bytes => Buffer.from(bytes));

function holds(range: KeyRange, key: string): boolean {
  if (range.end === undefined) return key === range.key;
  const name = sortName(key);
  return name >= sortName(range.key) && (range.end === OPEN_END || name < sortName(range.end));
}

test('a range holds the keys whose bytes lie in it', t => {
  fc.assert(
    fc.property(someBytes, someBytes, someBytes, (from, to, key) => {
      const isOpen = to.length === 1 && to[0] === 0;
      const expected = Buffer.compare(key, from) >= 0 && (isOpen || Buffer.compare(key, to) < 0);
      return holds(rangeOf(from, to), keyFromBytes(key)) === expected;
    }),
    { numRuns: 20_000 },
  );
  t.pass();
});

test('what etcd means by empty keys and zero bytes', t => {
  const zero = Buffer.from([0]);
  const none = Buffer.alloc(0);
  t.deepEqual(rangeOf(zero, zero), { key: '\0', end: OPEN_END });
  t.deepEqual(rangeOf(Buffer.from('a'), none), { key: 'a' });
  t.throws(() => rangeOf(none, zero), { instanceOf: GrpcError, message: 'etcdserver: key is not provided' });
  t.throws(() => keyOf(none), { instanceOf: GrpcError, message: 'etcdserver: key is not provided' });
  t.deepEqual(watchRangeOf(none, zero), { key: '\0', end: OPEN_END });
  t.deepEqual(watchRangeOf(none, none), { key: '\0' });
});
