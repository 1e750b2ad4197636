/** Comparing objects of the API. Pure. */

/** Deep equality of JSON values; a property that is undefined counts as absent. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => isEqual(item, b[index]));
  const left = definedEntries(a);
  const right = new Map(definedEntries(b));
  return left.length === right.size && left.every(([key, value]) => right.has(key) && isEqual(value, right.get(key)));
}

/** Like {@link isEqual}, but null, {} and [] count as absent too (apimachinery: Semantic.DeepEqual). */
export function isSemanticallyEqual(a: unknown, b: unknown): boolean {
  return isEqual(withoutEmpties(a), withoutEmpties(b));
}

const definedEntries = (object: object) => Object.entries(object).filter(([, value]) => value !== undefined);

function withoutEmpties(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value ?? undefined;
  if (Array.isArray(value)) return value.length > 0 ? value.map(withoutEmpties) : undefined;
  const entries = Object.entries(value)
    .map(([key, inner]) => [key, withoutEmpties(inner)] as const)
    .filter(([, inner]) => inner !== undefined);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}
