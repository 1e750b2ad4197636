/**
 * The one walker over values of the API. It checks types as Go's decoder does, collects unknown fields,
 * drops what Go would not keep (nulls, empty values that are not written), fills in what Go would always write, applies
 * the schema's defaults, and brings quantities and times into their canonical text. The answer is a new object; the input
 * is left alone.
 */
import { setOwn } from '../patch/json.ts';
import { type Field, JSON_SCHEMA_PROPS, type StructType, structOf, type Type } from './compile.ts';
import { plainValue, RawNumber } from './json.ts';
import { canonicalQuantity, QuantityError } from './quantity.ts';
import { canonicalMicroTime, canonicalTime, TimeError } from './time.ts';

/** A value has the wrong type or form. The message is Go's. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  /** What apimachinery's converter says instead, through which the result of a strategic merge patch goes. */
  readonly ofConverter: string | undefined;

  constructor(message: string, options: ErrorOptions & { readonly ofConverter?: string } = {}) {
    super(message, options);
    this.ofConverter = options.ofConverter;
  }
}

/** Where unknown fields are reported. */
export interface WalkOptions {
  /** Called for each unknown field, in the order of the value: `unknown field "spec.foo"`, and `spec.foo`. */
  readonly onComplaint?: (sentence: string, path: string) => void;
}

/** Decodes `value` as an object of that type. Throws {@link DecodeError}. */
export function walk(type: StructType, value: unknown, options: WalkOptions = {}): Record<string, unknown> {
  try {
    return new Walker(options).root(type, value);
  } catch (cause) {
    // Values of no known type may be nested deeper than the stack goes.
    if (cause instanceof RangeError) throw new DecodeError('exceeded max depth', { cause });
    throw cause;
  }
}

type Struct = Record<string, unknown>;

const isObject = (value: unknown): value is Struct =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof RawNumber);

/** Go's word for what JSON value this is. */
function jsonKind(value: unknown): string {
  if (value instanceof RawNumber) return `number ${value.text}`;
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'number':
      return 'number';
    case 'string':
      return 'string';
    default:
      return 'object';
  }
}

const INT32_MAX = 2_147_483_647;
const INT64_TEXT_MAX = 9_223_372_036_854_775_807n;

class Walker {
  readonly #options: WalkOptions;
  /** The way to the present value: field names, map keys and list indices. */
  readonly #path: (string | number)[] = [];
  /** Field names only: what Go names in messages. */
  readonly #goPath: string[] = [];
  #struct = '';

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  root(type: StructType, value: unknown): Struct {
    if (!isObject(value)) {
      throw new DecodeError(`json: cannot unmarshal ${jsonKind(value)} into Go value of type ${type.go}`);
    }
    return this.#structValue(type, value);
  }

