/** Equality and order of values, as CEL has them: numbers compare by value whatever their type. */
import type { Budget } from './budget.ts';
import { ENTRY_STEPS, LIST_STEPS, MOMENT_STEPS } from './limits.ts';
import { Opaque } from './opaque.ts';
import {
  Duration,
  isList,
  isMap,
  type ListValue,
  type MapValue,
  noSuchOverload,
  Optional,
  sizeOf,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from './values.ts';

const isNumber = (value: Value): value is bigint | number | Uint =>
  typeof value === 'bigint' || typeof value === 'number' || value instanceof Uint;

/** Below, at or above zero; NaN if one of them is no number. JavaScript compares bigint with number exactly. */
function compareNumbers(a: bigint | number | Uint, b: bigint | number | Uint): number {
  const left = a instanceof Uint ? a.value : a;
  const right = b instanceof Uint ? b.value : b;
  if (left < right) return -1;
  if (left > right) return 1;
  return Number.isNaN(left) || Number.isNaN(right) ? Number.NaN : 0;
}

/** Whether two values are equal. Values of different types are not, numbers aside. */
export function equal(a: Value, b: Value, budget: Budget): boolean {
  if (a === b) return !(typeof a === 'number' && Number.isNaN(a));
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b) === 0;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  budget.step(1);
  if (a instanceof Uint8Array) return b instanceof Uint8Array && compareBytes(a, b) === 0;
  if (a instanceof Timestamp || a instanceof Duration) {
    budget.step(MOMENT_STEPS);
    return a instanceof Timestamp
      ? b instanceof Timestamp && a.nanos === b.nanos
      : b instanceof Duration && a.nanos === b.nanos;
  }
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name;
  if (a instanceof Opaque) return a.equals(b);
  if (a instanceof Optional) {
    if (!(b instanceof Optional)) return false;
    if (a.value === undefined || b.value === undefined) return a.value === b.value;
    return equal(a.value, b.value, budget);
  }
  if (isList(a)) return isList(b) && equalLists(a, b, budget);
  if (isMap(a)) return isMap(b) && equalMaps(a, b, budget);
  return false;
}

function equalLists(a: ListValue, b: ListValue, budget: Budget): boolean {
  if (a.size !== b.size) return false;
  budget.step(LIST_STEPS);
  const kind = a.listKind ?? b.listKind;
  if (kind?.type === 'map') return equalByKey(a, b, kind.keyOf, budget);
  if (kind?.type === 'set') return everyIndex(a.size, index => includes(b, a.at(index), budget));
  return everyIndex(a.size, index => {
    budget.step(1);
    const [left, right] = [a.json?.[index], b.json?.[index]];
    // To make values of whole numbers takes longer than to compare them.
    if (Number.isSafeInteger(left) && Number.isSafeInteger(right)) return left === right;
    return equal(a.at(index), b.at(index), budget);
  });
}

function equalByKey(
  a: ListValue,
  b: ListValue,
  keyOf: (element: Value) => string | undefined,
  budget: Budget,
): boolean {
  budget.step((a.size + b.size) * ENTRY_STEPS);
  const others = new Map<string | undefined, Value>();
  for (let index = 0; index < b.size; index++) others.set(keyOf(b.at(index)), b.at(index));
  return everyIndex(a.size, index => {
    const other = others.get(keyOf(a.at(index)));
    return other !== undefined && equal(a.at(index), other, budget);
  });
}

function equalMaps(a: MapValue, b: MapValue, budget: Budget): boolean {
  budget.step(ENTRY_STEPS);
  if (a.size !== b.size) return false;
  return a.keys().every(key => {
    budget.step(ENTRY_STEPS);
    const [left, right] = [a.get(key), b.get(key)];
    return left !== undefined && right !== undefined && equal(left, right, budget);
  });
}

function everyIndex(size: number, holds: (index: number) => boolean): boolean {
  for (let index = 0; index < size; index++) if (!holds(index)) return false;
  return true;
}

/** Whether a list has an element equal to `value`. */
export function includes(list: ListValue, value: Value, budget: Budget): boolean {
  for (let index = 0; index < list.size; index++) {
    budget.step(2);
    if (equal(list.at(index), value, budget)) return true;
  }
  return false;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** By code points, as Go compares UTF-8. */
function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  let index = 0;
  while (index < length && a.charCodeAt(index) === b.charCodeAt(index)) index++;
  if (index === length) return a.length - b.length;
  const [left, right] = [a.charCodeAt(index), b.charCodeAt(index)];
  // Halves of pairs stand for characters above all others.
  const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
  if (isHigh(left) !== isHigh(right)) return isHigh(left) ? 1 : -1;
  return left - right;
}

/** Below, at or above zero; NaN where nothing can be said. Throws if there is no order among such values. */
export function compare(a: Value, b: Value, budget: Budget): number {
  if (isNumber(a) && isNumber(b)) return compareNumbers(a, b);
  if (typeof a === 'string' && typeof b === 'string') {
    budget.step(Math.min(sizeOf(a), sizeOf(b)));
    return compareTexts(a, b);
  }
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b);
  if (a instanceof Timestamp && b instanceof Timestamp) return compareNumbers(a.nanos, b.nanos);
  if (a instanceof Duration && b instanceof Duration) return compareNumbers(a.nanos, b.nanos);
  throw noSuchOverload();
}
