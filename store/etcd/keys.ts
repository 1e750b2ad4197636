/**
 * Keys of etcd's clients are bytes; ours are well-formed texts, ordered by their UTF-8 bytes. So a key has to be UTF-8, but
 * the start and the end of a range may be any bytes (the end of the prefix `\x7f` is `\x80`): they are replaced by the least
 * text that is not below them, which leaves the same keys on each side.
 */
import { isUtf8 } from 'node:buffer';
import { OPEN_END, prefixEnd } from '../mvcc/keys.ts';
import { GrpcError, STATUS } from './grpc.ts';

/** A range as the store takes it: `end` undefined for the one key. */
export interface KeyRange {
  readonly key: string;
  readonly end?: string;
}

const FIRST_SURROGATE = 0xd800;
const AFTER_SURROGATES = 0xe000;
const AFTER_LAST_CODE_POINT = 0x11_0000;

/** One key. @throws {GrpcError} it is empty or no UTF-8 */
export function keyOf(bytes: Uint8Array): string {
  if (bytes.length === 0) throw new GrpcError(STATUS.invalidArgument, 'etcdserver: key is not provided');
  if (!isUtf8(bytes)) {
    throw new GrpcError(STATUS.invalidArgument, 'raftsman: keys must be UTF-8; this one is not');
  }
  return textOf(bytes);
}

/** A key and the end of a range as etcd means them: no end is the one key, a zero byte is "to the last key". */
export function rangeOf(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  if (rangeEnd.length === 0) return { key: keyOf(key) };
  if (key.length === 0) throw new GrpcError(STATUS.invalidArgument, 'etcdserver: key is not provided');
  return boundsOf(key, rangeEnd);
}

/** The same for a watch, where no key means the first one. */
export function watchRangeOf(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  if (rangeEnd.length > 0) return boundsOf(key.length === 0 ? Buffer.from([0]) : key, rangeEnd);
  return { key: key.length === 0 ? '\0' : keyOf(key) };
}

/** The least well-formed text whose UTF-8 bytes are not below these; undefined if all texts are. */
export function leastTextFrom(bytes: Uint8Array): string | undefined {
  if (isUtf8(bytes)) return textOf(bytes);
  const validLength = validPrefixLength(bytes);
  const prefix = textOf(bytes.subarray(0, validLength));
  const next = leastCodePointAbove(bytes.subarray(validLength));
  if (next !== undefined) return prefix + String.fromCodePoint(next);
  const above = prefixEnd(prefix);
  return above === OPEN_END ? undefined : above;
}

function boundsOf(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  const from = leastTextFrom(key);
  // Nothing lies above the last text: an empty range, which a range from a key to itself is.
  if (from === undefined) return { key: 'a', end: 'a' };
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return { key: from, end: OPEN_END };
  return { key: from, end: leastTextFrom(rangeEnd) ?? OPEN_END };
}

/** How many bytes at the front are whole characters. */
function validPrefixLength(bytes: Uint8Array): number {
  let length = 0;
  for (;;) {
    const size = characterSize(bytes[length]);
    const end = length + size;
    if (size === 0 || end > bytes.length || !isUtf8(bytes.subarray(length, end))) return length;
    length = end;
  }
}

/** How many bytes a character has that begins with this one; 0 if none does. */
function characterSize(first: number | undefined): number {
  if (first === undefined) return 0;
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

/** The least character whose bytes lie above these, which begin with no whole character. */
function leastCodePointAbove(rest: Uint8Array): number | undefined {
  let low = 0;
  let high = AFTER_LAST_CODE_POINT;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(Buffer.from(String.fromCodePoint(notSurrogate(middle))), rest) > 0) high = middle;
    else low = middle + 1;
  }
  return low === AFTER_LAST_CODE_POINT ? undefined : notSurrogate(low);
}

/** Surrogates are no characters; what comes after them stands for them. */
function notSurrogate(codePoint: number): number {
  return codePoint >= FIRST_SURROGATE && codePoint < AFTER_SURROGATES ? AFTER_SURROGATES : codePoint;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
