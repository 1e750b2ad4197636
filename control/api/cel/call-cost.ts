/** What a call costs when it is made (cel-go interpreter/runtimecost.go, apiserver cel/library/cost.go). */
import type { CostKind } from './functions/library.ts';
import { isList, isMap, sizeOf, type Value } from './values.ts';

/** Cost units for each character. */
export const CHARACTER_COST = 0.1;
/** Cost units for each character of a regular expression. */
export const PATTERN_COST = 0.25;
/** So much that an expression can ask for authorization twice. */
export const AUTHORIZATION_COST = 350_000;

const scan = (size: number, times = 1): number => Math.ceil(size * CHARACTER_COST * times);

/** The units that a call with these arguments costs. `result` is only looked at by `join`. */
export function callCost(kind: CostKind, args: readonly Value[], result: Value): number {
  const [first = null, second = null] = args;
  switch (kind) {
    case 'authorization':
      return AUTHORIZATION_COST;
    case 'scan':
      return scan(sizeOf(first));
    case 'scanTwice':
    case 'replace':
    case 'split':
      return scan(sizeOf(first), 2);
    case 'scanSecond':
      return scan(sizeOf(second));
    case 'toBytes':
    case 'fromBytes':
      return scan(sizeOf(first));
    case 'join':
      return scan(sizeOf(result), 2);
    case 'compare':
      return scan(Math.min(sizeOf(first), sizeOf(second)));
    case 'append':
      return scan(sizeOf(first) + sizeOf(second));
    case 'member':
      return sizeOf(second);
    case 'matches':
    case 'find':
      return scan(1 + sizeOf(first)) * Math.ceil(sizeOf(second) * PATTERN_COST);
    case 'contains':
      return scan(sizeOf(first)) * scan(sizeOf(second));
    case 'traverse':
      return traversal(first);
    case 'sets':
      return 1 + sizeOf(first) * sizeOf(second);
    case 'cidrIP':
    case 'cidrIPText':
      return scan(2 * ADDRESS_BYTES) + (kind === 'cidrIPText' ? scan(sizeOf(second)) : 0);
    case 'cidrCIDR':
    case 'cidrCIDRText':
      return scan(2 * ADDRESS_BYTES) + scan(ADDRESS_BYTES) + 1 + (kind === 'cidrCIDRText' ? scan(sizeOf(second)) : 0);
    default:
      return 1;
  }
}

const ADDRESS_BYTES = 16;

/** All of a value, with all that it holds. */
function traversal(value: Value): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return Math.floor(sizeOf(value) * CHARACTER_COST);
  if (typeof value !== 'object' || value === null) return 1;
  if (isList(value)) {
    let cost = 0;
    for (let index = 0; index < value.size; index++) cost += traversal(value.at(index));
    return cost;
  }
  if (isMap(value)) {
    return value.keys().reduce((cost: number, key) => cost + traversal(key) + traversal(value.get(key) ?? null), 0);
  }
  return 1;
}
