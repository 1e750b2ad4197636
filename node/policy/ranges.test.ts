import test from 'ava';
import fc from 'fast-check';
import {
  addressValue,
  familyOf,
  formatAddress,
  isWithin,
  mergeRanges,
  parseRange,
  type Range,
  subtractRanges,
} from './ranges.ts';

test('addresses and ranges of both families', t => {
  const cases: readonly (readonly [string, string])[] = [
    ['10.0.0.0/8', '10.0.0.0-10.255.255.255'],
    ['10.1.2.3/8', '10.0.0.0-10.255.255.255'],
    ['0.0.0.0/0', '0.0.0.0-255.255.255.255'],
    ['192.0.2.7/32', '192.0.2.7-192.0.2.7'],
    ['2001:db8::/32', '2001:db8:0:0:0:0:0:0-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['::/0', '0:0:0:0:0:0:0:0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['::ffff:10.0.0.1/128', '0:0:0:0:0:ffff:a00:1-0:0:0:0:0:ffff:a00:1'],
    ['fe80::1/64', 'fe80:0:0:0:0:0:0:0-fe80:0:0:0:ffff:ffff:ffff:ffff'],
  ];
  for (const [cidr, expected] of cases) {
    const parsed = parseRange(cidr);
    if (!parsed) return t.fail(cidr);
    const { family, range } = parsed;
    t.is(`${formatAddress(range.first, family)}-${formatAddress(range.last, family)}`, expected);
  }
  for (const wrong of [
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0/8',
    '::/129',
    'x/1',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    'fe80::1%eth0/64',
    '1.2.3.4/8 drop',
  ])
    t.is(parseRange(wrong), undefined, wrong);
  t.is(familyOf('10.0.0.1; drop'), undefined);
});

test('an address written and read is the same', t => {
  fc.assert(fc.property(fc.ipV4(), text => formatAddress(addressValue(text, 4), 4) === text));
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
      value => addressValue(formatAddress(value, 6), 6) === value,
    ),
  );
  t.pass();
});

const range: fc.Arbitrary<Range> = fc
  .tuple(fc.bigInt({ min: 0n, max: 40n }), fc.bigInt({ min: 0n, max: 40n }))
  .map(([a, b]) => (a < b ? { first: a, last: b } : { first: b, last: a }));

test('merging and subtracting keep exactly the right numbers', t => {
  fc.assert(
    fc.property(range, fc.array(range, { maxLength: 5 }), (outer, holes) => {
      const [merged, rest] = [mergeRanges(holes), subtractRanges(outer, holes)];
      for (let value = 0n; value <= 41n; value += 1n) {
        const isHole = isWithin(holes, value);
        if (isWithin(merged, value) !== isHole) throw new Error(`merged: ${value}`);
        if (isWithin(rest, value) !== (isWithin([outer], value) && !isHole)) throw new Error(`rest: ${value}`);
      }
      for (const [index, one] of merged.entries()) {
        const next = merged[index + 1];
        if (next && next.first <= one.last + 1n) throw new Error('overlap');
      }
    }),
  );
  t.pass();
});
