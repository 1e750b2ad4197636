/** Arithmetic on lists of resources (`cpu: 500m, memory: 1Gi`), exact, as k8s.io/apiserver/pkg/quota/v1 does it. */
import type { Quantity as QuantityText } from '../generated/types.ts';
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  negateQuantity,
  parseQuantity,
  type Quantity,
} from '../schema/quantity.ts';

/** Amounts by the name of the resource. Nobody changes one that he was given. */
export type ResourceAmounts = ReadonlyMap<string, Quantity>;
export type ResourceTexts = Readonly<Record<string, QuantityText>>;

export const NOTHING: ResourceAmounts = new Map();
export const ZERO = parseQuantity('0');
export const ONE = parseQuantity('1');

/** A count as a quantity. */
export const countOf = (count: number): Quantity => parseQuantity(String(count));

/** Reads a list of an object that was validated. Throws QuantityError for what is none. */
export function readAmounts(texts: ResourceTexts | undefined): ResourceAmounts {
  return new Map(Object.entries(texts ?? {}).map(([name, text]) => [name, parseQuantity(String(text))]));
}

/** The list as objects hold it, names in order. */
export function writeAmounts(amounts: ResourceAmounts): Record<string, string> {
  return Object.fromEntries(sortedNames(amounts).map(name => [name, formatQuantity(amountOf(amounts, name))]));
}

/** `cpu=500m,memory=1Gi`: how messages show a list. */
export function showAmounts(amounts: ResourceAmounts): string {
  return sortedNames(amounts)
    .map(name => `${name}=${formatQuantity(amountOf(amounts, name))}`)
    .join(',');
}

export const amountOf = (amounts: ResourceAmounts, name: string): Quantity => amounts.get(name) ?? ZERO;
const sortedNames = (amounts: ResourceAmounts): string[] => [...amounts.keys()].sort();

/** The sum; what only one of them names is in it too. */
export function addAmounts(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  const sum = new Map(a);
  for (const [name, amount] of b) {
    const present = sum.get(name);
    sum.set(name, present ? addQuantities(present, amount) : amount);
  }
  return sum;
}

/** What `a` has more than `b`, of the names that `a` has; never below zero. */
export function excessOf(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  return mapAmounts(a, (amount, name) => {
    const difference = addQuantities(amount, negateQuantity(amountOf(b, name)));
    return difference.unscaled < 0n ? ZERO : difference;
  });
}

/** The larger of each. */
export function maxAmounts(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  const max = new Map(a);
  for (const [name, amount] of b) {
    const present = max.get(name);
    if (!present || compareQuantities(amount, present) > 0) max.set(name, amount);
  }
  return max;
}

/** Only the given names. */
export function maskAmounts(amounts: ResourceAmounts, names: ReadonlySet<string>): ResourceAmounts {
  return new Map([...amounts].filter(([name]) => names.has(name)));
}

export function withoutZeros(amounts: ResourceAmounts): ResourceAmounts {
  return new Map([...amounts].filter(([, { unscaled }]) => unscaled !== 0n));
}

/** The names of which there is more than `limits` allow; what they do not name has no limit. */
export function exceededNames(amounts: ResourceAmounts, limits: ResourceAmounts): Set<string> {
  const exceeded = [...amounts].filter(([name, amount]) => {
    const limit = limits.get(name);
    return limit !== undefined && compareQuantities(amount, limit) > 0;
  });
  return new Set(exceeded.map(([name]) => name));
}

/** True if both name the same resources with the same values, however written. */
export function areSameAmounts(a: ResourceAmounts, b: ResourceAmounts): boolean {
  if (a.size !== b.size) return false;
  return [...a].every(([name, amount]) => {
    const other = b.get(name);
    return other !== undefined && compareQuantities(amount, other) === 0;
  });
}

function mapAmounts(amounts: ResourceAmounts, map: (amount: Quantity, name: string) => Quantity): ResourceAmounts {
  return new Map([...amounts].map(([name, amount]) => [name, map(amount, name)]));
}

/** The difference, which may be below zero. */
export function subtractAmounts(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  return addAmounts(
    a,
    mapAmounts(b, amount => negateQuantity(amount)),
  );
}

export const withoutNegatives = (amounts: ResourceAmounts): ResourceAmounts =>
  mapAmounts(amounts, amount => (amount.unscaled < 0n ? ZERO : amount));
