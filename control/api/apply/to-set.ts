/** The fields that an applied object names: what its applier owns from then on (typed/tofieldset.go has the rules). */
import { isObject, type JsonObject } from '../patch/json.ts';
import { FieldSet } from './field-set.ts';
import { fieldElement } from './path-element.ts';
import type { FieldType, ListType, MapType } from './types.ts';
import { formOf, itemsByElement } from './values.ts';

export function fieldsOf(type: FieldType, value: unknown): FieldSet {
  const set = new FieldSet();
  collect(type, value, { set, parent: undefined, step: '' });
  return set;
}

/** Where the walk is: `set` takes what is below, and `step` in `parent` is the place itself. */
interface Place {
  readonly set: FieldSet;
  readonly parent: FieldSet | undefined;
  readonly step: string;
}

function collect(type: FieldType, value: unknown, place: Place): void {
  const form = formOf(type, value);
  if (form === 'map' && type.map && !type.map.isAtomic) {
    if (isObject(value)) collectMap(type.map, value, place.set);
  } else if (form === 'list' && type.list?.isAssociative) {
    if (Array.isArray(value)) collectList(type.list, value, place.set);
  } else place.parent?.members.add(place.step);
}

function collectMap(type: MapType, map: JsonObject, set: FieldSet): void {
  for (const key of Object.keys(map)) {
    const step = fieldElement(key);
    const value = map[key];
    const field = type.typeOf(key);
    if (field) collectBelow(field, value, { set, step });
    const isEmptyMap = isObject(value) && Object.keys(value).length === 0;
    if (value === null || isEmptyMap || !type.hasField(key)) set.members.add(step);
  }
}

function collectList(type: ListType, items: readonly unknown[], set: FieldSet): void {
  for (const [step, same] of itemsByElement(type, items)) {
    // Items that cannot be told apart are owned as they are, not field by field.
    if (same.length === 1) collectBelow(type.item(), same[0], { set, step });
    set.members.add(step);
  }
}

function collectBelow(type: FieldType, value: unknown, { set, step }: { set: FieldSet; step: string }): void {
  const child = new FieldSet();
  collect(type, value, { set: child, parent: set, step });
  if (!child.isEmpty) set.children.set(step, child);
}
