/**
 * What users may do with keys: decided from permissions and ranges alone (etcd: server/auth/range_perm_cache.go). A range is
 * permitted if the user's permissions together cover all of it, wherever one ends and the next begins.
 */
import type { KeyPermission } from './auth.ts';
import { type SortRange, sortName, sortRange } from './keys.ts';

/** A range that somebody wants to read or to write; without an `end` it is one key. */
export interface Need {
  readonly access: 'read' | 'write';
  readonly key: string;
  readonly end?: string;
}

/** What a user may read and write, each as ranges in order that neither touch nor overlap. */
export interface Grants {
  readonly read: readonly SortRange[];
  readonly write: readonly SortRange[];
}

/** Puts the permissions of all roles of a user together. */
export function grantsOf(permissions: readonly KeyPermission[]): Grants {
  const rangesFor = (access: 'read' | 'write') =>
    merged(permissions.filter(one => one.access === 'readwrite' || one.access === access).map(sortRangeOf));
  return { read: rangesFor('read'), write: rangesFor('write') };
}

/** True if all of the range is covered. A range that holds no key is covered by nothing. */
export function covers({ read, write }: Grants, need: Need): boolean {
  const wanted = sortRangeOf(need);
  if (isEmpty(wanted)) return false;
  const { end } = wanted;
  return (need.access === 'read' ? read : write).some(
    granted =>
      granted.start <= wanted.start && (granted.end === undefined || (end !== undefined && end <= granted.end)),
  );
}

function sortRangeOf({ key, end }: { readonly key: string; readonly end?: string }): SortRange {
  if (end !== undefined) return sortRange(key, end);
  const start = sortName(key);
  // No key lies between a key and the same with a zero byte behind it.
  return { start, end: `${start}\0` };
}

function isEmpty({ start, end }: SortRange): boolean {
  return end !== undefined && end <= start;
}

function merged(ranges: readonly SortRange[]): readonly SortRange[] {
  const inOrder = ranges.filter(range => !isEmpty(range)).sort((one, other) => (one.start < other.start ? -1 : 1));
  const result: SortRange[] = [];
  for (const range of inOrder) {
    const last = result.at(-1);
    if (last === undefined || (last.end !== undefined && last.end < range.start)) result.push(range);
    else if (last.end !== undefined && (range.end === undefined || range.end > last.end)) {
      result[result.length - 1] = { start: last.start, end: range.end };
    }
  }
  return result;
}
