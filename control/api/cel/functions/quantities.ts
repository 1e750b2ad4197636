/** Quantities (Kubernetes' quantity library). */

import {
  addQuantities,
  compareQuantities,
  isWhole,
  negateQuantity,
  parseQuantity,
  type Quantity,
  QuantityError,
} from '../../schema/quantity.ts';
import { Opaque } from '../opaque.ts';
import { EvaluationError, type Value } from '../values.ts';
import { define, type Overload } from './library.ts';

const TYPE = 'kubernetes.Quantity';
type Wrapped = Opaque<Quantity>;
const wrap = (quantity: Quantity): Wrapped => new Opaque(TYPE, quantity, (a, b) => compareQuantities(a, b) === 0);

function parse(text: string): Quantity | undefined {
  try {
    return parseQuantity(text);
  } catch (error) {
    if (error instanceof QuantityError) return undefined;
    throw error;
  }
}

function quantity(text: string): Value {
  try {
    return wrap(parseQuantity(text));
  } catch (error) {
    if (error instanceof QuantityError) throw new EvaluationError(error.message);
    throw error;
  }
}

/** The exact whole value; undefined if there is a fraction or it does not fit 64 bits. */
function whole(quantity: Quantity): bigint | undefined {
  if (!isWhole(quantity)) return undefined;
  const value =
    quantity.scale >= 0
      ? quantity.unscaled * 10n ** BigInt(quantity.scale)
      : quantity.unscaled / 10n ** BigInt(-quantity.scale);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

function asInteger({ content }: Wrapped): Value {
  const value = whole(content);
  if (value === undefined) throw new EvaluationError('cannot convert value to integer');
  return value;
}

const approximate = ({ unscaled, scale }: Quantity): number => Number(`${unscaled}e${scale}`);
const ofInt = (value: bigint): Quantity => ({ unscaled: value, scale: 0, format: 'DecimalSI', isBig: false });
const sum = (a: Quantity, b: Quantity): Value => wrap(addQuantities(a, b));

type Two = readonly [Wrapped, Wrapped];
export const QUANTITIES: readonly Overload[] = [
  define<[string]>(`quantity(string): ${TYPE}`, quantity, 'scan'),
  define<[string]>('isQuantity(string): bool', text => parse(text) !== undefined, 'scan'),
  define<[Wrapped]>(`${TYPE}->sign(): int`, ({ content: { unscaled } }) =>
    unscaled > 0n ? 1n : unscaled < 0n ? -1n : 0n,
  ),
  define<[Wrapped]>(`${TYPE}->isInteger(): bool`, ({ content }) => whole(content) !== undefined),
  define<[Wrapped]>(`${TYPE}->asInteger(): int`, asInteger),
  define<[Wrapped]>(`${TYPE}->asApproximateFloat(): double`, ({ content }) => approximate(content)),
  define<Two>(`${TYPE}->isGreaterThan(${TYPE}): bool`, (a, b) => compareQuantities(a.content, b.content) > 0),
  define<Two>(`${TYPE}->isLessThan(${TYPE}): bool`, (a, b) => compareQuantities(a.content, b.content) < 0),
  define<Two>(`${TYPE}->compareTo(${TYPE}): int`, (a, b) => BigInt(Math.sign(compareQuantities(a.content, b.content)))),
  define<Two>(`${TYPE}->add(${TYPE}): ${TYPE}`, (a, b) => sum(a.content, b.content)),
  define<[Wrapped, bigint]>(`${TYPE}->add(int): ${TYPE}`, (a, b) => sum(a.content, ofInt(b))),
  define<Two>(`${TYPE}->sub(${TYPE}): ${TYPE}`, (a, b) => sum(a.content, negateQuantity(b.content))),
  define<[Wrapped, bigint]>(`${TYPE}->sub(int): ${TYPE}`, (a, b) => sum(a.content, ofInt(-b))),
];
