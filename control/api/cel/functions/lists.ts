/** Lists (Kubernetes' list library) and sets (cel-go's sets extension). */
import type { Budget } from '../budget.ts';
import { compare, equal, includes } from '../compare.ts';
import { Duration, EvaluationError, int64, type ListValue, Uint, uint64, type Value } from '../values.ts';
import { defineWithBudget, type Overload } from './library.ts';

function isSorted(budget: Budget, list: ListValue): boolean {
  for (let index = 1; index < list.size; index++) {
    if (compare(list.at(index - 1), list.at(index), budget) > 0) return false;
  }
  return true;
}

/** The one that no other stands before; `sign` is 1 for the least, -1 for the greatest. */
function extreme(name: 'min' | 'max', sign: 1 | -1) {
  return (budget: Budget, list: ListValue): Value => {
    if (list.size === 0) throw new EvaluationError(`${name} called on empty list`);
    let best = list.at(0);
    for (let index = 1; index < list.size; index++) {
      const element = list.at(index);
      if (compare(element, best, budget) * sign < 0) best = element;
    }
    return best;
  };
}

function sum(budget: Budget, list: ListValue): Value {
  budget.step(list.size);
  let total: Value = list.size === 0 ? 0n : list.at(0);
  for (let index = 1; index < list.size; index++) total = added(total, list.at(index));
  return total;
}

function added(a: Value, b: Value): Value {
  if (typeof a === 'bigint' && typeof b === 'bigint') return int64(a + b);
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (a instanceof Uint && b instanceof Uint) return uint64(a.value + b.value);
  if (a instanceof Duration && b instanceof Duration) return new Duration(a.nanos + b.nanos);
  throw new EvaluationError('no such overload');
}

function indexOf(budget: Budget, list: ListValue, value: Value): bigint {
  for (let index = 0; index < list.size; index++) if (equal(list.at(index), value, budget)) return BigInt(index);
  return -1n;
}

function lastIndexOf(budget: Budget, list: ListValue, value: Value): bigint {
  for (let index = list.size - 1; index >= 0; index--) if (equal(list.at(index), value, budget)) return BigInt(index);
  return -1n;
}

const ORDERED = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes'];
const SUMMED = ['int', 'uint', 'double', 'duration'];

export const LISTS: readonly Overload[] = [
  ...ORDERED.flatMap(type => [
    defineWithBudget<[ListValue]>(`list(${type})->isSorted(): bool`, isSorted, 'traverse'),
    defineWithBudget<[ListValue]>(`list(${type})->min(): ${type}`, extreme('min', 1), 'traverse'),
    defineWithBudget<[ListValue]>(`list(${type})->max(): ${type}`, extreme('max', -1), 'traverse'),
  ]),
  ...SUMMED.map(type => defineWithBudget<[ListValue]>(`list(${type})->sum(): ${type}`, sum, 'traverse')),
  defineWithBudget<[ListValue, Value]>('list(A)->indexOf(A): int', indexOf, 'traverse'),
  defineWithBudget<[ListValue, Value]>('list(A)->lastIndexOf(A): int', lastIndexOf, 'traverse'),
];

function containsAll(budget: Budget, list: ListValue, wanted: ListValue): boolean {
  for (let index = 0; index < wanted.size; index++) if (!includes(list, wanted.at(index), budget)) return false;
  return true;
}

function intersects(budget: Budget, a: ListValue, b: ListValue): boolean {
  for (let index = 0; index < b.size; index++) if (includes(a, b.at(index), budget)) return true;
  return false;
}

type Lists = readonly [ListValue, ListValue];
export const SETS: readonly Overload[] = [
  defineWithBudget<Lists>('sets.contains(list(A), list(A)): bool', containsAll, 'sets'),
  defineWithBudget<Lists>(
    'sets.equivalent(list(A), list(A)): bool',
    (budget, a, b) => containsAll(budget, a, b) && containsAll(budget, b, a),
    'sets',
  ),
  defineWithBudget<Lists>('sets.intersects(list(A), list(A)): bool', intersects, 'sets'),
];
