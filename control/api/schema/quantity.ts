/**
 * Quantities (`100m`, `1.5Gi`, `12e6`): parsing, comparing, adding and the canonical text, as resource.Quantity does them
 * (k8s.io/apimachinery pkg/api/resource), its oddities included, since clients compare the texts that come back.
 */

/** How a quantity was written; kept when it is written again. */
type Format = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

/** A parsed quantity: `unscaled × 10^scale`. */
export interface Quantity {
  readonly unscaled: bigint;
  readonly scale: number;
  readonly format: Format;
  /** The text that was read, where Kubernetes would give it back unchanged. */
  readonly text?: string;
  /** True where Kubernetes leaves 64 bit arithmetic; rounding treats these differently. */
  readonly isBig: boolean;
}

/** The sentence for text that is no quantity. */
const QUANTITY_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const QUANTITY_SUFFIX = "unable to parse quantity's suffix";
const QUANTITY_NUMBER = 'unable to parse numeric part of quantity';

/** Text that is not a quantity. The message is Kubernetes'. */
export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

const PATTERN = /^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)$/;
const DECIMAL_EXPONENTS: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const DECIMAL_SUFFIXES = new Map(Object.entries(DECIMAL_EXPONENTS).map(([suffix, exponent]) => [exponent, suffix]));
const BINARY_SUFFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** Digits that surely fit 64 bits. */
const DIGITS_MAX = 18;
const INT64_MAX = 2n ** 63n - 1n;
const NANO = -9;

/** Exponents and digits beyond this are refused rather than computed with. */
const MAX_SCALE = 1_000;

/** Texts that are canonical as they are: most of what is ever sent. */
const CANONICAL = /^[1-9]\d{0,2}(?:m|k|M|G|T|Ki|Mi|Gi|Ti)?$/;

const ZERO: Quantity = { unscaled: 0n, scale: 0, format: 'DecimalSI', text: '0', isBig: false };

function interpretSuffix(suffix: string): { base: 2 | 10; exponent: number; format: Format } {
  const decimal = DECIMAL_EXPONENTS[suffix];
  if (decimal !== undefined) return { base: 10, exponent: decimal, format: 'DecimalSI' };
  const binary = BINARY_SUFFIXES.indexOf(suffix);
  if (binary > 0) return { base: 2, exponent: binary * 10, format: 'BinarySI' };
  const exponent = /^[eE]([-+]?\d+)$/.exec(suffix);
  if (exponent) return { base: 10, exponent: Number(exponent[1]), format: 'DecimalExponent' };
  throw new QuantityError(QUANTITY_SUFFIX);
}

/** Reads a quantity. Throws {@link QuantityError}. */
export function parseQuantity(given: string): Quantity {
  const text = given.trim();
  if (text === '0') return ZERO;
  const match = text === '' ? null : PATTERN.exec(text);
  if (!match) throw new QuantityError(QUANTITY_FORMAT);
  const [, sign = '', digits = '', fraction = '', suffix = ''] = match;
  const whole = digits.replace(/^0+/, '') || '0';
  const { base, exponent, format } = interpretSuffix(suffix);
  if (Math.abs(exponent) > MAX_SCALE || digits.length + fraction.length > MAX_SCALE) {
    throw new QuantityError(QUANTITY_NUMBER);
  }
  const negative = sign === '-';
  return (
    parseSmall({ text, whole, fraction, base, exponent, format, negative }) ??
    parseBig({ text, whole, fraction, base, exponent, format, negative })
  );
}

interface Parts {
  readonly text: string;
  readonly whole: string;
  readonly fraction: string;
  readonly base: 2 | 10;
  readonly exponent: number;
  readonly format: Format;
  readonly negative: boolean;
}

/** Values that fit 64 bits. Decides too whether the text is given back as it is. */
function parseSmall({ text, whole, fraction, base, exponent, format, negative }: Parts): Quantity | undefined {
  if (base === 2 && fraction !== '') return undefined;
  const precision =
    base === 2 ? 15 - whole.length - Math.trunc((exponent * 3) / 10) - 1 : DIGITS_MAX - whole.length - fraction.length;
  const scale = (base === 2 ? 0 : exponent) - fraction.length;
  if (precision < 0 || scale < NANO) return undefined;
  const shifted = whole + fraction;
  const digits = BigInt(shifted);
  const value = base === 2 ? digits << BigInt(exponent) : digits;
  if (value > INT64_MAX) return undefined;
  const isKept =
    base === 2 ? (digits & 7n) !== 0n : scale % 3 === 0 && !shifted.endsWith('000') && !shifted.startsWith('0');
  return { unscaled: negative ? -value : value, scale, format, isBig: false, ...(isKept && { text }) };
}

function parseBig({ whole, fraction, base, exponent, format, negative }: Parts): Quantity {
  let unscaled = BigInt(whole + fraction);
  let scale = -fraction.length;
  if (base === 2) unscaled <<= BigInt(exponent);
  else scale += exponent;
  const rounded = roundAway(unscaled, scale, NANO);
  unscaled = rounded.unscaled;
  scale = rounded.scale;
  let kept = format;
  if (format === 'BinarySI') {
    if (compareScaled(unscaled, scale, INT64_MAX, 0) > 0) {
      unscaled = INT64_MAX;
      scale = 0;
    }
    if (unscaled > 0n && compareScaled(unscaled, scale, 1n, 0) < 0) kept = 'DecimalSI';
  }
  return { unscaled: negative ? -unscaled : unscaled, scale, format: kept, isBig: true };
}

