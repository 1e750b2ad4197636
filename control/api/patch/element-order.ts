/**
 * The order of a merged list: items that the patch names stand in the patch's order, items that only the server has keep
 * their place among those neighbours that they had before.
 */
import { equal, isObject, own } from './json.ts';

/** Tells items of a list apart: by their merge key, or by value if there is none. */
export type SameItem = (a: unknown, b: unknown) => boolean;

export function sameItem(mergeKey: string | undefined): SameItem {
  if (!mergeKey) return equal;
  return (a, b) => isObject(a) && isObject(b) && equal(own(a, mergeKey), own(b, mergeKey));
}

/** `merged` in the right order: `patchOrder` is what the patch wants, `serverOrder` the list as it was. */
export function ordered(
  merged: readonly unknown[],
  orders: { readonly patchOrder: readonly unknown[]; readonly serverOrder: readonly unknown[] },
  same: SameItem,
): unknown[] {
  const position = (list: readonly unknown[], item: unknown) => list.findIndex(other => same(other, item));
  const by = (list: readonly unknown[]) => (a: unknown, b: unknown) => position(list, a) - position(list, b);
  const named = merged.filter(item => position(orders.patchOrder, item) >= 0).sort(by(orders.patchOrder));
  const serverOnly = merged.filter(item => position(orders.patchOrder, item) < 0).sort(by(orders.serverOrder));

  const result: unknown[] = [];
  let next = 0;
  for (const item of named) {
    const place = position(orders.serverOrder, item);
    // A server-only item goes first only if it stood before this one; if this one is new, it does not wait.
    while (place >= 0 && next < serverOnly.length && isBefore(position(orders.serverOrder, serverOnly[next]), place)) {
      result.push(serverOnly[next++]);
    }
    result.push(item);
  }
  return [...result, ...serverOnly.slice(next)];
}

function isBefore(position: number, other: number): boolean {
  return position >= 0 && position < other;
}