  #structValue(type: StructType, value: Struct): Struct {
    const result: Struct = {};
    const outer = this.#struct;
    for (const key of Object.keys(value)) {
      const field = type.fields.get(key);
      if (field === undefined) {
        this.#reportUnknown(key);
        continue;
      }
      const given = value[key];
      if (given === null || given === undefined) continue;
      this.#struct = type.name;
      this.#path.push(key);
      this.#goPath.push(key);
      const decoded = this.#value(field.type, given);
      this.#path.pop();
      this.#goPath.pop();
      if (field.isPointer || field.isAlways || !isEmpty(field.type, decoded)) result[key] = decoded;
    }
    this.#struct = outer;
    fillConstants(type, result);
    return result;
  }

  #reportUnknown(key: string): void {
    const { onComplaint } = this.#options;
    if (!onComplaint) return;
    let path = '';
    for (const step of this.#path) {
      path += typeof step === 'number' ? `[${step}]` : path === '' ? step : `.${step}`;
    }
    const whole = path === '' ? key : `${path}.${key}`;
    onComplaint(`unknown field "${whole}"`, whole);
  }

  #refuse(value: unknown, go: string, withText = false): DecodeError {
    const kind = withText && typeof value === 'number' ? `number ${value}` : jsonKind(value);
    const shown = withText ? kind : kind.replace(/^number .*/, 'number');
    return new DecodeError(
      `json: cannot unmarshal ${shown} into Go struct field ${this.#struct}.${this.#goPath.join('.')} of type ${go}`,
      { ofConverter: converterMessage(value, go) },
    );
  }

  #value(type: Type, value: unknown): unknown {
    switch (type.tag) {
      case 'string':
        if (typeof value !== 'string') throw this.#refuse(value, type.go);
        return value;
      case 'struct':
        if (!isObject(value)) throw this.#refuse(value, type.go);
        return this.#structValue(type, value);
      case 'list':
        return this.#list(type, value);
      case 'map':
        return this.#map(type, value);
      case 'integer':
        return this.#integer(type.bits, type.go, value);
      case 'boolean':
        if (typeof value !== 'boolean') throw this.#refuse(value, type.go);
        return value;
      case 'float':
        if (value instanceof RawNumber) return Number(value.text);
        if (typeof value !== 'number') throw this.#refuse(value, type.go);
        return value;
      case 'bytes':
        if (typeof value !== 'string') throw this.#refuse(value, type.go);
        return canonicalBase64(value);
      case 'quantity':
        return quantity(value);
      case 'intOrString':
        return typeof value === 'string' ? value : this.#integer(32, 'int32', value);
      case 'time':
      case 'microTime':
        if (typeof value !== 'string') throw this.#refuse(value, type.go);
        return time(type.tag, value);
      case 'schemaOr':
        return this.#schemaOr(value);
      case 'any':
        return plainValue(value);
    }
  }

  /** Go decodes these by hand, and so does not tell unknown fields in them. */
  #schemaOr(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(item => this.#schemaOr(item));
    if (!isObject(value)) return plainValue(value);
    const quiet = new Walker({});
    quiet.#struct = this.#struct;
    quiet.#goPath.push(...this.#goPath);
    return quiet.#structValue(structOf(JSON_SCHEMA_PROPS), value);
  }

  #list(type: Type & { tag: 'list' }, value: unknown): unknown[] {
    if (!Array.isArray(value)) throw this.#refuse(value, type.go);
    return value.map((item, index) => {
      if (item === null) return zeroOf(type.item);
      this.#path.push(index);
      const decoded = this.#value(type.item, item);
      this.#path.pop();
      return decoded;
    });
  }

  #map(type: Type & { tag: 'map' }, value: unknown): Struct {
    if (!isObject(value)) throw this.#refuse(value, type.go);
    const result: Struct = {};
    for (const key of Object.keys(value)) {
      const item = value[key];
      this.#path.push(key);
      const decoded = item === null ? zeroOf(type.value) : this.#value(type.value, item);
      this.#path.pop();
      setOwn(result, key, decoded);
    }
    return result;
  }

  #integer(bits: 32 | 64, go: string, value: unknown): number {
    if (value instanceof RawNumber) {
      if (bits === 32 || !/^-?\d+$/.test(value.text)) throw this.#refuse(value, go, true);
      const exact = BigInt(value.text);
      if (exact > INT64_TEXT_MAX || exact < -INT64_TEXT_MAX - 1n) throw this.#refuse(value, go, true);
      return Number(value.text);
    }
    if (typeof value !== 'number') throw this.#refuse(value, go);
    const isFitting = Number.isInteger(value) && (bits === 64 || (value <= INT32_MAX && value >= -INT32_MAX - 1));
    if (!isFitting) throw this.#refuse(value, go, true);
    // -0 is no number of Go's.
    return value === 0 ? 0 : value;
  }
}

