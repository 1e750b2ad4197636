/** Values as Go's `%#v` writes them, which kubectl shows of objects that it cannot place. */

/** `map[string]interface {}{"a":"b"}`; keys in order. */
export function goSyntax(value: unknown): string {
  if (value === null || value === undefined) return 'interface {}(nil)';
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  if (typeof value !== 'object') return JSON.stringify(value);
  const fields = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${goSyntax(field)}`);
  return `map[string]interface {}{${fields.join(', ')}}`;
}

/** JSON on one line as Go writes it: keys in order, and the signs of HTML escaped. */
export function goJson(value: unknown): string {
  const sortedKeys = (_key: string, field: unknown) =>
    typeof field === 'object' && field !== null && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field;
  return JSON.stringify(value, sortedKeys).replaceAll(
    /[<>&\u2028\u2029]/g,
    sign => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
