/** Ranges of IPv4 and IPv6 addresses as numbers. Pure. */
import { isIPv4, isIPv6 } from 'node:net';

export type Family = 4 | 6;

/** Both ends belong to it. */
export interface Range {
  readonly first: bigint;
  readonly last: bigint;
}

/** Undefined for what is no address; only what passes here may go into a script. */
export function familyOf(address: string): Family | undefined {
  if (isIPv4(address)) return 4;
  return isIPv6(address) && !address.includes('%') ? 6 : undefined;
}

export function bitsOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** The address must be one of this family. */
export function addressValue(address: string, family: Family): bigint {
  return family === 4 ? joined(address.split('.').map(Number), 8n) : joined(groupsOf(address), 16n);
}

export function formatAddress(value: bigint, family: Family): string {
  const [count, bits] = family === 4 ? [4, 8n] : [8, 16n];
  const parts = Array.from({ length: count }, (_, index) => {
    const part = (value >> (BigInt(count - 1 - index) * bits)) & ((1n << bits) - 1n);
    return part.toString(family === 4 ? 10 : 16);
  });
  return parts.join(family === 4 ? '.' : ':');
}

/** Bits of the host part do not matter, as in Kubernetes. Undefined for what is no range. */
export function parseRange(cidr: string): { readonly family: Family; readonly range: Range } | undefined {
  const [address = '', length = '', ...extra] = cidr.split('/');
  const family = familyOf(address);
  if (family === undefined || extra.length > 0 || !/^\d{1,3}$/.test(length)) return undefined;
  const hostBits = BigInt(bitsOf(family) - Number(length));
  if (hostBits < 0n) return undefined;
  const first = (addressValue(address, family) >> hostBits) << hostBits;
  return { family, range: { first, last: first + (1n << hostBits) - 1n } };
}

/** In order, without overlaps, neighbours joined. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    const last = merged.at(-1);
    if (!last || range.first > last.last + 1n) merged.push(range);
    else if (range.last > last.last) merged[merged.length - 1] = { first: last.first, last: range.last };
  }
  return merged;
}

/** What of `range` is in none of `holes`. */
export function subtractRanges(range: Range, holes: readonly Range[]): Range[] {
  const rest: Range[] = [];
  let { first } = range;
  for (const hole of mergeRanges(holes)) {
    if (hole.last < first || hole.first > range.last) continue;
    if (hole.first > first) rest.push({ first, last: hole.first - 1n });
    first = hole.last + 1n;
  }
  return first > range.last ? rest : [...rest, { first, last: range.last }];
}

export function isWithin(ranges: readonly Range[], value: bigint): boolean {
  return ranges.some(({ first, last }) => value >= first && value <= last);
}

function joined(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((value, part) => (value << bits) + BigInt(part), 0n);
}

/** The eight groups, with `::` filled and a dotted end (`::ffff:10.0.0.1`) as two of them. */
function groupsOf(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const before = groups(head);
  if (tail === undefined) return before;
  const after = groups(tail);
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap(part => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
