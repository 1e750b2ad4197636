/** Operators: arithmetic, comparison, containment, indexing (cel-go's standard library). */
import type { Budget } from '../budget.ts';
import { compare, equal, includes } from '../compare.ts';
import {
  ArrayList,
  Duration,
  EvaluationError,
  INT_OVERFLOW,
  int64,
  isList,
  isMap,
  JoinedList,
  type ListValue,
  type MapValue,
  noSuchKey,
  noSuchOverload,
  Optional,
  shownKey,
  Timestamp,
  typeName,
  Uint,
  uint64,
  type Value,
} from '../values.ts';
import { define, defineWithBudget, type Overload } from './library.ts';

type Two<T> = readonly [T, T];
const DIVISION_BY_ZERO = 'division by zero';
const MODULUS_BY_ZERO = 'modulus by zero';

function nonZero(value: bigint, message: string): bigint {
  if (value === 0n) throw new EvaluationError(message);
  return value;
}

const arithmetic: readonly Overload[] = [
  define<Two<bigint>>('_+_(int, int): int', (a, b) => int64(a + b)),
  define<Two<bigint>>('_-_(int, int): int', (a, b) => int64(a - b)),
  define<Two<bigint>>('_*_(int, int): int', (a, b) => int64(a * b)),
  define<Two<bigint>>('_/_(int, int): int', (a, b) => int64(a / nonZero(b, DIVISION_BY_ZERO))),
  define<Two<bigint>>('_%_(int, int): int', (a, b) => a % nonZero(b, MODULUS_BY_ZERO)),
  define<Two<Uint>>('_+_(uint, uint): uint', (a, b) => uint64(a.value + b.value)),
  define<Two<Uint>>('_-_(uint, uint): uint', (a, b) => uint64(a.value - b.value)),
  define<Two<Uint>>('_*_(uint, uint): uint', (a, b) => uint64(a.value * b.value)),
  define<Two<Uint>>('_/_(uint, uint): uint', (a, b) => uint64(a.value / nonZero(b.value, DIVISION_BY_ZERO))),
  define<Two<Uint>>('_%_(uint, uint): uint', (a, b) => uint64(a.value % nonZero(b.value, MODULUS_BY_ZERO))),
  define<Two<number>>('_+_(double, double): double', (a, b) => a + b),
  define<Two<number>>('_-_(double, double): double', (a, b) => a - b),
  define<Two<number>>('_*_(double, double): double', (a, b) => a * b),
  define<Two<number>>('_/_(double, double): double', (a, b) => a / b),
  define<[bigint]>('-_(int): int', a => int64(-a)),
  define<[number]>('-_(double): double', a => -a),
  define<[boolean]>('!_(bool): bool', a => !a),
  define<Two<string>>('_+_(string, string): string', (a, b) => a + b, 'append'),
  define<Two<Uint8Array>>('_+_(bytes, bytes): bytes', (a, b) => Buffer.concat([a, b]), 'append'),
  defineWithBudget<Two<ListValue>>('_+_(list(A), list(A)): list(A)', addLists, 'concatenateLists'),
];

/** Sets and lists with keys are joined as Kubernetes merges them. */
function addLists(budget: Budget, a: ListValue, b: ListValue): Value {
  const { listKind } = a;
  if (!listKind) return new JoinedList(a, b);
  const elements = Array.from({ length: a.size }, (_, index) => a.at(index));
  budget.step(a.size);
  for (let index = 0; index < b.size; index++) {
    const element = b.at(index);
    budget.step(1);
    if (listKind.type === 'set') {
      if (!includes(a, element, budget)) elements.push(element);
      continue;
    }
    const key = listKind.keyOf(element);
    budget.step(elements.length);
    const place = elements.findIndex(other => listKind.keyOf(other) === key);
    if (place < 0) elements.push(element);
    else elements[place] = element;
  }
  return new ArrayList(elements);
}

const times: readonly Overload[] = [
  define<[Timestamp, Duration]>('_+_(timestamp, duration): timestamp', (a, b) => new Timestamp(a.nanos + b.nanos)),
  define<[Duration, Timestamp]>('_+_(duration, timestamp): timestamp', (a, b) => new Timestamp(a.nanos + b.nanos)),
  define<Two<Duration>>('_+_(duration, duration): duration', (a, b) => new Duration(a.nanos + b.nanos)),
  define<Two<Timestamp>>('_-_(timestamp, timestamp): duration', (a, b) => new Duration(a.nanos - b.nanos)),
  define<[Timestamp, Duration]>('_-_(timestamp, duration): timestamp', (a, b) => new Timestamp(a.nanos - b.nanos)),
  define<Two<Duration>>('_-_(duration, duration): duration', (a, b) => new Duration(a.nanos - b.nanos)),
  define<[Duration]>('-_(duration): duration', a => {
    if (a.nanos === -(2n ** 63n)) throw new EvaluationError(INT_OVERFLOW);
    return new Duration(-a.nanos);
  }),
];