/** apimachinery/pkg/runtime/converter.go: the value's kind against the Go type's, without the way to it. */
function converterMessage(value: unknown, go: string): string {
  const kind = converterKind(value);
  if (go.startsWith('[]') && go !== '[]uint8') return `cannot restore slice from ${kind}`;
  if (go.startsWith('map[')) return `cannot restore map from ${kind}`;
  const isNumber = kind === 'int64' || kind === 'float64';
  if (/^u?int\d*$|^float\d+$/.test(go)) {
    return isNumber ? `cannot convert ${kind} to ${go}` : `unrecognized type: ${go}`;
  }
  if (go === 'string') return kind === 'int64' ? 'cannot convert int64 to string' : 'unrecognized type: string';
  return go === 'bool' ? 'unrecognized type: bool' : `cannot restore struct from: ${kind}`;
}

function converterKind(value: unknown): string {
  if (Array.isArray(value)) return 'slice';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  const number = value instanceof RawNumber ? Number(value.text) : value;
  return typeof number === 'number' ? (Number.isInteger(number) ? 'int64' : 'float64') : 'map';
}

function quantity(value: unknown): string {
  try {
    if (typeof value === 'string') return canonicalQuantity(value);
    if (value instanceof RawNumber) return canonicalQuantity(value.text);
    return canonicalQuantity(typeof value === 'number' ? String(value) : '?');
  } catch (error) {
    if (error instanceof QuantityError) throw new DecodeError(error.message, { cause: error });
    throw error;
  }
}

function time(tag: 'time' | 'microTime', value: string): string {
  try {
    return tag === 'time' ? canonicalTime(value) : canonicalMicroTime(value);
  } catch (error) {
    if (error instanceof TimeError) throw new DecodeError(error.message, { cause: error });
    throw error;
  }
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Standard base64 with padding; line breaks are skipped, as Go's decoder does. */
function canonicalBase64(text: string): string {
  const joined = text.replaceAll(/[\r\n]/g, '');
  if (!BASE64.test(joined)) throw new DecodeError(`illegal base64 data at input byte ${offendingByte(joined)}`);
  return joined;
}

/** Where Go's decoder says that it stopped. It gives up a quantum of four at once where the text ends inside it. */
function offendingByte(text: string): number {
  const bad = text.search(/[^A-Za-z0-9+/]/);
  if (bad === -1) return text.length - (text.length % 4);
  if (text.charAt(bad) !== '=') return bad;
  const inQuantum = bad % 4;
  if (inQuantum < 2) return bad;
  const wanted = 4 - inQuantum;
  const padding = /^=*/.exec(text.slice(bad))?.[0].length ?? 0;
  return padding < wanted ? text.length : bad + wanted;
}

/** True for what Go's `omitempty` leaves out. */
export function isEmpty(type: Type, value: unknown): boolean {
  switch (type.tag) {
    case 'struct':
    case 'time':
    case 'microTime':
    case 'schemaOr':
    case 'any':
      return value === null || value === undefined;
    case 'list':
      return !Array.isArray(value) || value.length === 0;
    case 'map':
      return typeof value !== 'object' || value === null || Object.keys(value).length === 0;
    default:
      return value === '' || value === 0 || value === false || value === null || value === undefined;
  }
}

/** The value of Go's zero, as JSON has it. */
function zeroOf(type: Type): unknown {
  switch (type.tag) {
    case 'string':
    case 'bytes':
      return '';
    case 'integer':
    case 'float':
    case 'intOrString':
      return 0;
    case 'boolean':
      return false;
    case 'quantity':
      return '0';
    case 'struct':
      return fillConstants(type, {});
    default:
      return null;
  }
}

function fillConstants(type: StructType, object: Struct): Struct {
  for (const field of type.constant) fillConstant(field, object);
  return object;
}

function fillConstant(field: Field, object: Struct): void {
  const value = object[field.name];
  if (field.default !== undefined) {
    if (value === undefined || (!field.isPointer && isEmpty(field.type, value))) object[field.name] = field.default;
    return;
  }
  const isUnset =
    value === undefined || ((field.type.tag === 'list' || field.type.tag === 'map') && isEmpty(field.type, value));
  if (isUnset) object[field.name] = field.isPointer ? null : zeroOf(field.type);
}
