/** An object without some of its fields and items (typed/remove.go has the rules). What is one value goes whole or not at all. */
import { isObject, type JsonObject, setOwn } from '../patch/json.ts';
import type { FieldSet } from './field-set.ts';
import { fieldElement } from './path-element.ts';
import type { FieldType, ListType, MapType } from './types.ts';
import { elementOf, formOf } from './values.ts';

/** Gives null for a map or list of which nothing is left. The input stays as it is. */
export function removeFields(type: FieldType, value: unknown, fields: FieldSet): unknown {
  const form = formOf(type, value);
  if (form === 'map' && isObject(value) && type.map) return removeFromMap(type.map, value, fields);
  if (form === 'list' && Array.isArray(value) && type.list) return removeFromList(type.list, value, fields);
  return value;
}

function removeFromMap(type: MapType, map: JsonObject, fields: FieldSet): JsonObject | null {
  const keys = Object.keys(map);
  if (type.isAtomic || keys.length === 0) return map;
  const left: JsonObject = {};
  let count = 0;
  for (const key of keys) {
    const step = fieldElement(key);
    if (fields.members.has(step)) continue;
    const below = fields.children.get(step);
    const field = below && type.typeOf(key);
    setOwn(left, key, field ? removeFields(field, map[key], below) : map[key]);
    count++;
  }
  return count > 0 ? left : null;
}

function removeFromList(type: ListType, items: readonly unknown[], fields: FieldSet): readonly unknown[] | null {
  if (!type.isAssociative || items.length === 0) return items;
  const left: unknown[] = [];
  for (const item of items) {
    const step = elementOf(type, item);
    if (step !== undefined && fields.members.has(step)) continue;
    const below = step === undefined ? undefined : fields.children.get(step);
    left.push(below ? removeFields(type.item(), item, below) : item);
  }
  return left.length > 0 ? left : null;
}
