/**
 * The schemas of custom resources as expressions see them: which fields there are, of which type, how large they may
 * get. Facts: apiserver/pkg/cel/common/schemas.go, pkg/cel/escaping.go.
 */
import { REQUEST_BYTES_MAX } from './limits.ts';
import { BOOL, BYTES, DOUBLE, DURATION, DYN, INT, listOf, mapOf, STRING, TIMESTAMP, type Type } from './types.ts';

/** A schema of a CustomResourceDefinition in its JSON form, as far as expressions look at it. */
export interface RuleSchema {
  readonly type?: string;
  readonly format?: string;
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, RuleSchema>>;
  readonly additionalProperties?: boolean | RuleSchema;
  readonly items?: RuleSchema;
  readonly allOf?: readonly RuleSchema[];
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
}

/** apiextensions.k8s.io/v1 ValidationRule. */
export interface ValidationRule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

/** What expressions know of the values at one place of a schema. */
export interface SchemaType {
  readonly type: Type;
  /** The most elements, characters or bytes. */
  readonly sizeMax: bigint;
  /** The fewest bytes that a value takes in JSON. */
  readonly bytesMin: number;
  readonly element?: SchemaType;
  readonly key?: SchemaType;
  readonly fields?: ReadonlyMap<string, SchemaType>;
}

/** What has no size counts for nothing in estimates, and so do the keys of maps: Kubernetes has it so. */
const simple = (type: Type, bytesMin: number, sizeMax = 0n): SchemaType => ({ type, bytesMin, sizeMax });
const BOOLEAN = simple(BOOL, 4);
const INTEGER = simple(INT, 1);
const NUMBER = simple(DOUBLE, 1);
const EMPTY_TEXT_BYTES = 2;
const REQUEST_TEXT_MAX = BigInt(REQUEST_BYTES_MAX - 2);
const KEY = simple(STRING, EMPTY_TEXT_BYTES);
/** Bytes of the shortest and the longest texts of some formats, in JSON. */
const DATE_BYTES = 12;
const DATE_TIME_BYTES_MIN = 22;
const DATE_TIME_BYTES_MAX = 37n;
const DURATION_BYTES_MIN = 4;
const DURATION_BYTES_MAX = 32n;

const atLeastZero = (value: number): bigint => BigInt(Math.max(0, Math.trunc(value)));

export const isPreserving = (schema: RuleSchema): boolean => schema['x-kubernetes-preserve-unknown-fields'] === true;

/** The type of values of that schema; undefined if expressions are not to see them. */
export function schemaType(given: RuleSchema, isResourceRoot: boolean): SchemaType | undefined {
  if (given['x-kubernetes-int-or-string']) {
    const sizeMax = given.maxLength === undefined ? REQUEST_TEXT_MAX : atLeastZero(given.maxLength) * 4n;
    return simple(DYN, 1, sizeMax);
  }
  const schema = isResourceRoot ? withTypeAndMetadata(given) : given;
  switch (schema.type) {
    case 'array':
      return arrayType(schema);
    case 'object':
      return typeof schema.additionalProperties === 'object' ? mapType(schema) : objectType(schema);
    case 'string':
      return textType(schema);
    case 'boolean':
      return BOOLEAN;
    case 'number':
      return NUMBER;
    case 'integer':
      return INTEGER;
    default:
      return undefined;
  }
}

function arrayType({ items, maxItems }: RuleSchema): SchemaType | undefined {
  const element = items && schemaType(items, items['x-kubernetes-embedded-resource'] === true);
  if (!element) return undefined;
  const sizeMax =
    maxItems === undefined
      ? BigInt(Math.floor((REQUEST_BYTES_MAX - 2) / (element.bytesMin + 1)))
      : atLeastZero(maxItems);
  return { type: listOf(element.type), sizeMax, bytesMin: 2, element };
}

