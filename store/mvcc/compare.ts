/** Whether the conditions of a transaction hold. */
import type { Compare, KeyValue } from '../client/client.ts';

/** True if the compared keys, as they are now, satisfy the compare. `liveIn` gives the keys of a range. */
export function holds(
  compare: Compare,
  liveIn: (key: string, end: string | undefined) => readonly KeyValue[],
): boolean {
  const items = liveIn(compare.key, compare.end);
  return items.length === 0 ? itemHolds(compare, undefined) : items.every(item => itemHolds(compare, item));
}

/** True if `item`, the present state of a compared key, satisfies the compare. An absent key counts as all zeros. */
function itemHolds(compare: Compare, item: KeyValue | undefined): boolean {
  if (compare.target === 'value') {
    // As in etcd: no comparison of values holds for a key that is absent.
    return item !== undefined && ordered(compare.op, Buffer.compare(item.value, compare.value));
  }
  return ordered(compare.op, (item?.[compare.target] ?? 0) - compare.value);
}

function ordered(op: Compare['op'], difference: number): boolean {
  switch (op) {
    case '=':
      return difference === 0;
    case '!=':
      return difference !== 0;
    case '<':
      return difference < 0;
    case '>':
      return difference > 0;
  }
}
