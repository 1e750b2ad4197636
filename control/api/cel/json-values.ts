/**
 * Objects of the API as values of expressions. Nothing is copied: a list or an object stays the JSON that it is, and
 * what is read of it becomes a value when it is read, typed by its schema where there is one.
 */
import { RawNumber } from '../schema/json.ts';
import { escapeName, fieldKey, isPreserving, type RuleSchema, withTypeAndMetadata } from './schema.ts';
import { parseDuration, parseTimestamp } from './times.ts';
import { EvaluationError, type ListKind, type ListValue, type MapValue, type Value } from './values.ts';

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof RawNumber);

/** A value of no known type: whole numbers are ints. */
export function dynamicValue(json: unknown): Value {
  switch (typeof json) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return json;
    case 'number':
      return Number.isInteger(json) ? BigInt(json) : json;
    default:
  }
  if (json === null || json === undefined) return null;
  if (json instanceof RawNumber) return /^-?\d+$/.test(json.text) ? BigInt(json.text) : Number(json.text);
  if (Array.isArray(json)) return new JsonList(json, dynamicValue);
  return new JsonMap(json as Json, dynamicValue);
}

/** A value of the type that its schema says. Throws {@link EvaluationError} if it is not of that type. */
export function typedValue(json: unknown, schema: RuleSchema): Value {
  if (json === null || json === undefined) {
    if (schema.nullable) return null;
    throw new EvaluationError('invalid data, got null for schema with nullable=false');
  }
  if (schema['x-kubernetes-int-or-string']) {
    if (typeof json === 'string') return json;
    if (typeof json === 'number' && Number.isInteger(json)) return BigInt(json);
    throw new EvaluationError('invalid data, expected XIntOrString value to be either a string or integer');
  }
  switch (schema.type) {
    case 'array':
      return typedList(json, schema);
    case 'object':
      return typedObject(json, schema);
    case 'string':
      return typedText(json, schema);
    case 'boolean':
      if (typeof json === 'boolean') return json;
      break;
    case 'integer':
    case 'number':
      return typedNumber(json, schema.type);
    default:
      if (isPreserving(schema)) return dynamicValue(json);
  }
  throw new EvaluationError(`invalid data, expected a ${schema.type ?? 'known type'}`);
}

function typedNumber(json: unknown, type: 'integer' | 'number'): Value {
  const text = json instanceof RawNumber ? json.text : undefined;
  if (typeof json !== 'number' && text === undefined) throw new EvaluationError(`invalid data, expected a ${type}`);
  if (type === 'number') return Number(text ?? json);
  if (text !== undefined && /^-?\d+$/.test(text)) return BigInt(text);
  const value = Number(text ?? json);
  if (!Number.isInteger(value)) throw new EvaluationError('invalid data, expected an integer');
  return BigInt(value);
}

function typedText(json: unknown, schema: RuleSchema): Value {
  if (typeof json !== 'string') throw new EvaluationError('invalid data, expected a string');
  switch (schema.format) {
    case 'byte':
      return Buffer.from(json, 'base64');
    case 'duration':
      return parseDuration(json);
    case 'date':
      return parseTimestamp(`${json}T00:00:00Z`);
    case 'date-time':
      return parseTimestamp(json);
    default:
      return json;
  }
}

function typedList(json: unknown, schema: RuleSchema): Value {
  if (!Array.isArray(json)) throw new EvaluationError('invalid data, expected an array');
  const { items } = schema;
  if (!items) throw new EvaluationError('invalid array type, expected Items with a non-empty Schema');
  return new JsonList(json, element => typedValue(element, items), listKindOf(schema));
}

function listKindOf(schema: RuleSchema): ListKind | undefined {
  if (schema['x-kubernetes-list-type'] === 'set') return { type: 'set' };
  const keys = schema['x-kubernetes-list-map-keys'];
  if (schema['x-kubernetes-list-type'] !== 'map' || !keys) return undefined;
  return {
    type: 'map',
    keyOf: element =>
      element instanceof JsonMap ? JSON.stringify(keys.map(key => element.json[key] ?? null)) : undefined,
  };
}

function typedObject(json: unknown, schema: RuleSchema): Value {
  if (!isObject(json)) throw new EvaluationError('invalid data, expected a map');
  if (schema['x-kubernetes-embedded-resource']) {
    return new JsonObject(json, withTypeAndMetadata(schema));
  }
  const { additionalProperties: values, properties } = schema;
  if (properties || !values) return new JsonObject(json, schema);
  if (values === true) return new JsonMap(json, dynamicValue);
  return new JsonMap(json, value => typedValue(value, values));
}

class JsonList implements ListValue {
  readonly isList = true;
  readonly json: readonly unknown[];
  readonly #convert: (json: unknown) => Value;
  readonly listKind?: ListKind;

  constructor(json: readonly unknown[], convert: (json: unknown) => Value, kind?: ListKind) {
    this.json = json;
    this.#convert = convert;
    if (kind) this.listKind = kind;
  }

  get size(): number {
    return this.json.length;
  }

  at(index: number): Value {
    return this.#convert(this.json[index]);
  }
}

class JsonMap implements MapValue {
  readonly isMap = true;
  readonly json: Json;
  readonly #convert: (json: unknown) => Value;
  #keys: readonly string[] | undefined;

  constructor(json: Json, convert: (json: unknown) => Value) {
    this.json = json;
    this.#convert = convert;
  }

  get size(): number {
    return this.keys().length;
  }

  get(key: Value): Value | undefined {
    if (typeof key !== 'string' || !Object.hasOwn(this.json, key)) return undefined;
    const value = this.json[key];
    return value === undefined ? undefined : this.#convert(value);
  }

  keys(): readonly string[] {
    this.#keys ??= Object.keys(this.json).filter(key => this.json[key] !== undefined);
    return this.#keys;
  }
}

/** An object of a schema: its fields go by their escaped names, and those that the schema does not name are not there. */
class JsonObject extends JsonMap {
  readonly objectName = 'object';
  readonly #fields: ReadonlyMap<string, readonly [string, RuleSchema]>;

  constructor(json: Json, schema: RuleSchema) {
    super(json, dynamicValue);
    this.#fields = fieldsOf(schema);
  }

  override get(key: Value): Value | undefined {
    const field = typeof key === 'string' ? this.#fields.get(fieldKey(this.#fields, key)) : undefined;
    if (!field || !Object.hasOwn(this.json, field[0])) return undefined;
    const value = this.json[field[0]];
    return value === undefined ? undefined : typedValue(value, field[1]);
  }

  override keys(): readonly string[] {
    return [...this.#fields].filter(([, [name]]) => this.json[name] !== undefined).map(([escaped]) => escaped);
  }
}

const fieldsBySchema = new WeakMap<RuleSchema, ReadonlyMap<string, readonly [string, RuleSchema]>>();
function fieldsOf(schema: RuleSchema): ReadonlyMap<string, readonly [string, RuleSchema]> {
  let fields = fieldsBySchema.get(schema);
  if (!fields) {
    const entries = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
      const escaped = escapeName(name);
      return escaped === undefined ? [] : [[escaped, [name, property]] as const];
    });
    fields = new Map(entries);
    fieldsBySchema.set(schema, fields);
  }
  return fields;
}