function mapType({ additionalProperties: values, maxProperties }: RuleSchema): SchemaType | undefined {
  if (typeof values !== 'object') return undefined;
  const element = schemaType(values, values['x-kubernetes-embedded-resource'] === true);
  if (!element) return undefined;
  // A key's quotes, a colon, a comma and the smallest value.
  const entryBytes = element.bytesMin + 6;
  const sizeMax =
    maxProperties === undefined ? BigInt(Math.floor((REQUEST_BYTES_MAX - 2) / entryBytes)) : atLeastZero(maxProperties);
  return { type: mapOf(STRING, element.type), sizeMax, bytesMin: 2, element, key: KEY };
}

function objectType(schema: RuleSchema): SchemaType {
  const fields = new Map<string, SchemaType>();
  let bytesMin = 2;
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const field = schemaType(property, property['x-kubernetes-embedded-resource'] === true);
    if (!field) continue;
    const escaped = escapeName(name);
    if (escaped !== undefined) fields.set(escaped, field);
    if (schema.required?.includes(name) && property.default === undefined) bytesMin += name.length + field.bytesMin + 4;
  }
  const type: Type = { kind: 'object', name: 'object', field: name => fields.get(fieldKey(fields, name))?.type };
  return { type, sizeMax: 0n, bytesMin, fields };
}

function textType(schema: RuleSchema): SchemaType {
  const { maxLength, format } = schema;
  switch (format) {
    case 'byte':
      return simple(BYTES, EMPTY_TEXT_BYTES, maxLength === undefined ? REQUEST_TEXT_MAX : atLeastZero(maxLength));
    case 'duration':
      return simple(DURATION, DURATION_BYTES_MIN, DURATION_BYTES_MAX);
    case 'date':
      return simple(TIMESTAMP, DATE_BYTES, BigInt(DATE_BYTES));
    case 'date-time':
      return simple(TIMESTAMP, DATE_TIME_BYTES_MIN, DATE_TIME_BYTES_MAX);
    default:
  }
  // Lengths are told in code points, sizes in bytes.
  if (maxLength !== undefined) return simple(STRING, EMPTY_TEXT_BYTES, atLeastZero(maxLength) * 4n);
  if (schema.enum && schema.enum.length > 0) {
    const lengths = schema.enum.map(value => (typeof value === 'string' ? Buffer.byteLength(value) : 0));
    return simple(STRING, EMPTY_TEXT_BYTES, BigInt(Math.max(...lengths)));
  }
  return simple(STRING, EMPTY_TEXT_BYTES, REQUEST_TEXT_MAX);
}

const TEXT: RuleSchema = { type: 'string' };
const METADATA: RuleSchema = { type: 'object', properties: { name: TEXT, generateName: TEXT } };
const completed = new WeakMap<RuleSchema, RuleSchema>();

/** The schema of a resource, with the fields that every resource has. Of metadata only the names are seen. */
export function withTypeAndMetadata(schema: RuleSchema): RuleSchema {
  let result = completed.get(schema);
  if (!result) {
    const properties = { ...schema.properties, kind: TEXT, apiVersion: TEXT, metadata: METADATA };
    result = { ...schema, type: schema.type ?? 'object', properties };
    completed.set(schema, result);
  }
  return result;
}

const RESERVED: ReadonlySet<string> = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);
const ESCAPES: Readonly<Record<string, string>> = { '.': '__dot__', '-': '__dash__', '/': '__slash__' };

/** How expressions call a property: `__namespace__`, `a__dash__b`. Undefined if they cannot. */
export function escapeName(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  if (!/^[a-zA-Z_][a-zA-Z0-9_./-]*$/.test(name)) return undefined;
  return name.replaceAll(/__|[./-]/g, part => ESCAPES[part] ?? '__underscores__');
}

/** Where a field is found: words of the language need no underscores where only a field can stand. */
export const fieldKey = (fields: ReadonlyMap<string, unknown>, name: string): string =>
  !fields.has(name) && RESERVED.has(name) ? `__${name}__` : name;

/** How often the values of a place can occur in one object at most, where nothing else bounds them. */
export const cardinalityMax = (bytesMin: number): bigint => BigInt(Math.floor(REQUEST_BYTES_MAX / (bytesMin + 1)));
