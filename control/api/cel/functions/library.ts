/** How functions are declared: one signature, one implementation, one kind of cost. */
import type { Budget } from '../budget.ts';
import {
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  NULL,
  opaque,
  optionalOf,
  parameter,
  STRING,
  TIMESTAMP,
  type Type,
  typeOf,
  UINT,
} from '../types.ts';
import type { Value } from '../values.ts';

/**
 * How a call is charged, in the words of Kubernetes' cost model (cel-go runtimecost.go, apiserver cel/library/cost.go):
 * what the work is proportional to. `one` is a unit whatever the arguments.
 */
export type CostKind =
  | 'one'
  | 'authorization'
  /** A tenth of the first argument's characters, once or twice. */
  | 'scan'
  | 'scanTwice'
  /** A tenth of the second's. */
  | 'scanSecond'
  /** A tenth of the result's, twice. */
  | 'join'
  /** A tenth of the smaller one's. */
  | 'compare'
  /** A tenth of both. */
  | 'append'
  | 'concatenateLists'
  /** The second's elements. */
  | 'member'
  | 'matches'
  | 'find'
  | 'contains'
  /** All of a list's elements, with their characters. */
  | 'traverse'
  | 'replace'
  | 'split'
  | 'cidrIP'
  | 'cidrIPText'
  | 'cidrCIDR'
  | 'cidrCIDRText'
  /** Two lists against each other. */
  | 'sets'
  | 'toBytes'
  | 'fromBytes';

export interface Overload {
  readonly name: string;
  /** Called as `target.name(…)`; the target is then the first parameter. */
  readonly isMember: boolean;
  readonly parameters: readonly Type[];
  readonly result: Type;
  readonly cost: CostKind;
  call(args: readonly Value[], budget: Budget): Value;
}

/**
 * Declares a function: `string->startsWith(string): bool` is called on a string, `size(string): int` is not. A capital
 * letter stands for any type. `implementation` gets values of the types that the signature names.
 */
export function define<A extends readonly Value[]>(
  signature: string,
  // Calls are only made with values that were matched with the signature, which TypeScript cannot see.
  implementation: (...args: A) => Value,
  cost: CostKind = 'one',
): Overload {
  return defineWithBudget<A>(signature, (_budget, ...args) => implementation(...args), cost);
}

/** The same for what has to count its work. */
export function defineWithBudget<A extends readonly Value[]>(
  signature: string,
  implementation: (budget: Budget, ...args: A) => Value,
  cost: CostKind = 'one',
): Overload {
  const match = /^(?:(.+)->)?([^(]+)\((.*)\): (.+)$/.exec(signature);
  if (!match) throw new TypeError(`not a signature: ${signature}`);
  const [, target, name = '', parameters = '', result = ''] = match;
  return {
    name,
    isMember: target !== undefined,
    parameters: [...(target === undefined ? [] : [target]), ...splitTypes(parameters)].map(parseType),
    result: parseType(result),
    cost,
    call: (args, budget) => implementation(budget, ...(args as unknown as A)),
  };
}

/** Splits at the commas that are not in brackets. */
function splitTypes(text: string): string[] {
  return text.trim() === '' ? [] : text.split(/,(?![^(]*\))/).map(part => part.trim());
}

const SIMPLE: Readonly<Record<string, Type>> = {
  dyn: DYN,
  null: NULL,
  bool: BOOL,
  int: INT,
  uint: UINT,
  double: DOUBLE,
  string: STRING,
  bytes: BYTES,
  timestamp: TIMESTAMP,
  duration: DURATION,
};

/** Reads a type as signatures write it. */
function parseType(text: string): Type {
  const simple = SIMPLE[text];
  if (simple) return simple;
  if (/^[A-Z]$/.test(text)) return parameter(text);
  const match = /^(\w+)\((.*)\)$/.exec(text);
  if (!match) return opaque(text);
  const [first = DYN, second = DYN] = splitTypes(match[2] ?? '').map(parseType);
  switch (match[1]) {
    case 'list':
      return listOf(first);
    case 'map':
      return mapOf(first, second);
    case 'optional':
      return optionalOf(first);
    case 'type':
      return typeOf(first);
    default:
      throw new TypeError(`not a type: ${text}`);
  }
}
