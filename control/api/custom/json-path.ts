/**
 * JSONPath as Kubernetes has it (client-go util/jsonpath), as far as columns and selectable fields of custom resources use
 * it: fields, indices, slices, wildcards, unions, recursive descent and filters.
 */
import { JSON_PATH_RESULTS_MAX } from './limits.ts';
import { isJsonObject } from './schema.ts';

/** A path that cannot be read. */
export class JsonPathError extends Error {
  override readonly name = 'JsonPathError';
}

/** The values that a path leads to, in order. */
export type JsonPath = (root: unknown) => unknown[];

type Step = (value: unknown) => unknown[];

/** Reads a path such as `.status.conditions[?(@.type=='Ready')].status`. Throws {@link JsonPathError}. */
export function parseJsonPath(text: string): JsonPath {
  const steps = new PathReader(text).steps();
  return root =>
    steps.reduce<unknown[]>((values, step) => values.flatMap(step).slice(0, JSON_PATH_RESULTS_MAX), [root]);
}

class PathReader {
  readonly #text: string;
  #index = 0;

  constructor(text: string) {
    this.#text = text.startsWith('$') ? text.slice(1) : text;
  }

  steps(): Step[] {
    const steps: Step[] = [];
    while (this.#index < this.#text.length) steps.push(this.#step());
    return steps;
  }

  #step(): Step {
    const rest = this.#text.slice(this.#index);
    if (rest.startsWith('..')) {
      this.#index += 2;
      const name = this.#name();
      return value => everyValue(value).flatMap(name === '' ? one => [one] : field(name));
    }
    if (rest.startsWith('.')) {
      this.#index++;
      // `.[0]` is `[0]`, and `.` alone the object itself.
      const name = this.#name();
      return name === '' ? value => [value] : field(name);
    }
    if (rest.startsWith('[')) return this.#brackets();
    const name = this.#name();
    if (name === '') throw new JsonPathError(`unrecognized character in action: ${rest.slice(0, 1)}`);
    return field(name);
  }

  /** A field's name, in which a backslash takes the meaning from the character behind it. */
  #name(): string {
    let name = '';
    for (; this.#index < this.#text.length; this.#index++) {
      const character = this.#text.charAt(this.#index);
      if (character === '\\') name += this.#text.charAt(++this.#index);
      else if (character === '.' || character === '[') break;
      else name += character;
    }
    return name;
  }

  #brackets(): Step {
    const end = closing(this.#text, this.#index);
    const inside = this.#text.slice(this.#index + 1, end).trim();
    this.#index = end + 1;
    if (inside.startsWith('?')) return filter(inside);
    const parts = splitOutsideQuotes(inside, ',').map(bracketPart);
    return value => parts.flatMap(part => part(value));
  }
}

/** Where the bracket that opens at `start` closes; quoted text is passed over. */
function closing(text: string, start: number): number {
  let depth = 0;
  let quote = '';
  for (let index = start; index < text.length; index++) {
    const character = text.charAt(index);
    if (quote !== '') {
      if (character === '\\') index++;
      else if (character === quote) quote = '';
    } else if (character === "'" || character === '"') quote = character;
    else if (character === '[') depth++;
    else if (character === ']' && --depth === 0) return index;
  }
  throw new JsonPathError('unterminated array');
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts = [''];
  let quote = '';
  for (const character of text) {
    if (quote === '' && character === separator) {
      parts.push('');
      continue;
    }
    if (quote === '' && (character === "'" || character === '"')) quote = character;
    else if (character === quote) quote = '';
    parts[parts.length - 1] += character;
  }
  return parts;
}

function bracketPart(text: string): Step {
  const part = text.trim();
  if (part === '*') return everyChild;
  const quoted = /^(['"])(.*)\1$/s.exec(part);
  if (quoted) return field((quoted[2] ?? '').replaceAll(/\\(.)/g, '$1'));
  if (/^-?\d*(?::-?\d*){1,2}$/.test(part)) return slice(part.split(':'));
  if (!/^-?\d+$/.test(part)) throw new JsonPathError(`invalid array index ${part}`);
  const index = Number(part);
  return value => {
    if (!Array.isArray(value)) return [];
    const at = index < 0 ? value.length + index : index;
    return at >= 0 && at < value.length ? [value[at]] : [];
  };
}

function slice([start = '', end = '', step = '']: readonly string[]): Step {
  const stride = step === '' ? 1 : Number(step);
  if (stride < 1) throw new JsonPathError('step must be > 0');
  return value => {
    if (!Array.isArray(value)) return [];
    const part = value.slice(start === '' ? 0 : Number(start), end === '' ? value.length : Number(end));
    return part.filter((_, index) => index % stride === 0);
  };
}

const field =
  (name: string): Step =>
  value => {
    if (name === '*') return everyChild(value);
    return isJsonObject(value) && Object.hasOwn(value, name) ? [value[name]] : [];
  };

function everyChild(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return isJsonObject(value)
    ? Object.keys(value)
        .sort()
        .map(key => value[key])
    : [];
}

function everyValue(value: unknown): unknown[] {
  return [value, ...everyChild(value).flatMap(everyValue)];
}

const COMPARE: Readonly<Record<string, (a: unknown, b: unknown) => boolean>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => order(a, b) < 0,
  '<=': (a, b) => order(a, b) <= 0,
  '>': (a, b) => order(a, b) > 0,
  '>=': (a, b) => order(a, b) >= 0,
};

/** Below, at or above 0; what cannot be compared is NaN, of which nothing holds. */
function order(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  return Number.NaN;
}

/** `?(@.type=='Ready')`; without a comparison, that there is such a value. */
function filter(text: string): Step {
  const match = /^\?\s*\(([\s\S]*)\)$/.exec(text);
  if (!match) throw new JsonPathError('unterminated filter');
  const inside = (match[1] ?? '').trim();
  const comparison = /^(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+)$/s.exec(inside);
  if (!comparison) {
    const path = operand(inside);
    return value => candidates(value).filter(one => path(one).length > 0);
  }
  const [left, right] = [operand(comparison[1] ?? ''), operand(comparison[3] ?? '')];
  const compare = COMPARE[comparison[2] ?? ''];
  return value =>
    candidates(value).filter(one => {
      const [a, b] = [left(one), right(one)];
      return a.length > 0 && b.length > 0 && compare?.(a[0], b[0]) === true;
    });
}

const candidates = (value: unknown): unknown[] => (Array.isArray(value) ? value : isJsonObject(value) ? [value] : []);

function operand(text: string): JsonPath {
  const trimmed = text.trim();
  if (trimmed.startsWith('@')) return parseJsonPath(trimmed.slice(1));
  const quoted = /^(['"])(.*)\1$/s.exec(trimmed);
  if (quoted) return () => [quoted[2] ?? ''];
  if (trimmed === 'true' || trimmed === 'false') return () => [trimmed === 'true'];
  if (trimmed !== '' && Number.isFinite(Number(trimmed))) return () => [Number(trimmed)];
  throw new JsonPathError(`unrecognized identifier ${trimmed}`);
}
