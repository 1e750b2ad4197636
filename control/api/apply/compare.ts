/**
 * Which fields differ between two states of an object (typed/compare.go has the rules). Fields that were added and fields
 * that were modified are one set: nobody asks for them apart.
 */
import { isObject, type JsonObject, own } from '../patch/json.ts';
import { isEqual } from '../schema/equal.ts';
import { FieldSet } from './field-set.ts';
import { fieldElement } from './path-element.ts';
import type { FieldType, ListType } from './types.ts';
import { formOf, itemsByElement } from './values.ts';

export interface Comparison {
  /** Added or modified. */
  readonly changed: FieldSet;
  readonly removed: FieldSet;
}

export function compare(type: FieldType, before: unknown, after: unknown): Comparison {
  const root = new Place(undefined, '');
  compareValues(type, { before, after }, root);
  return { changed: root.changed ?? FieldSet.EMPTY, removed: root.removed ?? FieldSet.EMPTY };
}

export const isSame = ({ changed, removed }: Comparison): boolean => changed.isEmpty && removed.isEmpty;

/** A place in both states. Its sets come to be only where something differs. */
class Place {
  readonly #parent: Place | undefined;
  readonly #step: string;
  changed: FieldSet | undefined;
  removed: FieldSet | undefined;

  constructor(parent: Place | undefined, step: string) {
    this.#parent = parent;
    this.#step = step;
  }

  markChanged(): void {
    this.#parent?.changedHere().members.add(this.#step);
  }

  markRemoved(): void {
    this.#parent?.removedHere().members.add(this.#step);
  }

  changedHere(): FieldSet {
    this.changed ??= this.#parent ? this.#parent.changedHere().below(this.#step) : new FieldSet();
    return this.changed;
  }

  removedHere(): FieldSet {
    this.removed ??= this.#parent ? this.#parent.removedHere().below(this.#step) : new FieldSet();
    return this.removed;
  }
}

/** The two states of one field; undefined where there is none. */
interface Pair {
  readonly before: unknown;
  readonly after: unknown;
}

function compareValues(type: FieldType, pair: Pair, place: Place): void {
  const { before, after } = pair;
  if (before === after) return;
  const formBefore = formOf(type, before);
  const formAfter = formOf(type, after);
  if (after === undefined) compareAs(formBefore, type, { pair, place });
  else {
    // A value that changed its form differs in the fields of both.
    if (before !== undefined && formBefore !== formAfter) compareAs(formBefore, type, { pair, place });
    compareAs(formAfter, type, { pair, place });
  }
}

interface At {
  readonly pair: Pair;
  readonly place: Place;
}

function compareAs(form: 'scalar' | 'list' | 'map', type: FieldType, at: At): void {
  const { before, after } = at.pair;
  const isLeaf =
    form === 'scalar' ||
    (form === 'list' ? !type.list?.isAssociative : type.map?.isAtomic !== false) ||
    (isBare(form, before) && isBare(form, after));
  if (isLeaf) {
    if (before === undefined) at.place.markChanged();
    else if (after === undefined) at.place.markRemoved();
    else if (!isEqual(before, after)) at.place.markChanged();
    return;
  }
  if (form === 'map') compareMaps(type, at);
  else if (type.list) compareLists(type.list, at);
  if (before === undefined) at.place.markChanged();
  else if (after === undefined) at.place.markRemoved();
}

/** Empty, null, absent, or no value of that form: then the difference between those counts. */
function isBare(form: 'list' | 'map', value: unknown): boolean {
  if (form === 'list') return !Array.isArray(value) || value.length === 0;
  if (!isObject(value)) return true;
  for (const _ in value) return false;
  return true;
}

const NOTHING: JsonObject = {};

function compareMaps({ map }: FieldType, { pair, place }: At): void {
  const before = isObject(pair.before) ? pair.before : NOTHING;
  const after = isObject(pair.after) ? pair.after : NOTHING;
  for (const key of Object.keys(after)) {
    const field = map?.typeOf(key);
    if (!field) continue;
    const states = { before: own(before, key), after: after[key] };
    if (states.before !== states.after) compareValues(field, states, new Place(place, fieldElement(key)));
  }
  for (const key of Object.keys(before)) {
    const field = Object.hasOwn(after, key) ? undefined : map?.typeOf(key);
    if (field) compareValues(field, { before: before[key], after: undefined }, new Place(place, fieldElement(key)));
  }
}

function compareLists(type: ListType, { pair, place }: At): void {
  const before = itemsByElement(type, Array.isArray(pair.before) ? pair.before : []);
  const after = itemsByElement(type, Array.isArray(pair.after) ? pair.after : []);
  const none: readonly unknown[] = [];
  for (const [step, now] of after) {
    compareItems(type, { was: before.get(step) ?? none, now }, new Place(place, step));
  }
  for (const [step, was] of before)
    if (!after.has(step)) compareItems(type, { was, now: none }, new Place(place, step));
}

/** Items under one step: usually one; those that cannot be told apart count as one value. */
function compareItems(
  type: ListType,
  { was, now }: { readonly was: readonly unknown[]; readonly now: readonly unknown[] },
  place: Place,
): void {
  if (was.length <= 1 && now.length <= 1) {
    compareValues(type.item(), { before: was[0], after: now[0] }, place);
  } else if (was.length > 1 && now.length > 1) {
    if (!isEqual(was, now)) place.markChanged();
  } else if (was.length > 1) {
    if (now.length === 1) compareValues(type.item(), { before: undefined, after: now[0] }, place);
    place.markRemoved();
  } else {
    if (was.length === 1) compareValues(type.item(), { before: was[0], after: undefined }, place);
    place.markChanged();
  }
}
