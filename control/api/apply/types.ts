/**
 * What a merge has to know of a schema: which lists and maps are merged item by item, by which keys, and which are one
 * value. Compiled from the schema facts when first needed and then shared (kube-openapi's schemaconv has the same rules).
 */
import { definition, referenceOf, type SchemaDefinition } from '../schema/definitions.ts';

export type ScalarKind = 'numeric' | 'string' | 'boolean' | 'any';

/** A type may allow several forms; which one holds is decided by the value. */
export interface FieldType {
  readonly scalar?: ScalarKind;
  readonly list?: ListType;
  readonly map?: MapType;
}

export interface ListType {
  /** Items have owners of their own; false: the list is one value. */
  readonly isAssociative: boolean;
  /** Fields that tell the items apart; none: the item itself does. */
  readonly keys: readonly { readonly name: string; readonly default: unknown }[];
  item(): FieldType;
}

export interface MapType {
  /** The map is one value. */
  readonly isAtomic: boolean;
  /** True for the fields of a struct, as opposed to free keys. */
  hasField(name: string): boolean;
  /** The type of a field or of a free key's value; undefined where the schema knows no such field. */
  typeOf(name: string): FieldType | undefined;
}

/** Schemas of custom resources say more than those of built-in kinds. */
export interface FieldSchema extends Omit<SchemaDefinition, 'properties' | 'items' | 'additionalProperties'> {
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly items?: FieldSchema;
  readonly additionalProperties?: FieldSchema | boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
}

/** A value of which nothing is known: maps are merged, lists are one value. */
const DEDUCED: FieldType = {
  scalar: 'any',
  list: { isAssociative: false, keys: [], item: () => DEDUCED },
  map: { isAtomic: false, hasField: () => false, typeOf: () => DEDUCED },
};
/** A value of which nothing is known and that is one value. */
const OPAQUE: FieldType = {
  scalar: 'any',
  list: { isAssociative: false, keys: [], item: () => OPAQUE },
  map: { isAtomic: true, hasField: () => false, typeOf: () => OPAQUE },
};

const SPECIAL: Readonly<Record<string, FieldType>> = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': { scalar: 'any' },
  'io.k8s.apimachinery.pkg.runtime.RawExtension': OPAQUE,
};
const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

const ofDefinition = new Map<string, FieldType>();
const ofSchema = new WeakMap<object, FieldType>();

/** The type of a built-in kind or struct, by its schema's name. */
export function typeOfDefinition(name: string): FieldType {
  let type = ofDefinition.get(name) ?? SPECIAL[name];
  if (!type) {
    type = compile(definition(name) as FieldSchema, false); // a v2 schema has no truth value where a schema is meant
    ofDefinition.set(name, type);
  }
  return type;
}

/** The type of a custom resource by its version's schema; undefined stands for a version without one. */
export function typeOfCustomResource(schema: FieldSchema | undefined): FieldType {
  const known = schema && ofSchema.get(schema);
  if (known) return known;
  const type = withObjectFields(schema ? compile(schema, false) : DEDUCED);
  if (schema) ofSchema.set(schema, type);
  return type;
}

const TEXT: FieldType = { scalar: 'string' };

/** Every object has these, whether its schema tells them or not. */
function withObjectFields(type: FieldType): FieldType {
  const { map } = type;
  if (!map) return type;
  const own: Readonly<Record<string, () => FieldType>> = {
    apiVersion: () => TEXT,
    kind: () => TEXT,
    metadata: () => typeOfDefinition(OBJECT_META),
  };
  const isOwn = (name: string) => Object.hasOwn(own, name);
  return {
    map: {
      isAtomic: false,
      hasField: name => isOwn(name) || map.hasField(name),
      typeOf: name => (isOwn(name) ? own[name]?.() : map.typeOf(name)),
    },
  };
}

function typeOfSchema(schema: FieldSchema, isOpen: boolean): FieldType {
  const name = referenceOf(schema as SchemaDefinition); // only $ref is read
  if (name === undefined) return compile(schema, isOpen);
  const type = typeOfDefinition(name);
  const mapType = schema['x-kubernetes-map-type'];
  return mapType && type.map ? { ...type, map: { ...type.map, isAtomic: mapType === 'atomic' } } : type;
}

/** `isOpen`: unknown fields are kept from here on. */
function compile(schema: FieldSchema, isOpen: boolean): FieldType {
  const keepsUnknown = schema['x-kubernetes-preserve-unknown-fields'] ?? isOpen;
  switch (schema.type) {
    case 'object': {
      const map = compileMap(schema, keepsUnknown);
      return schema['x-kubernetes-embedded-resource'] ? withObjectFields({ map }) : { map };
    }
    case 'array':
      return { list: compileList(schema, keepsUnknown) };
    case 'integer':
    case 'number':
      return { scalar: 'numeric' };
    case 'boolean':
    case 'string':
      return { scalar: schema.type };
    default:
      return { scalar: 'any', list: compileList(schema, keepsUnknown), map: compileMap(schema, keepsUnknown) };
  }
}

function compileMap(schema: FieldSchema, isOpen: boolean): MapType {
  const fields = lazyFields(schema.properties ?? {}, isOpen);
  const { additionalProperties: rest } = schema;
  const isFree = rest === undefined ? isOpen || Object.keys(schema.properties ?? {}).length === 0 : rest === true;
  const free = once(() => (typeof rest === 'object' ? typeOfSchema(rest, isOpen) : isFree ? DEDUCED : undefined));
  return {
    isAtomic: schema['x-kubernetes-map-type'] === 'atomic',
    hasField: name => fields.has(name),
    typeOf: name => (fields.get(name) ?? free)(),
  };
}

function lazyFields(properties: Readonly<Record<string, FieldSchema>>, isOpen: boolean) {
  const fields = new Map<string, () => FieldType>();
  for (const [name, property] of Object.entries(properties)) {
    fields.set(
      name,
      once(() => typeOfSchema(property, isOpen)),
    );
  }
  return fields;
}

function compileList(schema: FieldSchema, isOpen: boolean): ListType {
  const { items } = schema;
  const isAssociative = isMergedList(schema);
  const mergeKey = schema['x-kubernetes-patch-merge-key'];
  const names = schema['x-kubernetes-list-type']
    ? (schema['x-kubernetes-list-map-keys'] ?? [])
    : mergeKey
      ? [mergeKey]
      : [];
  const keys = isAssociative ? names.map(name => ({ name, default: defaultOf(items, name) })) : [];
  return { isAssociative, keys, item: once(() => (items ? typeOfSchema(items, isOpen) : DEDUCED)) };
}

function isMergedList(schema: FieldSchema): boolean {
  const listType = schema['x-kubernetes-list-type'];
  if (listType) return listType !== 'atomic';
  return /^merge\b/.test(schema['x-kubernetes-patch-strategy'] ?? '');
}

function defaultOf(items: FieldSchema | undefined, name: string): unknown {
  const reference = items && referenceOf(items as SchemaDefinition); // only $ref is read
  const schema = reference === undefined ? items : definition(reference);
  return schema?.properties?.[name]?.default;
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
