/** Fills in a custom resource's defaults (apiextensions-apiserver pkg/apiserver/schema/defaulting/algorithm.go). */
import { isJsonObject, itemsOf, type JsonSchema, propertyOf, valuesOf } from './schema.ts';

/** In place, on a private copy. A null where there may be none counts as missing. */
export function applyDefaults(value: unknown, schema: JsonSchema | undefined): void {
  if (schema === undefined) return;
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    value.forEach((item, index) => {
      if (isWrongNull(item, items)) value[index] = copyOfDefault(items);
      applyDefaults(value[index], items);
    });
  } else if (isJsonObject(value)) {
    for (const [key, field] of Object.entries(schema.properties ?? {})) {
      if (field.default === undefined) continue;
      if (!Object.hasOwn(value, key) || isWrongNull(value[key], field)) value[key] = copyOfDefault(field);
    }
    const values = valuesOf(schema);
    for (const key of Object.keys(value)) {
      const field = propertyOf(schema, key);
      if (!field && isWrongNull(value[key], values)) value[key] = copyOfDefault(values);
      applyDefaults(value[key], field ?? values);
    }
  }
}

const isWrongNull = (value: unknown, schema: JsonSchema | undefined): boolean =>
  value === null && schema !== undefined && !schema.nullable;

const copyOfDefault = (schema: JsonSchema | undefined): unknown => structuredClone(schema?.default ?? null);
