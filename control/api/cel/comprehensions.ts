/** How the macros run over lists and maps, and what each element costs besides the expressions themselves. */
import { FAILURE_STEPS } from './limits.ts';
import { asFailure, type Context, LIST_COST, MAP_COST, type Step } from './steps.ts';
import type { Comprehension } from './syntax.ts';
import { ArrayList, EntryMap, type EvaluationError, isList, isMap, noSuchOverload, type Value } from './values.ts';

export interface Running {
  /** Sets the variables and yields once for each element. */
  readonly entries: Iterable<readonly [Value, Value]>;
  readonly context: Context;
  readonly firstSlot: number;
  readonly predicate: Step | undefined;
  readonly transform: Step | undefined;
  readonly isPair: boolean;
}

export function* iterate(
  range: Value,
  isPair: boolean,
  { slots }: Context,
  slot: number,
): Generator<readonly [Value, Value]> {
  if (typeof range !== 'object' || range === null) throw noSuchOverload();
  if (isList(range)) {
    for (let index = 0; index < range.size; index++) {
      const element = range.at(index);
      slots[slot] = isPair ? BigInt(index) : element;
      if (isPair) slots[slot + 1] = element;
      yield [BigInt(index), element];
    }
    return;
  }
  if (!isMap(range)) throw noSuchOverload();
  for (const key of range.keys()) {
    const value = isPair ? (range.get(key) ?? null) : null;
    slots[slot] = key;
    if (isPair) slots[slot + 1] = value;
    yield [key, isPair ? value : key];
  }
}

/** What cel-go's expansions of the macros cost for each element, besides predicate and transformation. */
const ALL_COST = 3;
const EXISTS_COST = 4;
const KEEP_COST = 1;
const COUNT_COST = 2;
const APPEND_COST = 1 + LIST_COST + 1;
const INSERT_COST = 1 + 1;
const RESULT_COST = 1;

function decided(predicate: Step | undefined, context: Context): boolean {
  const decision = predicate ? predicate(context) : true;
  if (typeof decision !== 'boolean') throw noSuchOverload();
  return decision;
}

/** `all` and `exists`: an element that decides makes the errors of others meaningless. */
function quantify({ entries, context, predicate }: Running, decides: boolean, cost: number): Value {
  let failure: EvaluationError | undefined;
  for (const _ of entries) {
    context.budget.spend(cost);
    try {
      if (decided(predicate, context) === decides) {
        context.budget.spend(RESULT_COST);
        return decides;
      }
    } catch (error) {
      const overlooked = asFailure(error);
      context.budget.step(FAILURE_STEPS);
      failure ??= overlooked;
    }
  }
  context.budget.spend(RESULT_COST);
  if (failure) throw failure;
  return !decides;
}

function collect({ entries, context, predicate, transform }: Running): Value {
  const made: Value[] = [];
  context.budget.spend(LIST_COST);
  for (const [, element] of entries) {
    if (!decided(predicate, context)) {
      context.budget.spend(KEEP_COST);
      continue;
    }
    context.budget.spend(APPEND_COST + (transform ? 0 : 1));
    made.push(transform ? transform(context) : element);
  }
  context.budget.spend(RESULT_COST);
  return new ArrayList(made);
}

function collectMap({ entries, context, predicate, transform }: Running, areEntries: boolean): Value {
  const made: (readonly [Value, Value])[] = [];
  context.budget.spend(MAP_COST);
  for (const [key] of entries) {
    if (!decided(predicate, context)) {
      context.budget.spend(KEEP_COST);
      continue;
    }
    context.budget.spend(INSERT_COST);
    const value = transform ? transform(context) : null;
    if (!areEntries) {
      made.push([key, value]);
      continue;
    }
    if (typeof value !== 'object' || value === null || !isMap(value)) throw noSuchOverload();
    for (const inner of value.keys()) {
      context.budget.step(1);
      made.push([inner, value.get(inner) ?? null]);
    }
  }
  context.budget.spend(RESULT_COST);
  return new EntryMap(made);
}

function countOne({ entries, context, predicate }: Running): Value {
  let count = 0;
  for (const _ of entries) {
    const holds = decided(predicate, context);
    context.budget.spend(holds ? COUNT_COST : KEEP_COST);
    if (holds) count++;
  }
  context.budget.spend(RESULT_COST + 1);
  return count === 1;
}

/** By macro. */
export const RUNNERS: Readonly<Record<Comprehension['macro'], (running: Running) => Value>> = {
  all: running => quantify(running, false, ALL_COST),
  exists: running => quantify(running, true, EXISTS_COST),
  exists_one: countOne,
  map: collect,
  filter: collect,
  transformList: collect,
  transformMap: running => collectMap(running, false),
  transformMapEntry: running => collectMap(running, true),
};
