/** What the walkers over typed values share: which form of a type a value has, and what tells the items of a list apart. */
import { isObject, own } from '../patch/json.ts';
import { keyElement, valueElement } from './path-element.ts';
import type { FieldType, ListType } from './types.ts';

/** Which form of `type` the value takes. One that fits none, and null, take the first that there is. */
export function formOf(type: FieldType, value: unknown): 'scalar' | 'list' | 'map' {
  if (value !== null && value !== undefined) {
    if (typeof value !== 'object') {
      if (type.scalar) return 'scalar';
    } else if (Array.isArray(value)) {
      if (type.list) return 'list';
    } else if (type.map) return 'map';
  }
  if (type.map) return 'map';
  return type.scalar ? 'scalar' : 'list';
}

/** The step that leads to an item of an associative list; undefined where {@link whyNoElement} tells why. */
export function elementOf(list: ListType, item: unknown): string | undefined {
  if (list.keys.length === 0) return typeof item === 'object' || item === undefined ? undefined : valueElement(item);
  if (!isObject(item)) return undefined;
  const [only] = list.keys;
  if (list.keys.length === 1 && only) {
    const value = own(item, only.name) ?? only.default;
    return value === undefined ? undefined : keyElement([[only.name, value]]);
  }
  const entries: [string, unknown][] = [];
  for (const key of list.keys) {
    const value = own(item, key.name) ?? key.default;
    if (value === undefined) return undefined;
    entries.push([key.name, value]);
  }
  return keyElement(entries);
}

export function whyNoElement(list: ListType, item: unknown): string {
  if (list.keys.length === 0) {
    if (item === null) return "associative list without keys has an element that's an explicit null";
    return Array.isArray(item)
      ? 'not supported: associative list with lists as elements'
      : "associative list without keys has an element that's a map type";
  }
  if (item === null) return 'associative list with keys may not have a null element';
  if (!isObject(item)) return 'associative list with keys may not have non-map elements';
  const missing = list.keys.find(({ name, default: value }) => (own(item, name) ?? value) === undefined);
  return `associative list with keys has an element that omits key field ${JSON.stringify(missing?.name)} (and doesn't have default value)`;
}

/** The items of an associative list under their steps, in order; items that come twice share one. Others are left out. */
export function itemsByElement(list: ListType, items: readonly unknown[]): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>();
  for (const item of items) {
    const element = elementOf(list, item);
    if (element === undefined) continue;
    const same = found.get(element);
    if (same) same.push(item);
    else found.set(element, [item]);
  }
  return found;
}
