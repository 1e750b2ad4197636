/**
 * Turns a schema into the form that the walker reads: one {@link StructType} a definition, made when first needed and then
 * shared. What a field is in Go (pointer, always written, its type's name) follows from these rules, unless go-fields.ts
 * says otherwise: a scalar with an empty default is always written, other scalars are left out when zero; a reference with
 * `default: {}` is a struct that is always there, one without is a pointer; lists and maps are left out when empty.
 */
import { definition, derivedFrom, referenceOf, type SchemaDefinition } from './definitions.ts';
import { GO_FIELDS } from './go-fields.ts';

/** The type of a value, with `go` as Go's messages name it. */
export type Type =
  | StructType
  | {
      readonly tag: 'list';
      readonly item: Type;
      readonly go: string;
      readonly isSet: boolean;
      readonly keys: readonly string[];
    }
  | { readonly tag: 'map'; readonly value: Type; readonly go: string }
  | { readonly tag: 'string'; readonly go: string }
  | { readonly tag: 'integer'; readonly bits: 32 | 64; readonly go: string }
  | { readonly tag: 'boolean'; readonly go: string }
  | { readonly tag: 'float'; readonly go: string }
  | { readonly tag: 'bytes'; readonly go: string }
  | { readonly tag: 'quantity'; readonly go: string }
  | { readonly tag: 'intOrString'; readonly go: string }
  | { readonly tag: 'time'; readonly go: string }
  | { readonly tag: 'microTime'; readonly go: string }
  /** A schema of a custom resource, or a list of such, or something simpler that stands in its place. */
  | { readonly tag: 'schemaOr'; readonly go: string }
  | { readonly tag: 'any'; readonly go: string };

/** An object with named fields. */
export interface StructType {
  readonly tag: 'struct';
  /** With the package: `v1.ObjectMeta`. */
  readonly go: string;
  /** Without it: `ObjectMeta`. */
  readonly name: string;
  readonly fields: ReadonlyMap<string, Field>;
  /** Fields that appear in every object, sent or not. */
  readonly constant: readonly Field[];
}

export interface Field {
  readonly name: string;
  readonly type: Type;
  /** A zero that was sent is kept. */
  readonly isPointer: boolean;
  /** Written even when empty. */
  readonly isAlways: boolean;
  /** Taken where nothing, or the empty value, was sent. */
  readonly default?: string | number | boolean;
}

const APIEXTENSIONS = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.';

/** The schema of a schema. */
export const JSON_SCHEMA_PROPS = `${APIEXTENSIONS}JSONSchemaProps`;

const SPECIAL: Readonly<Record<string, Type>> = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { tag: 'quantity', go: 'resource.Quantity' },
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': { tag: 'intOrString', go: 'intstr.IntOrString' },
  'io.k8s.apimachinery.pkg.apis.meta.v1.Time': { tag: 'time', go: 'string' },
  'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime': { tag: 'microTime', go: 'string' },
  [`${APIEXTENSIONS}JSONSchemaPropsOrArray`]: { tag: 'schemaOr', go: 'v1.JSONSchemaPropsOrArray' },
  [`${APIEXTENSIONS}JSONSchemaPropsOrBool`]: { tag: 'schemaOr', go: 'v1.JSONSchemaPropsOrBool' },
  [`${APIEXTENSIONS}JSONSchemaPropsOrStringArray`]: { tag: 'schemaOr', go: 'v1.JSONSchemaPropsOrStringArray' },
};

const compiled = new Map<string, StructType>();

/** The compiled form of a definition such as `io.k8s.api.core.v1.Pod`. */
export function structOf(name: string): StructType {
  const found = compiled.get(name);
  if (found) return found;
  const schema = definition(name);
  const fields = new Map<string, Field>();
  const constant: Field[] = [];
  const shortName = name.slice(name.lastIndexOf('.') + 1);
  const struct: StructType = { tag: 'struct', go: `v1.${shortName}`, name: shortName, fields, constant };
  // Registered before its fields are made: schemas refer to themselves.
  compiled.set(name, struct);
  const go = goFields(name);
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    const field = compileField(key, property, go.get(key));
    fields.set(key, field);
    if (field.isAlways || field.default !== undefined) constant.push(field);
  }
  return struct;
}

