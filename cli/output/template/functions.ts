/** The functions of Go's text/template, and kubectl's own two. (text/template/funcs.go) */
import { goText, goType, sprint, sprintf } from './go-format.ts';

/** What a function says of its arguments. */
export class FunctionError extends Error {
  override readonly name = 'FunctionError';
}

interface TemplateFunction {
  readonly least: number;
  /** Undefined: any number. */
  readonly most?: number;
  /** The type of the first argument, where not all will do. */
  readonly takes?: 'string';
  run(...values: readonly unknown[]): unknown;
}

export const functions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['and', { least: 1, run: (...values) => values.find(value => !isTrue(value)) ?? values.at(-1) }],
  ['or', { least: 1, run: (...values) => values.find(isTrue) ?? values.at(-1) }],
  ['not', { least: 1, most: 1, run: value => !isTrue(value) }],
  ['eq', { least: 1, run: equal }],
  ['ne', { least: 2, most: 2, run: (a, b) => !equal(a, b) }],
  ['lt', { least: 2, most: 2, run: less }],
  ['le', { least: 2, most: 2, run: (a, b) => less(a, b) || equal(a, b) }],
  ['gt', { least: 2, most: 2, run: (a, b) => !(less(a, b) || equal(a, b)) }],
  ['ge', { least: 2, most: 2, run: (a, b) => !less(a, b) }],
  ['index', { least: 1, run: (value, ...keys) => keys.reduce(indexed, value) }],
  ['slice', { least: 1, run: sliced }],
  ['len', { least: 1, most: 1, run: lengthOf }],
  ['print', { least: 0, run: (...values) => sprint(values) }],
  ['println', { least: 0, run: (...values) => `${values.map(goText).join(' ')}\n` }],
  ['printf', { least: 1, takes: 'string', run: (pattern, ...values) => sprintf(String(pattern), values) }],
  ['html', { least: 0, run: (...values) => html(sprint(values)) }],
  ['js', { least: 0, run: (...values) => javaScript(sprint(values)) }],
  ['urlquery', { least: 0, run: (...values) => urlQuery(sprint(values)) }],
  ['base64decode', { least: 1, most: 1, takes: 'string', run: value => base64Decoded(String(value)) }],
  ['exists', { least: 1, run: exists }],
]);

/** False: nothing, zero, and what is empty. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

const isNothing = (value: unknown): boolean => value === undefined || value === null;

function kindOf(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  return typeof value === 'string' || typeof value === 'boolean' ? typeof value : 'none';
}

function equal(first: unknown, ...others: readonly unknown[]): boolean {
  if (others.length === 0) throw new FunctionError('missing argument for comparison');
  return others.some(other => {
    if (isNothing(first) || isNothing(other)) return isNothing(first) && isNothing(other);
    if (kindOf(first) !== kindOf(other)) throw new FunctionError('incompatible types for comparison');
    if (kindOf(first) === 'none') {
      throw new FunctionError(`non-comparable type ${goText(first)}: ${goType(first)}`);
    }
    return first === other;
  });
}

function less(a: unknown, b: unknown): boolean {
  for (const value of [a, b]) {
    if (kindOf(value) === 'none') throw new FunctionError('invalid type for comparison');
  }
  if (kindOf(a) !== kindOf(b)) throw new FunctionError('incompatible types for comparison');
  if (typeof a === 'boolean') throw new FunctionError('invalid type for comparison');
  return typeof a === 'number' ? a < Number(b) : String(a) < String(b);
}

function indexed(value: unknown, key: unknown): unknown {
  if (isNothing(value)) throw new FunctionError('index of untyped nil');
  if (typeof value === 'string' || Array.isArray(value)) {
    const position = positionOf(key, value.length);
    if (position >= value.length) throw new FunctionError(`index out of range: ${position}`);
    return typeof value === 'string' ? Buffer.from(value)[position] : value[position];
  }
  if (typeof value !== 'object') throw new FunctionError(`can't index item of type ${goType(value)}`);
  if (isNothing(key)) throw new FunctionError('value is nil; should be of type string');
  if (typeof key !== 'string') {
    throw new FunctionError(`value has type ${goType(key).replace('int64', 'int')}; should be string`);
  }
  return Object.hasOwn(Object(value), key) ? Reflect.get(Object(value), key) : undefined;
}

function positionOf(key: unknown, length: number): number {
  if (isNothing(key)) throw new FunctionError('cannot index slice/array with nil');
  if (!Number.isInteger(key)) throw new FunctionError(`cannot index slice/array with type ${goType(key)}`);
  const position = Number(key);
  if (position < 0 || position > length) throw new FunctionError(`index out of range: ${position}`);
  return position;
}

function sliced(value: unknown, ...bounds: readonly unknown[]): unknown {
  if (isNothing(value)) throw new FunctionError('slice of untyped nil');
  if (typeof value !== 'string' && !Array.isArray(value)) {
    throw new FunctionError(`can't slice item of type ${goType(value)}`);
  }
  if (bounds.length > 3) throw new FunctionError(`too many slice indexes: ${bounds.length}`);
  const [start = 0, end = value.length] = bounds.map(bound => positionOf(bound, value.length));
  if (start > end) throw new FunctionError(`invalid slice index: ${start} > ${end}`);
  return value.slice(start, end);
}

function lengthOf(value: unknown): number {
  if (isNothing(value)) throw new FunctionError('reflect: call of reflect.Value.Type on zero Value');
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object') return Object.keys(Object(value)).length;
  throw new FunctionError(`len of type ${goType(value).replace('int64', 'int')}`);
}

const HTML: Readonly<Record<string, string>> = {
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '\0': '\ufffd',
};
const html = (text: string): string => text.replaceAll(/["'&<>\0]/g, sign => HTML[sign] ?? sign);

function javaScript(text: string): string {
  return text
    .replaceAll(/[\\'"]/g, sign => `\\${sign}`)
    .replaceAll(/[<>&=\p{Cc}]/gu, sign => `\\u${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`);
}

const urlQuery = (text: string): string =>
  encodeURIComponent(text)
    .replaceAll(/[!'()*]/g, sign => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');

function base64Decoded(text: string): string {
  const plain = text.replaceAll(/[\r\n]/g, '');
  const [good = ''] = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?/.exec(plain) ?? [];
  if (good.length !== plain.length) {
    const rest = /^[A-Za-z0-9+/]*/.exec(plain.slice(good.length))?.[0].length ?? 0;
    // What breaks off is told at the group that is not whole.
    const at = good.length + rest === plain.length ? good.length : good.length + rest;
    throw new FunctionError(`base64 decode failed: illegal base64 data at input byte ${at}`);
  }
  return Buffer.from(plain, 'base64').toString();
}

/** kubectl's own: whether there is something at the end of a path of keys. */
function exists(value: unknown, ...keys: readonly unknown[]): boolean {
  let current = value;
  for (const key of keys) {
    if (Array.isArray(current) ? !Number.isInteger(key) : typeof key !== 'string') return false;
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, String(key))) return false;
    current = Reflect.get(current, String(key));
  }
  return !isNothing(current);
}
