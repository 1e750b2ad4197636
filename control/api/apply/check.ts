/** Whether a value is one of its type, before it is merged. The sentences are structured-merge-diff's (typed/validate.go). */
import { goText, isObject } from '../patch/json.ts';
import { showElement } from './path-element.ts';
import type { FieldType, ListType, MapType, ScalarKind } from './types.ts';
import { elementOf, formOf, whyNoElement } from './values.ts';

/** All that is wrong, as one text; undefined if nothing is. */
export function findMistakes(type: FieldType, value: unknown): string | undefined {
  const errors: string[] = [];
  const report = (path: string, why: string) => errors.push(`${path}: ${why}`);
  try {
    check(type, value, { path: '', report });
  } catch (error) {
    // Values of no known type may be nested deeper than the stack goes.
    if (error instanceof RangeError) return 'exceeded max depth';
    throw error;
  }
  const [first] = errors;
  if (errors.length < 2) return first;
  return ['errors:', ...errors.map(error => `  ${error}`)].join('\n');
}

interface Place {
  readonly path: string;
  report(path: string, why: string): void;
}
const below = (place: Place, step: string): Place => ({ path: place.path + step, report: place.report });

function check(type: FieldType, value: unknown, place: Place): void {
  if (value === null || value === undefined) return;
  const form = formOf(type, value);
  if (form === 'scalar') checkScalar(type.scalar ?? 'any', value, place);
  else if (form === 'list') {
    if (!Array.isArray(value)) place.report(place.path, `expected list, got &{${goText(value)}}`);
    else if (type.list) checkList(type.list, value, place);
  } else if (!isObject(value)) place.report(place.path, `expected map, got &{${goText(value)}}`);
  else if (type.map) checkMap(type.map, value, place);
}

function checkMap(type: MapType, value: Readonly<Record<string, unknown>>, place: Place): void {
  for (const key of Object.keys(value)) {
    const field = type.typeOf(key);
    if (field) check(field, value[key], below(place, `.${key}`));
    else place.report(`${place.path}.${key}`, 'field not declared in schema');
  }
}

function checkList(type: ListType, items: readonly unknown[], place: Place): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    if (!type.isAssociative) {
      check(type.item(), item, below(place, `[${index}]`));
      continue;
    }
    const element = elementOf(type, item);
    if (element === undefined) {
      place.report(place.path, `element ${index}: ${whyNoElement(type, item)}`);
      continue;
    }
    if (seen.has(element)) place.report(place.path, `duplicate entries for key ${showElement(element)}`);
    seen.add(element);
    check(type.item(), item, below(place, showElement(element)));
  }
}

/** Go's `%T` of what JSON holds. */
function goType(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  return { string: 'string', boolean: 'bool' }[typeof value as string] ?? 'map[string]interface {}';
}

/** Go's `%#v` of what JSON holds. */
function goSyntax(value: unknown): string {
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  if (!isObject(value)) return value === null ? 'interface {}(nil)' : JSON.stringify(value);
  const entries = Object.keys(value).sort();
  return `map[string]interface {}{${entries.map(key => `${JSON.stringify(key)}:${goSyntax(value[key])}`).join(', ')}}`;
}

function checkScalar(kind: ScalarKind, value: unknown, { path, report }: Place): void {
  switch (kind) {
    case 'numeric':
      if (typeof value !== 'number') report(path, `expected numeric (int or float), got ${goType(value)}`);
      return;
    case 'string':
      if (typeof value !== 'string') {
        report(path, `expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`);
      }
      return;
    case 'boolean':
      if (typeof value !== 'boolean') report(path, `expected boolean, got &{${goText(value)}}`);
      return;
    case 'any':
      if (typeof value === 'object') report(path, `expected any scalar, got &{${goText(value)}}`);
  }
}
