/**
 * Values while an expression is evaluated. Texts, booleans, null and doubles are JavaScript's own; ints are bigint. All
 * else is a class here. Lists and maps are interfaces: objects of the API stay the JSON that they are and are looked at
 * piece by piece (json-values.ts).
 */
import type { Opaque } from './opaque.ts';

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | Uint
  | Timestamp
  | Duration
  | Optional
  | TypeValue
  | ListValue
  | MapValue
  | Opaque;

/**
 * Evaluation failed as CEL defines it: && and || may go on without the operand. The message is cel-go's. It is no Error
 * on purpose: expressions may fail for every element of a list, and a stack trace costs more than what failed.
 */
export class EvaluationError {
  readonly code = 'CEL_EVALUATION';
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

export const noSuchKey = (key: string) => new EvaluationError(`no such key: ${key}`);
export const noSuchOverload = (what = '') => new EvaluationError(`no such overload${what && `: ${what}`}`);
export const INT_OVERFLOW = 'integer overflow';
export const UINT_OVERFLOW = 'unsigned integer overflow';

const UINT_MAX = 2n ** 64n - 1n;
const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;

/** A 64 bit int, or an error. */
export function int64(value: bigint): bigint {
  if (value < INT_MIN || value > INT_MAX) throw new EvaluationError(INT_OVERFLOW);
  return value;
}

export class Uint {
  readonly value: bigint;

  private constructor(value: bigint) {
    this.value = value;
  }

  /** Undefined if that is no unsigned 64 bit integer. */
  static of(value: bigint): Uint | undefined {
    return value < 0n || value > UINT_MAX ? undefined : new Uint(value);
  }
}

export function uint64(value: bigint): Uint {
  const result = Uint.of(value);
  if (!result) throw new EvaluationError(UINT_OVERFLOW);
  return result;
}

const NANOS = 1_000_000_000n;
/** The first and the last second of the years 1 to 9999. */
const TIMESTAMP_MIN = -62_135_596_800n * NANOS;
const TIMESTAMP_MAX = 253_402_300_799n * NANOS + 999_999_999n;

/** A moment: nanoseconds since the epoch. */
export class Timestamp {
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    if (nanos < TIMESTAMP_MIN || nanos > TIMESTAMP_MAX) throw new EvaluationError('timestamp overflow');
    this.nanos = nanos;
  }
}

/** A span of time in nanoseconds, as Go counts it. */
export class Duration {
  readonly nanos: bigint;

  constructor(nanos: bigint) {
    if (nanos < INT_MIN || nanos > INT_MAX) throw new EvaluationError('duration overflow');
    this.nanos = nanos;
  }
}

export class Optional {
  static readonly NONE = new Optional(undefined);
  readonly value: Value | undefined;

  constructor(value: Value | undefined) {
    this.value = value;
  }
}

/** What `type(x)` gives. */
export class TypeValue {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

export interface ListValue {
  readonly isList: true;
  readonly size: number;
  /** `index` is within bounds. */
  at(index: number): Value;
  /** What the elements are made of, where the list is one of an object of the API. */
  readonly json?: readonly unknown[];
  /** How equality and addition treat it (x-kubernetes-list-type). */
  readonly listKind?: ListKind;
}
export type ListKind =
  | { readonly type: 'set' }
  | { readonly type: 'map'; readonly keyOf: (element: Value) => string | undefined };

export interface MapValue {
  readonly isMap: true;
  /** How `type()` calls it where it is an object of a schema. */
  readonly objectName?: string;
  readonly size: number;
  get(key: Value): Value | undefined;
  keys(): readonly Value[];
}

export const isList = (value: Value): value is ListValue =>
  typeof value === 'object' && value !== null && 'isList' in value;
export const isMap = (value: Value): value is MapValue =>
  typeof value === 'object' && value !== null && 'isMap' in value;

export class ArrayList implements ListValue {
  readonly isList = true;
  readonly #elements: readonly Value[];

  constructor(elements: readonly Value[]) {
    this.#elements = elements;
  }

  get size(): number {
    return this.#elements.length;
  }

  at(index: number): Value {
    return this.#elements[index] ?? null;
  }
}

/** Two lists in a row, without copying. */
export class JoinedList implements ListValue {
  readonly isList = true;
  readonly size: number;
  readonly #left: ListValue;
  readonly #right: ListValue;

  constructor(left: ListValue, right: ListValue) {
    this.#left = left;
    this.#right = right;
    this.size = left.size + right.size;
  }

  at(index: number): Value {
    return index < this.#left.size ? this.#left.at(index) : this.#right.at(index - this.#left.size);
  }
}

/** A map that an expression made. Keys are bool, int, uint or string; numbers of equal value are the same key. */
export class EntryMap implements MapValue {
  readonly isMap = true;
  readonly #entries: ReadonlyMap<string, readonly [Value, Value]>;

  constructor(entries: Iterable<readonly [Value, Value]>) {
    const byKey = new Map<string, readonly [Value, Value]>();
    for (const [key, value] of entries) {
      const text = keyText(key);
      if (text === undefined) throw new EvaluationError(`unsupported key type: ${typeName(key)}`);
      if (byKey.has(text)) throw new EvaluationError(`insert failed: key ${shownKey(key)} already exists`);
      byKey.set(text, [key, value]);
    }
    this.#entries = byKey;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Value): Value | undefined {
    const text = keyText(key);
    return text === undefined ? undefined : this.#entries.get(text)?.[1];
  }

  keys(): readonly Value[] {
    return [...this.#entries.values()].map(([key]) => key);
  }
}

function keyText(key: Value): string | undefined {
  if (typeof key === 'string') return `s${key}`;
  if (typeof key === 'boolean') return `b${key}`;
  if (typeof key === 'bigint') return `n${key}`;
  if (key instanceof Uint) return `n${key.value}`;
  if (typeof key === 'number' && Number.isInteger(key)) return `n${BigInt(key)}`;
  return undefined;
}

/** A key as messages show it. */
export function shownKey(key: Value): string {
  if (key instanceof Uint) return String(key.value);
  if (typeof key === 'object') return typeName(key);
  return String(key);
}

/** The name of a value's type: what `type(value)` is called. */
export function typeName(value: Value): string {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int';
    case 'number':
      return 'double';
    default:
  }
  if (value === null) return 'null_type';
  if (value instanceof Uint) return 'uint';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof Timestamp) return 'google.protobuf.Timestamp';
  if (value instanceof Duration) return 'google.protobuf.Duration';
  if (value instanceof Optional) return 'optional_type';
  if (value instanceof TypeValue) return 'type';
  if (isList(value)) return 'list';
  if (isMap(value)) return value.objectName ?? 'map';
  return (value as Opaque).typeName;
}

/** What sizes count for: elements, characters, bytes; 1 for what has no size. */
export function sizeOf(value: Value): number {
  if (typeof value === 'string') return value.length;
  if (value instanceof Uint8Array) return value.length;
  if (typeof value === 'object' && value !== null && (isList(value) || isMap(value))) return value.size;
  return 1;
}
