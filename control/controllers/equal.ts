/** Comparing objects of the API. Pure. */

/** Deep equality of JSON values; a property that is undefined counts as absent. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => isEqual(item, b[index]));
  return (
    Object.keys(a).every(key => isEqual(a[key], ownOf(b, key))) &&
    Object.keys(b).every(key => b[key] === undefined || ownOf(a, key) !== undefined)
  );
}

/** Like {@link isEqual}, but null, {} and [] count as absent too (apimachinery: Semantic.DeepEqual). */
export function isSemanticallyEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return isAbsent(a) && isAbsent(b);
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => isSemanticallyEqual(item, b[index]));
  return (
    Object.keys(a).every(key => isSemanticallyEqual(a[key], ownOf(b, key))) &&
    Object.keys(b).every(key => Object.hasOwn(a, key) || isAbsent(b[key]))
  );
}

type Properties = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Properties => typeof value === 'object' && value !== null;

/** Names of labels may be those of every object's methods. */
const ownOf = (object: Properties, key: string): unknown => (Object.hasOwn(object, key) ? object[key] : undefined);

/** An object of nothing but absent values is absent; a list is only if it has no items. */
function isAbsent(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (!isObject(value)) return false;
  return Array.isArray(value) ? value.length === 0 : Object.values(value).every(isAbsent);
}
