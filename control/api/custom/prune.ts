/**
 * Takes away from a custom resource what its schema does not know, and nulls where there may be none
 * (apiextensions-apiserver pkg/apiserver/schema/pruning and defaulting). Works in place, on a private copy.
 */
import {
  isJsonObject,
  itemsOf,
  type JsonObject,
  type JsonSchema,
  META_FIELDS,
  propertyOf,
  valuesOf,
} from './schema.ts';

/** Tells the path of each field that went: `spec.list[0].name`. */
export type OnUnknown = (path: string) => void;

/** Prunes a whole object: kind, apiVersion and metadata stay, whether the schema tells them or not. */
export function pruneObject(object: JsonObject, schema: JsonSchema, onUnknown?: OnUnknown): void {
  prune(object, { ...schema, 'x-kubernetes-embedded-resource': true }, { path: '', onUnknown });
}

interface Place {
  readonly path: string;
  readonly onUnknown: OnUnknown | undefined;
}
const below = ({ path, onUnknown }: Place, key: string): Place =>
  ({
    path: onUnknown && (path === '' ? key : `${path}.${key}`),
    onUnknown,
  }) as Place;
const at = ({ path, onUnknown }: Place, index: number): Place => ({ path: `${path}[${index}]`, onUnknown });

function prune(value: unknown, schema: JsonSchema | undefined, place: Place): void {
  const keepsUnknown = schema?.['x-kubernetes-preserve-unknown-fields'] === true;
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (keepsUnknown && items === undefined) return;
    // A list that keeps what it does not know has items that do.
    const shown = items && keepsUnknown ? { ...items, 'x-kubernetes-preserve-unknown-fields': true } : items;
    for (const [index, item] of value.entries()) prune(item, shown, at(place, index));
  } else if (isJsonObject(value)) pruneMap(value, schema, { place, keepsUnknown });
}

function pruneMap(
  map: JsonObject,
  schema: JsonSchema | undefined,
  { place, keepsUnknown }: { readonly place: Place; readonly keepsUnknown: boolean },
): void {
  const isResource = schema?.['x-kubernetes-embedded-resource'] === true;
  for (const key of Object.keys(map)) {
    if (isResource && META_FIELDS.has(key)) continue;
    const field = propertyOf(schema, key);
    if (field) prune(map[key], field, below(place, key));
    // Values of which nothing is told (`additionalProperties: true`) may be scalars or empty, as in Kubernetes.
    else if (schema?.additionalProperties !== undefined) prune(map[key], valuesOf(schema), below(place, key));
    else if (!keepsUnknown) {
      place.onUnknown?.(place.path === '' ? key : `${place.path}.${key}`);
      delete map[key];
    }
  }
}

/** Takes away nulls of fields that may not be null and have no default to take their place. */
export function pruneNulls(value: unknown, schema: JsonSchema | undefined): void {
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    for (const item of value) pruneNulls(item, items);
  } else if (isJsonObject(value)) {
    for (const key of Object.keys(value)) {
      const field = propertyOf(schema, key) ?? valuesOf(schema);
      const isOut = value[key] === null && field !== undefined && !field.nullable && field.default === undefined;
      if (isOut) delete value[key];
      else pruneNulls(value[key], field);
    }
  }
}
