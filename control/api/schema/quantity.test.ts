import test from 'ava';
import fc from 'fast-check';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  milliValue,
  negateQuantity,
  parseQuantity,
  roundUpToMilli,
  wholeValue,
} from './quantity.ts';

const suffix = fc.constantFrom('', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3', 'E2');
const text = fc.tuple(fc.integer({ min: 0, max: 99_999 }), suffix).map(([digits, unit]) => `${digits}${unit}`);

test('canonical text means the same and stays', t => {
  fc.assert(
    fc.property(text, given => {
      const canonical = canonicalQuantity(given);
      t.is(compareQuantities(parseQuantity(given), parseQuantity(canonical)), 0, given);
      t.is(canonicalQuantity(canonical), canonical);
    }),
  );
});

test('order follows sums', t => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      const left = parseQuantity(a);
      const right = parseQuantity(b);
      const sum = addQuantities(left, right);
      t.true(compareQuantities(sum, left) >= 0);
      t.is(compareQuantities(addQuantities(sum, negateQuantity(right)), left), 0);
      t.is(compareQuantities(left, right), -compareQuantities(right, left) + 0);
    }),
  );
});

test('values as numbers are rounded up', t => {
  t.is(milliValue(parseQuantity('1')), 1_000);
  t.is(milliValue(parseQuantity('100u')), 1);
  t.is(milliValue(parseQuantity('2Ki')), 2_048_000);
  t.is(wholeValue(parseQuantity('1500m')), 2);
  t.is(wholeValue(parseQuantity('64Mi')), 67_108_864);
  t.is(formatQuantity(roundUpToMilli(parseQuantity('1.0001'))), '1001m');
});

test('absurd exponents are refused, not computed', t => {
  t.throws(() => parseQuantity('1e999999999999'));
  t.throws(() => parseQuantity('12345678901234567890e-5000'));
});
