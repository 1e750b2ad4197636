/** Ranges of costs and sizes, from the least to the most, in arithmetic that stays at its greatest value. */
import { CHARACTER_COST } from './call-cost.ts';

/** Costs and sizes are unsigned 64 bit numbers that stay at their greatest value. */
export const MAX = 2n ** 64n - 1n;
export const capped = (value: bigint): bigint => (value > MAX ? MAX : value);
export const minimum = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const maximum = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** From the least to the most. */
export interface Range {
  readonly min: bigint;
  readonly max: bigint;
}
export const exactly = (value: bigint | number): Range => ({ min: BigInt(value), max: BigInt(value) });
export const ONE = exactly(1);
export const NOTHING = exactly(0);
export const UNKNOWN: Range = { min: 0n, max: MAX };
export const add = (a: Range, b: Range): Range => ({ min: capped(a.min + b.min), max: capped(a.max + b.max) });
export const multiply = (a: Range, b: Range): Range => ({ min: capped(a.min * b.min), max: capped(a.max * b.max) });
export const union = (a: Range, b: Range): Range => ({ min: minimum(a.min, b.min), max: maximum(a.max, b.max) });

/** Times a factor, rounded up. */
export function scaled(range: Range, factor: number): Range {
  const scale = (value: bigint) => {
    const result = Math.ceil(Number(value) * factor);
    return result >= 2 ** 64 ? MAX : BigInt(result);
  };
  return { min: scale(range.min), max: scale(range.max) };
}
export const scan = (size: Range): Range => scaled(size, CHARACTER_COST);