/** Raises the scale to at least `target`, away from zero where digits are lost. */
function roundAway(unscaled: bigint, scale: number, target: number): { unscaled: bigint; scale: number } {
  if (scale >= target) return { unscaled, scale };
  const divisor = 10n ** BigInt(target - scale);
  const quotient = unscaled / divisor;
  if (quotient * divisor === unscaled) return { unscaled: quotient, scale: target };
  return { unscaled: quotient + (unscaled < 0n ? -1n : 1n), scale: target };
}

function compareScaled(a: bigint, aScale: number, b: bigint, bScale: number): number {
  const scale = Math.min(aScale, bScale);
  const left = a * 10n ** BigInt(aScale - scale);
  const right = b * 10n ** BigInt(bScale - scale);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Rounds up to thousandths, as resource lists are stored. Text that needs no rounding is kept. */
export function roundUpToMilli(quantity: Quantity): Quantity {
  if (!quantity.isBig && quantity.scale >= -3) return quantity;
  const { text: _text, ...rest } = quantity;
  return { ...rest, ...roundAway(quantity.unscaled, quantity.scale, -3) };
}

/** Rounds up to a whole number. Text that needs no rounding is kept. */
export function roundUpToWhole(quantity: Quantity): Quantity {
  if (isWhole(quantity)) return quantity;
  const { text: _text, ...rest } = quantity;
  return { ...rest, ...roundAway(quantity.unscaled, quantity.scale, 0) };
}

function withoutFactors(value: bigint, factor: bigint): { value: bigint; times: number } {
  let times = 0;
  let rest = value;
  while (rest !== 0n && rest % factor === 0n) {
    rest /= factor;
    times++;
  }
  return { value: rest, times };
}

/** The canonical text. */
export function formatQuantity(quantity: Quantity): string {
  if (quantity.text !== undefined) return quantity.text;
  const { unscaled, scale, format } = quantity;
  if (unscaled === 0n) return '0';
  if (format === 'BinarySI') {
    const magnitude = unscaled < 0n ? -unscaled : unscaled;
    const rounded = roundAway(unscaled, scale, 0);
    const isExact = compareScaled(rounded.unscaled, rounded.scale, unscaled, scale) === 0;
    if (isExact && compareScaled(magnitude, scale, 1024n, 0) >= 0) {
      const { value, times } = withoutFactors(rounded.unscaled * 10n ** BigInt(rounded.scale), 1024n);
      return `${value}${BINARY_SUFFIXES[times] ?? ''}`;
    }
  }
  let { value, times } = withoutFactors(unscaled, 10n);
  let exponent = scale + times;
  while (exponent % 3 !== 0) {
    value *= 10n;
    exponent--;
  }
  // An exponent without a suffix is written without one, and the value changes: Kubernetes does so.
  if (format === 'DecimalExponent') return `${value}${exponent === 0 ? '' : `e${exponent}`}`;
  return `${value}${DECIMAL_SUFFIXES.get(exponent) ?? ''}`;
}

/** Below, at or above zero as `a` is less than, equal to or more than `b`. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  return compareScaled(a.unscaled, a.scale, b.unscaled, b.scale);
}

/** The sum, in the format of the first that is not zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  const scale = Math.min(a.scale, b.scale);
  const unscaled = a.unscaled * 10n ** BigInt(a.scale - scale) + b.unscaled * 10n ** BigInt(b.scale - scale);
  return { unscaled, scale, format: a.unscaled === 0n ? b.format : a.format, isBig: a.isBig || b.isBig };
}

export function negateQuantity(quantity: Quantity): Quantity {
  const { text: _text, ...rest } = quantity;
  return { ...rest, unscaled: -quantity.unscaled };
}

/** The value as a number of thousandths, rounded up: CPU counts in these. */
export function milliValue(quantity: Quantity): number {
  const { unscaled, scale } = roundAway(quantity.unscaled, quantity.scale, -3);
  return Number(unscaled * 10n ** BigInt(scale + 3));
}

/** The value as a whole number, rounded up: bytes and counts. */
export function wholeValue(quantity: Quantity): number {
  const { unscaled, scale } = roundAway(quantity.unscaled, quantity.scale, 0);
  return Number(unscaled * 10n ** BigInt(scale));
}

/** True if the value has no fraction. */
export function isWhole(quantity: Quantity): boolean {
  const rounded = roundAway(quantity.unscaled, quantity.scale, 0);
  return compareScaled(rounded.unscaled, rounded.scale, quantity.unscaled, quantity.scale) === 0;
}

/** Canonical text of what a client sent. Throws {@link QuantityError}. */
export function canonicalQuantity(text: string): string {
  return CANONICAL.test(text) ? text : formatQuantity(parseQuantity(text));
}

/** The same for the entries of resource lists, which are rounded up to thousandths. */
export function canonicalResource(text: string): string {
  return CANONICAL.test(text) ? text : formatQuantity(roundUpToMilli(parseQuantity(text)));
}
