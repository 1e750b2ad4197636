/** Paths such as `.spec.replicas`, which lead through maps only: where a custom resource keeps what its scale shows. */
import { goText } from '../patch/json.ts';
import { isJsonObject, type JsonObject } from './schema.ts';

/** The names of a simple path such as `.spec.replicas`. */
export const namesOf = (path: string): readonly string[] => path.replace(/^\./, '').split('.');

/** What stands at a simple path; an error if something on the way is no map. */
export function valueAt(object: JsonObject, path: string): { readonly value?: unknown; readonly error?: string } {
  let value: unknown = object;
  for (const name of namesOf(path)) {
    if (!isJsonObject(value)) {
      const shown = goText(value);
      return {
        error: `${path} accessor error: ${shown} is of the type ${goTypeOf(value)}, expected map[string]interface{}`,
      };
    }
    if (!Object.hasOwn(value, name)) return {};
    value = value[name];
  }
  return { value };
}

/** Sets what stands at a simple path; maps on the way are made. */
export function setAt(object: JsonObject, path: string, value: unknown): void {
  const names = [...namesOf(path)];
  const last = names.pop() ?? '';
  let map = object;
  for (const name of names) {
    const inner = map[name];
    const next = isJsonObject(inner) ? inner : {};
    map[name] = next;
    map = next;
  }
  map[last] = value;
}

/** Go's `%T` of a JSON value. */
export function goTypeOf(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return '[]interface {}';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  return { string: 'string', boolean: 'bool' }[typeof value as string] ?? 'map[string]interface {}';
}