const ORDERS: Readonly<Record<string, (order: number) => boolean>> = {
  '_<_': order => order < 0,
  '_<=_': order => order <= 0,
  '_>_': order => order > 0,
  '_>=_': order => order >= 0,
};
const NUMBERS = ['int', 'uint', 'double'];
const ORDERED_PAIRS: readonly (readonly [string, string])[] = [
  ...['bool', 'string', 'bytes', 'timestamp', 'duration'].map(type => [type, type] as const),
  ...NUMBERS.flatMap(a => NUMBERS.map(b => [a, b] as const)),
];
const SCANNED = new Set(['string', 'bytes']);
const comparisons: readonly Overload[] = Object.entries(ORDERS).flatMap(([name, holds]) =>
  ORDERED_PAIRS.map(([a, b]) =>
    defineWithBudget<Two<Value>>(
      `${name}(${a}, ${b}): bool`,
      (budget, left, right) => holds(compare(left, right, budget)),
      SCANNED.has(a) ? 'compare' : 'one',
    ),
  ),
);

const equality: readonly Overload[] = [
  defineWithBudget<Two<Value>>('_==_(A, A): bool', (budget, a, b) => equal(a, b, budget), 'compare'),
  defineWithBudget<Two<Value>>('_!=_(A, A): bool', (budget, a, b) => !equal(a, b, budget), 'compare'),
];

const containment: readonly Overload[] = [
  defineWithBudget<[Value, ListValue]>('@in(A, list(A)): bool', (budget, a, b) => includes(b, a, budget), 'member'),
  define<[Value, MapValue]>('@in(A, map(A, B)): bool', (a, b) => b.get(a) !== undefined),
];

/** The place in a list that an index means; an error if it is no whole number. */
function position(index: Value): number {
  if (index instanceof Uint) return Number(index.value);
  if (typeof index === 'bigint') return Number(index);
  if (typeof index === 'number' && Number.isInteger(index)) return index;
  throw new EvaluationError(`unsupported index type '${typeName(index)}' in list`);
}

/** `container[key]`; undefined if there is no such element. */
export function element(container: Value, key: Value): Value | undefined {
  if (isList(container)) {
    const index = position(key);
    return index >= 0 && index < container.size ? container.at(index) : undefined;
  }
  if (isMap(container)) return container.get(key);
  throw noSuchOverload();
}

function elementOrError(container: Value, key: Value): Value {
  const found = element(container, key);
  if (found !== undefined) return found;
  throw isList(container) ? new EvaluationError(`index out of bounds: ${shownKey(key)}`) : noSuchKey(shownKey(key));
}

function optionalElement(container: Value, key: Value): Value {
  const inner = container instanceof Optional ? container.value : container;
  if (inner === undefined) return Optional.NONE;
  const found = element(inner, key);
  return found === undefined ? Optional.NONE : new Optional(found);
}

/** The same on an optional container gives an optional: what is not there has no elements. */
const indexing: readonly Overload[] = [
  define<[Value, Value]>('_[_](list(A), int): A', elementOrError),
  define<[Value, Value]>('_[_](map(A, B), A): B', elementOrError),
  define<[Value, Value]>('_[_](optional(list(A)), int): optional(A)', optionalElement),
  define<[Value, Value]>('_[_](optional(map(A, B)), A): optional(B)', optionalElement),
  define<[Value, Value]>('_[?_](list(A), int): optional(A)', optionalElement),
  define<[Value, Value]>('_[?_](map(A, B), A): optional(B)', optionalElement),
  define<[Value, Value]>('_[?_](optional(list(A)), int): optional(A)', optionalElement),
  define<[Value, Value]>('_[?_](optional(map(A, B)), A): optional(B)', optionalElement),
];

export const OPERATORS: readonly Overload[] = [
  ...arithmetic,
  ...times,
  ...comparisons,
  ...equality,
  ...containment,
  ...indexing,
];
