/** Optional values (cel-go's optional types). `or` and `orValue` are evaluated lazily, in evaluator.ts. */
import { Duration, EvaluationError, isList, isMap, Optional, sizeOf, Timestamp, Uint, type Value } from '../values.ts';
import { define, type Overload } from './library.ts';

/** True for what a field holds that was never set. */
function isZero(value: Value): boolean {
  if (value === null || value === '' || value === false || value === 0n || value === 0) return true;
  if (typeof value !== 'object') return false;
  if (value instanceof Uint) return value.value === 0n;
  if (value instanceof Duration || value instanceof Timestamp) return value.nanos === 0n;
  return (value instanceof Uint8Array || isList(value) || isMap(value)) && sizeOf(value) === 0;
}

function dereference({ value }: Optional): Value {
  if (value === undefined) throw new EvaluationError('optional.none() dereference');
  return value;
}

export const OPTIONALS: readonly Overload[] = [
  define<[Value]>('optional.of(A): optional(A)', value => new Optional(value)),
  define<[Value]>('optional.ofNonZeroValue(A): optional(A)', value =>
    isZero(value) ? Optional.NONE : new Optional(value),
  ),
  define<[]>('optional.none(): optional(A)', () => Optional.NONE),
  define<[Optional]>('optional(A)->hasValue(): bool', ({ value }) => value !== undefined),
  define<[Optional]>('optional(A)->value(): A', dereference),
  define<[Optional, Optional]>('optional(A)->or(optional(A)): optional(A)', (a, b) => (a.value === undefined ? b : a)),
  define<[Optional, Value]>('optional(A)->orValue(A): A', (a, b) => a.value ?? b),
];