interface GoField {
  readonly flags: string;
  readonly type: string | undefined;
}

function goFields(name: string): Map<string, GoField> {
  const line = GO_FIELDS[name] ?? GO_FIELDS[derivedFrom(name) ?? ''] ?? '';
  const fields = new Map<string, GoField>();
  for (const word of line.split(' ')) {
    const match = /^([\w$-]+)([*&!?]*)(?:=(.*))?$/.exec(word);
    if (match) fields.set(match[1] ?? '', { flags: match[2] ?? '', type: match[3] });
  }
  return fields;
}

function compileField(name: string, schema: SchemaDefinition, go: GoField | undefined): Field {
  const flags = go?.flags ?? '';
  const isReference = schema.$ref !== undefined;
  const hasDefault = schema.default !== undefined;
  const isEmptyDefault = schema.default === '' || schema.default === 0 || schema.default === false;
  const isPointer = flags.includes('*') || (!flags.includes('&') && isReference && !hasDefault);
  const isAlways = flags.includes('!') || (!flags.includes('?') && hasDefault && (isReference || isEmptyDefault));
  const type = compileType(schema, go?.type);
  const value = schema.default;
  const isRealDefault =
    hasDefault &&
    !isEmptyDefault &&
    (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean');
  return { name, type, isPointer, isAlways, ...(isRealDefault && { default: value }) };
}

/** `Protocol` → `v1.Protocol`; built-in types and composites of them stay. */
function qualify(go: string): string {
  if (/^(string|bool|u?int(8|16|32|64)?|float64)$/.test(go) || go.includes('.') || go.startsWith('map[')) return go;
  const list = /^\[\](.*)$/.exec(go);
  return list ? `[]${qualify(list[1] ?? '')}` : `v1.${go}`;
}

function compileType(schema: SchemaDefinition, goType: string | undefined): Type {
  const name = referenceOf(schema);
  const go = goType === undefined ? undefined : qualify(goType);
  if (name !== undefined) {
    const special = SPECIAL[name];
    if (special) return special;
    const target = definition(name);
    return target.properties ? structOf(name) : { tag: 'any', go: `v1.${name.slice(name.lastIndexOf('.') + 1)}` };
  }
  if (schema.oneOf) return { tag: 'intOrString', go: 'intstr.IntOrString' };
  switch (schema.type) {
    case 'string':
      return schema.format === 'byte' ? { tag: 'bytes', go: '[]uint8' } : { tag: 'string', go: go ?? 'string' };
    case 'integer': {
      const bits = schema.format === 'int32' ? 32 : 64;
      return { tag: 'integer', bits, go: go ?? `int${bits}` };
    }
    case 'number':
      return { tag: 'float', go: go ?? 'float64' };
    case 'boolean':
      return { tag: 'boolean', go: go ?? 'bool' };
    case 'array': {
      const item = schema.items
        ? compileType(schema.items, goType?.startsWith('[]') ? goType.slice(2) : undefined)
        : ANY;
      return {
        tag: 'list',
        item,
        go: go ?? `[]${item.go}`,
        isSet: schema['x-kubernetes-list-type'] === 'set',
        keys: schema['x-kubernetes-list-map-keys'] ?? [],
      };
    }
    case 'object': {
      if (!schema.additionalProperties) return ANY;
      const value = compileType(schema.additionalProperties, undefined);
      return { tag: 'map', value, go: go ?? `map[string]${value.go}` };
    }
    default:
      return ANY;
  }
}

const ANY: Type = { tag: 'any', go: 'interface {}' };
