/** Items of sets and of lists with keys must differ (apiextensions-apiserver pkg/apiserver/schema/listtype). */
import type { FieldError } from '../status.ts';
import { invalidText } from '../validation/errors.ts';
import { goSyntax, shownValue } from './json-value.ts';
import { isJsonObject, itemsOf, type JsonObject, type JsonSchema, propertyOf, valuesOf } from './schema.ts';

/** Tells each item that is there twice, once. */
export function validateListTypes(object: JsonObject, schema: JsonSchema, path = ''): FieldError[] {
  const values = valuesOf(schema);
  return Object.entries(object).flatMap(([key, value]) => {
    const field = propertyOf(schema, key);
    if (field) return inValue(value, field, path === '' ? key : `${path}.${key}`);
    return values ? inValue(value, values, `${path}[${key}]`) : [];
  });
}

function inValue(value: unknown, schema: JsonSchema, path: string): FieldError[] {
  if (Array.isArray(value)) return inList(value, schema, path);
  return isJsonObject(value) ? validateListTypes(value, schema, path) : [];
}

function inList(list: readonly unknown[], schema: JsonSchema, path: string): FieldError[] {
  const items = itemsOf(schema);
  return [
    ...repeated(list, schema, path),
    ...(items ? list.flatMap((item, index) => inValue(item, items, `${path}[${index}]`)) : []),
  ];
}

function repeated(list: readonly unknown[], schema: JsonSchema, path: string): FieldError[] {
  switch (schema['x-kubernetes-list-type']) {
    case 'set':
      return repetitions(list, path, shownValue);
    case 'map': {
      const wrong = list.findIndex(item => item !== null && !isJsonObject(item));
      if (wrong >= 0) {
        const shown = shownValue(list[wrong]);
        return [invalidText(`${path}[${wrong}]`, shown, 'must be an object for an array of list-type map')];
      }
      const keys = schema['x-kubernetes-list-map-keys'] ?? [];
      return repetitions(
        list.map(item => keysOf(item, keys)),
        path,
        goSyntax,
      );
    }
    default:
      return [];
  }
}

/** The key fields that an item has. */
function keysOf(item: unknown, keys: readonly string[]): JsonObject {
  if (!isJsonObject(item)) return {};
  return Object.fromEntries(keys.filter(key => Object.hasOwn(item, key)).map(key => [key, item[key]]));
}

function repetitions(list: readonly unknown[], path: string, show: (value: unknown) => string): FieldError[] {
  if (list.length < 2) return [];
  const seen = new Map<string, number>();
  return list.flatMap((item, index) => {
    const name = JSON.stringify(sorted(item));
    const times = seen.get(name) ?? 0;
    seen.set(name, times + 1);
    if (times !== 1) return [];
    return [{ type: 'FieldValueDuplicate', field: `${path}[${index}]`, message: `Duplicate value: ${show(item)}` }];
  });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  const keys = Object.keys(value).sort();
  return keys.map(key => [key, sorted(value[key])]);
}
