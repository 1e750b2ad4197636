/**
 * The schema of a custom resource as its definition has it (apiextensions.k8s.io/v1 JSONSchemaProps), and the small
 * questions that everybody asks of it. A schema that has passed validation is structural (KEP-20190603): every value that
 * is judged has a type in one place.
 */
import type { ValidationRule } from '../cel/index.ts';

/** One node of a schema. Read-only: the same node is shared by all that work with a version. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly $schema?: string;
  readonly id?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly format?: string;
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly example?: unknown;
  readonly externalDocs?: unknown;
  readonly enum?: readonly unknown[];
  readonly maximum?: number;
  readonly exclusiveMaximum?: boolean;
  readonly minimum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly multipleOf?: number;
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly maxItems?: number;
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly maxProperties?: number;
  readonly minProperties?: number;
  readonly required?: readonly string[];
  readonly items?: JsonSchema | readonly JsonSchema[];
  readonly additionalItems?: JsonSchema | boolean;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly definitions?: Readonly<Record<string, JsonSchema>>;
  readonly dependencies?: Readonly<Record<string, JsonSchema | readonly string[]>>;
  readonly allOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly not?: JsonSchema;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
}

export type JsonObject = Record<string, unknown>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The schema of a list's items, where there is one for all. */
export function itemsOf(schema: JsonSchema | undefined): JsonSchema | undefined {
  const items = schema?.items;
  return isSchema(items) ? items : undefined;
}

/** The schema of a map's values, where there is one. */
export function valuesOf(schema: JsonSchema | undefined): JsonSchema | undefined {
  const values = schema?.additionalProperties;
  return typeof values === 'object' ? values : undefined;
}

/** The schema of one field, never what a prototype holds. */
export function propertyOf(schema: JsonSchema | undefined, name: string): JsonSchema | undefined {
  const properties = schema?.properties;
  return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
}

function isSchema(items: JsonSchema['items']): items is JsonSchema {
  return items !== undefined && !Array.isArray(items);
}

/** What every object has, whether its schema tells it or not. */
export const META_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

/** The words of a schema that only people read: most of a large definition, and nothing that a write needs. */
const FOR_PEOPLE: ReadonlySet<string> = new Set(['description', 'title', 'example', 'externalDocs']);
/** Under these, keys are names and no words of the schema. */
const MAPS_OF_SCHEMAS: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  'definitions',
  'dependencies',
]);
/** Values of the resource, which look like anything. */
const VALUES: ReadonlySet<string> = new Set(['default', 'enum', 'required', 'x-kubernetes-validations']);

/** The schema without what is only for people, as a copy. */
export function withoutProse(schema: JsonSchema): JsonSchema {
  const kept: JsonObject = {};
  for (const [key, value] of Object.entries(schema)) {
    if (FOR_PEOPLE.has(key)) continue;
    if (VALUES.has(key) || typeof value !== 'object' || value === null) kept[key] = value;
    else if (MAPS_OF_SCHEMAS.has(key)) {
      kept[key] = Object.fromEntries(Object.entries(value as JsonObject).map(([name, one]) => [name, copy(one)]));
    } else kept[key] = Array.isArray(value) ? value.map(copy) : copy(value);
  }
  return kept as JsonSchema;
}
const copy = (value: unknown): unknown => (isJsonObject(value) ? withoutProse(value as JsonSchema) : value);

/** True if `holds` is true of the schema or of any schema in it. */
export function someSchema(schema: JsonSchema | undefined, holds: (schema: JsonSchema) => boolean): boolean {
  if (schema === undefined) return false;
  if (holds(schema)) return true;
  return schemasIn(schema).some(inner => someSchema(inner, holds));
}

/** The schemas directly within one. */
function schemasIn(schema: JsonSchema): JsonSchema[] {
  const { items, additionalItems, additionalProperties, not } = schema;
  const single = [additionalItems, additionalProperties, not].filter(inner => typeof inner === 'object');
  const lists = [schema.allOf, schema.anyOf, schema.oneOf].flatMap(list => list ?? []);
  const maps = [schema.properties, schema.patternProperties, schema.definitions, schema.dependencies];
  const named = maps
    .flatMap(map => Object.values(map ?? {}))
    .filter((inner): inner is JsonSchema => isJsonObject(inner));
  const ofItems = items === undefined ? [] : Array.isArray(items) ? (items as JsonSchema[]) : [items as JsonSchema];
  return [...ofItems, ...lists, ...single, ...named];
}
