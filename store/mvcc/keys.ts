/**
 * Keys, and their order. A key is any bytes, as in etcd; nearly all are UTF-8 and are JavaScript strings of the same text.
 * Bytes that are no UTF-8 stand in the string as lone surrogates U+DC80 to U+DCFF, one a byte (Python calls this
 * surrogateescape), so that each sequence of bytes has exactly one string. Keys are ordered by their bytes.
 */
import { isUtf8 } from 'node:buffer';
import { KEY_BYTES_MAX } from './limits.ts';

/** Stands in {@link RangeRequest.end} for "to the last key". */
export const OPEN_END = '';

const NOT_ASCII = /[\u0080-\uffff]/;
/** What a byte that is no UTF-8 is added to. */
const ESCAPE = 0xdc00;
const FIRST_ESCAPED = 0xdc80;
const LAST_ESCAPED = 0xdcff;
/** What decoding puts in the place of bytes that are no UTF-8. */
const REPLACEMENT = '\ufffd';

/** The bytes of a key. */
export function keyBytes(key: string): Buffer {
  if (key.isWellFormed()) return Buffer.from(key, 'utf8');
  const parts: Buffer[] = [];
  for (const point of key) {
    const code = point.codePointAt(0) ?? 0;
    const isEscape = code >= FIRST_ESCAPED && code <= LAST_ESCAPED;
    parts.push(isEscape ? Buffer.of(code - ESCAPE) : Buffer.from(point, 'utf8'));
  }
  return Buffer.concat(parts);
}

/** The key with these bytes. */
export function keyFromBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('utf8');
  if (!text.includes(REPLACEMENT) || isUtf8(buffer)) return text;
  let key = '';
  for (let at = 0; at < buffer.length; ) {
    const size = characterSize(buffer[at] ?? 0);
    const isWhole = size > 0 && at + size <= buffer.length && (size === 1 || isUtf8(buffer.subarray(at, at + size)));
    key += isWhole ? buffer.toString('utf8', at, at + size) : String.fromCharCode(ESCAPE + (buffer[at] ?? 0));
    at += isWhole ? size : 1;
  }
  return key;
}

/** How many bytes a character has that begins with this one; 0 if none does. */
function characterSize(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

/** Gives the name under which `key` sorts by its bytes when names are compared as plain strings. One to one. */
export function sortName(key: string): string {
  return NOT_ASCII.test(key) ? keyBytes(key).toString('latin1') : key;
}

/**
 * Gives the exclusive end of the range of all keys that begin with `prefix`: the smallest key above all of them.
 * For the empty prefix that is {@link OPEN_END}.
 */
export function prefixEnd(prefix: string): string {
  const bytes = keyBytes(prefix);
  for (let last = bytes.length - 1; last >= 0; last--) {
    const byte = bytes[last] ?? 0;
    if (byte === 0xff) continue;
    bytes[last] = byte + 1;
    return keyFromBytes(bytes.subarray(0, last + 1));
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
  if (key.length * 3 > KEY_BYTES_MAX && keyBytes(key).length > KEY_BYTES_MAX) {
    return `a key must not be longer than ${KEY_BYTES_MAX} bytes`;
  }
  // One sequence of bytes must not have two names.
  const isOneToOne = key.isWellFormed() || keyFromBytes(keyBytes(key)) === key;
  return isOneToOne ? undefined : 'a key must be well-formed Unicode';
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
