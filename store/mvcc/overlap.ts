/**
 * One revision holds at most one change of a key, so in no transaction may a key be put twice, nor both put and deleted, as
 * in etcd. Of a transaction within a transaction both branches count: which of them runs is not known beforehand.
 */
import type { Operation } from '../client/client.ts';
import { type SortRange, sortName, sortRange } from './keys.ts';

/** What operations may write, by sort names. */
interface Footprint {
  readonly puts: Set<string>;
  readonly deletes: SortRange[];
}

/** Says which operations of one branch get in each other's way, or undefined. */
export function overlapProblem(operations: readonly Operation[]): string | undefined {
  const result = footprintOf(operations);
  return typeof result === 'string' ? result : undefined;
}

function footprintOf(operations: readonly Operation[]): Footprint | string {
  const all: Footprint = { puts: new Set(), deletes: [] };
  for (const operation of operations) {
    const one = operationFootprint(operation);
    if (typeof one === 'string') return one;
    const problem = clash(all, one);
    if (problem !== undefined) return problem;
    merge(all, one);
  }
  return all;
}

function operationFootprint(operation: Operation): Footprint | string {
  switch (operation.type) {
    case 'put':
      return { puts: new Set([sortName(operation.key)]), deletes: [] };
    case 'delete': {
      const name = sortName(operation.key);
      const range = operation.end === undefined ? { start: name, end: `${name}\0` } : undefined;
      return { puts: new Set(), deletes: [range ?? sortRange(operation.key, operation.end ?? '')] };
    }
    case 'range':
      return { puts: new Set(), deletes: [] };
    case 'transaction': {
      const then = footprintOf(operation.then);
      if (typeof then === 'string') return then;
      const otherwise = footprintOf(operation.otherwise ?? []);
      if (typeof otherwise === 'string') return otherwise;
      merge(then, otherwise);
      return then;
    }
  }
}

function clash(all: Footprint, one: Footprint): string | undefined {
  for (const name of one.puts) {
    if (all.puts.has(name)) return `the key ${name} is written twice in one transaction`;
    if (all.deletes.some(range => isIn(name, range))) return `the key ${name} is both written and deleted`;
  }
  for (const range of one.deletes) {
    for (const name of all.puts) if (isIn(name, range)) return `the key ${name} is both written and deleted`;
  }
  return undefined;
}

function merge(all: Footprint, one: Footprint): void {
  for (const name of one.puts) all.puts.add(name);
  all.deletes.push(...one.deletes);
}

function isIn(name: string, { start, end }: SortRange): boolean {
  return name >= start && (end === undefined || name < end);
}
