/** Keys and ranges as etcd's messages have them: bytes, with an empty end for one key and a zero byte for "to the last". */
import { keyFromBytes, OPEN_END } from '../mvcc/keys.ts';
import { etcdError } from './errors.ts';

/** A range as the store takes it: `end` undefined for the one key. */
export interface KeyRange {
  readonly key: string;
  readonly end?: string;
}

/** One key. @throws {GrpcError} it is empty */
export function keyOf(bytes: Uint8Array): string {
  if (bytes.length === 0) throw etcdError('emptyKey');
  return keyFromBytes(bytes);
}

/** A key and the end of a range. @throws {GrpcError} the key is empty */
export function rangeOf(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  const from = keyOf(key);
  if (rangeEnd.length === 0) return { key: from };
  return { key: from, end: isZero(rangeEnd) ? OPEN_END : keyFromBytes(rangeEnd) };
}

/** The same for a watch, where no key means the first one. */
export function watchRangeOf(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  return rangeOf(key.length === 0 ? ZERO : key, rangeEnd);
}

const ZERO = Uint8Array.of(0);

function isZero(bytes: Uint8Array): boolean {
  return bytes.length === 1 && bytes[0] === 0;
}
