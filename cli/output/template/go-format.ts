/** How Go's fmt prints the values of JSON: `print`, `println`, `printf`. */

/** As `%v`. */
export function goText(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (typeof value === 'number') return numberText(value);
  if (typeof value !== 'object') return String(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `map[${entries.map(([key, field]) => `${key}:${goText(field)}`).join(' ')}]`;
}

/** Integers are int64 there, all else is float64, whose large and small numbers have an exponent. */
function numberText(value: number): string {
  if (Number.isInteger(value)) return String(value);
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (exponent >= -4 && exponent < 21) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}

/** The name of a value's type in Go. */
export function goType(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return '[]interface {}';
  if (typeof value === 'object') return 'map[string]interface {}';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  return Number.isInteger(value) ? 'int64' : 'float64';
}

/** As `%#v`: what kubectl shows of an object that a JSONPath template stumbled over. */
export function goSyntax(value: unknown): string {
  if (value === null || value === undefined) return 'interface {}(nil)';
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object') return goText(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `map[string]interface {}{${entries.map(([key, field]) => `${JSON.stringify(key)}:${goSyntax(field)}`).join(', ')}}`;
}

/** `fmt.Sprint`: a blank between two values neither of which is text. */
export function sprint(values: readonly unknown[]): string {
  return values
    .map((value, index) => {
      const isApart = index > 0 && typeof value !== 'string' && typeof values[index - 1] !== 'string';
      return `${isApart ? ' ' : ''}${goText(value)}`;
    })
    .join('');
}

interface Verb {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly verb: string;
}

/** `fmt.Sprintf`, as far as the values of JSON need it. */
export function sprintf(pattern: string, values: readonly unknown[]): string {
  let next = 0;
  const text = pattern.replaceAll(
    /%([-+# 0]*)(\d*)(?:\.(\d*))?(.)?/gsu,
    (_, flags: string, width: string, precision: string | undefined, verb: string | undefined) => {
      if (verb === undefined) return '%!(NOVERB)';
      if (verb === '%') return '%';
      if (next >= values.length) return `%!${verb}(MISSING)`;
      const value = values[next++];
      return formatted(value, {
        flags,
        width: Number(width || 0),
        precision: precision === undefined ? undefined : Number(precision || 0),
        verb,
      });
    },
  );
  const extra = values
    .slice(next)
    .map(value => (value === null || value === undefined ? '<nil>' : `${shortType(value)}=${goText(value)}`));
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(', ')})`;
}

/** Literals of a template are plain ints. */
const shortType = (value: unknown): string => goType(value).replace('int64', 'int');

function formatted(value: unknown, spec: Verb): string {
  const { flags, width, verb } = spec;
  const text = verbText(value, spec);
  const shown =
    text ?? `%!${verb}(${value === null || value === undefined ? '<nil>' : `${shortType(value)}=${goText(value)}`})`;
  if (flags.includes('-')) return shown.padEnd(width);
  if (flags.includes('0') && typeof value === 'number' && text !== undefined) {
    const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(shown) ?? [];
    return sign + digits.padStart(width - sign.length, '0');
  }
  return shown.padStart(width);
}

/** Undefined for a verb that the value's type does not have. */
function verbText(value: unknown, { flags, precision, verb }: Verb): string | undefined {
  const isText = typeof value === 'string';
  const isInteger = Number.isInteger(value);
  const sign = flags.includes('+') && typeof value === 'number' && value >= 0 ? '+' : '';
  switch (verb) {
    case 'v':
      return flags.includes('#') ? goSyntax(value) : sign + goText(value);
    case 's':
      if (isText) return precision === undefined ? value : [...value].slice(0, precision).join('');
      return typeof value === 'object' && value !== null ? goText(value) : undefined;
    case 'q':
      return isText ? JSON.stringify(value) : isInteger ? `'${String.fromCodePoint(Number(value))}'` : undefined;
    case 'T':
      return shortType(value);
    case 't':
      return typeof value === 'boolean' ? String(value) : undefined;
    case 'd':
      return isInteger ? sign + String(value) : undefined;
    case 'c':
      return isInteger ? String.fromCodePoint(Number(value)) : undefined;
    case 'b':
    case 'o':
      return isInteger ? sign + Number(value).toString(verb === 'b' ? 2 : 8) : undefined;
    case 'x':
    case 'X': {
      const hex = isInteger ? Number(value).toString(16) : isText ? Buffer.from(value).toString('hex') : undefined;
      return verb === 'X' ? hex?.toUpperCase() : hex;
    }
    case 'f':
    case 'F':
      return typeof value === 'number' && !isInteger ? sign + value.toFixed(precision ?? 6) : undefined;
    case 'e':
      return typeof value === 'number' && !isInteger
        ? sign + value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, 'e$10$2')
        : undefined;
    case 'g':
      return typeof value === 'number' && !isInteger ? sign + numberText(value) : undefined;
    default:
      return undefined;
  }
}
