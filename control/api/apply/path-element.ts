/**
 * One step of a field path, as its text in fieldsV1: `f:name` a field, `k:{"name":"x"}` an item of a keyed list,
 * `v:"x"` an item of a set, `i:0` an item by its index. The text is canonical, so equal steps are equal strings
 * (sigs.k8s.io/structured-merge-diff, fieldpath).
 */

/** The order of the four kinds of steps. */
const RANKS = 'fkvi';
/** Keys as we write them ourselves, and so canonical: one plain string or number. */
const SIMPLE_KEY = /^k:\{"[\w-]+":(?:"[^"\\<>&]*"|\d+)\}$/;

/** A key of one field whose value is text that escapes nothing. */
const TEXT_KEY = /^k:\{("[\w-]+":)"([^"\\]*)"\}$/;

/** JSON as Go writes it: with the characters escaped that HTML could trip over. */
function goJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!/[<>&\u2028\u2029]/.test(text)) return text;
  return text.replaceAll(
    /[<>&\u2028\u2029]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export const fieldElement = (name: string): string => `f:${name}`;
export const valueElement = (value: unknown): string => `v:${goJson(value)}`;

/** `entries` are names and values of the key fields. */
export function keyElement(entries: readonly (readonly [string, unknown])[]): string {
  const [first] = entries;
  if (entries.length === 1 && first) return `k:{${goJson(first[0])}:${goJson(first[1])}}`;
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return `k:{${sorted.map(([name, value]) => `${goJson(name)}:${goJson(value)}`).join(',')}}`;
}

/** A step that a client wrote, in canonical form; undefined where it is none that we know: later versions may add more. */
export function canonicalElement(text: string): string | undefined {
  if (text.startsWith('f:') || SIMPLE_KEY.test(text)) return text;
  const body = text.slice(2);
  try {
    if (text.startsWith('v:')) return valueElement(JSON.parse(body));
    if (text.startsWith('k:')) {
      const key: unknown = JSON.parse(body);
      if (typeof key !== 'object' || key === null || Array.isArray(key)) return undefined;
      return keyElement(Object.entries(key));
    }
  } catch {
    return undefined;
  }
  return /^i:\d+$/.test(text) ? text : undefined;
}

/** How messages show a step: `.spec`, `[name="x"]`, `[="x"]`, `[0]`. */
export function showElement(text: string): string {
  const body = text.slice(2);
  switch (text[0]) {
    case 'k': {
      const fields = Object.entries(JSON.parse(body) as object);
      return `[${fields.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`;
    }
    case 'v':
      return `[=${JSON.stringify(JSON.parse(body))}]`;
    case 'i':
      return `[${body}]`;
    default:
      return `.${body}`;
  }
}

/** Sorts steps as Kubernetes writes them. */
export function compareElements(a: string, b: string): number {
  if (a === b) return 0;
  // Nearly all steps are fields.
  if (a.startsWith('f:') && b.startsWith('f:')) return a < b ? -1 : 1;
  const byRank = RANKS.indexOf(a[0] ?? '') - RANKS.indexOf(b[0] ?? '');
  if (byRank !== 0) return byRank;
  // Most of the others are items known by one text: conditions, containers, owners.
  const [simple, other] = [TEXT_KEY.exec(a), TEXT_KEY.exec(b)];
  if (simple && other && simple[1] === other[1]) return (simple[2] ?? '') < (other[2] ?? '') ? -1 : 1;
  const [left, right] = [a.slice(2), b.slice(2)];
  switch (a[0]) {
    case 'k':
      return compareKeys(Object.entries(JSON.parse(left) as object), Object.entries(JSON.parse(right) as object));
    case 'v':
      return compareValues(JSON.parse(left), JSON.parse(right));
    default:
      return Number(left) - Number(right);
  }
}

function compareKeys(a: readonly [string, unknown][], b: readonly [string, unknown][]): number {
  for (const [index, [name, value]] of a.entries()) {
    const other = b[index];
    if (!other) return 1;
    if (name !== other[0]) return name < other[0] ? -1 : 1;
    const byValue = compareValues(value, other[1]);
    if (byValue !== 0) return byValue;
  }
  return a.length - b.length;
}

/** Numbers come before texts, texts before truth values, then lists, maps and null. */
function rankOf(value: unknown): number {
  if (value === null) return 5;
  if (Array.isArray(value)) return 3;
  return { number: 0, string: 1, boolean: 2 }[typeof value as string] ?? 4;
}

function compareValues(a: unknown, b: unknown): number {
  const byRank = rankOf(a) - rankOf(b);
  if (byRank !== 0) return byRank;
  if (typeof a === 'number') return a - (b as number); // of the same rank
  const [left, right] = typeof a === 'string' ? [a, b as string] : [JSON.stringify(a), JSON.stringify(b)]; // as above
  return left === right ? 0 : left < right ? -1 : 1;
}
