/** JSON values as Go prints them in messages about custom resources. */
import { goQuote } from '../validation/errors.ts';
import { isJsonObject } from './schema.ts';

/** Go's `%#v` of a JSON value: how field errors show maps and lists. */
export function goSyntax(value: unknown): string {
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  if (isJsonObject(value)) {
    const entries = Object.keys(value).sort();
    return `map[string]interface {}{${entries.map(key => `${goQuote(key)}:${goSyntax(value[key])}`).join(', ')}}`;
  }
  if (typeof value === 'string') return goQuote(value);
  return value === null || value === undefined ? 'interface {}(nil)' : String(value);
}

/** A value as a field error shows it: scalars plain, text quoted, the rest as in Go's source. */
export function shownValue(value: unknown): string {
  if (value === null || value === undefined) return '"null"';
  return typeof value === 'object' ? goSyntax(value) : typeof value === 'string' ? goQuote(value) : String(value);
}
