/**
 * The order of keys. Keys are JavaScript strings but are ordered by their UTF-8 bytes, as etcd's clients expect. The two
 * orders differ only where surrogates meet U+E000–U+FFFF, so such keys (and only they) are kept under a shifted name that
 * makes plain string comparison give the byte order.
 */
import { KEY_BYTES_MAX } from './limits.ts';

/** Stands in {@link RangeRequest.end} for "to the last key". */
export const OPEN_END = '';

const NEEDS_SHIFT = /[\ud800-\uffff]/;
const FIRST_SURROGATE = 0xd800;
const AFTER_SURROGATES = 0xe000;
const LAST_CODE_POINT = 0x10ffff;

/** Gives the name under which `key` sorts by UTF-8 bytes when names are compared as plain strings. One to one. */
export function sortName(key: string): string {
  if (!NEEDS_SHIFT.test(key)) return key;
  let name = '';
  for (let position = 0; position < key.length; position++) {
    const unit = key.charCodeAt(position);
    if (unit < FIRST_SURROGATE) name += key[position];
    else if (unit < AFTER_SURROGATES) name += String.fromCharCode(unit + 0x2000);
    else name += String.fromCharCode(unit - 0x800);
  }
  return name;
}

/**
 * Gives the exclusive end of the range of all keys that begin with `prefix`: the smallest string above all of them.
 * For the empty prefix that is {@link OPEN_END}.
 */
export function prefixEnd(prefix: string): string {
  const points = Array.from(prefix);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const point = last.codePointAt(0) ?? 0;
    if (point === LAST_CODE_POINT) continue;
    const next = point + 1 === FIRST_SURROGATE ? AFTER_SURROGATES : point + 1;
    return points.join('') + String.fromCodePoint(next);
  }
  return OPEN_END;
}

/** Says what is wrong with a key that is to be written, or undefined. */
export function keyProblem(key: unknown): string | undefined {
  if (typeof key !== 'string') return 'a key must be a string';
  if (key.length === 0) return 'a key must not be empty';
  return boundProblem(key);
}

/** Says what is wrong with the start or the end of a range, or undefined. They may be empty. */
export function boundProblem(key: unknown): string | undefined {
  if (typeof key !== 'string') return 'a key must be a string';
  if (key.length * 3 > KEY_BYTES_MAX && Buffer.byteLength(key) > KEY_BYTES_MAX) {
    return `a key must not be longer than ${KEY_BYTES_MAX} bytes`;
  }
  return key.isWellFormed() ? undefined : 'a key must be well-formed Unicode';
}

/** A range over sort names: `end` undefined means to the last key. */
export interface SortRange {
  readonly start: string;
  readonly end: string | undefined;
}

/** Turns the start and the end that a client names into sort names. `end` is not undefined here: that is one key. */
export function sortRange(key: string, end: string): SortRange {
  return { start: sortName(key), end: end === OPEN_END ? undefined : sortName(end) };
}
