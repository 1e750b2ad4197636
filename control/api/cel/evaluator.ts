/**
 * Evaluates checked expressions. An expression is planned once, into functions that call each other, and evaluated as
 * often as wanted; every step is charged to a budget as cel-go charges it (interpreter/runtimecost.go), so an evaluation
 * ends soon whatever it is given.
 */
import type { Budget } from './budget.ts';
import { callCost } from './call-cost.ts';
import { type Checked, isOperator } from './checker.ts';
import { iterate, RUNNERS } from './comprehensions.ts';
import type { Overload } from './functions/library.ts';
import { FAILURE_STEPS } from './limits.ts';
import { Opaque } from './opaque.ts';
import { asFailure, LIST_COST, MAP_COST, type Program, type Step } from './steps.ts';
import type { Comprehension, Expression } from './syntax.ts';
import type { Type } from './types.ts';
import {
  ArrayList,
  Duration,
  EntryMap,
  EvaluationError,
  isList,
  isMap,
  noSuchKey,
  noSuchOverload,
  Optional,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from './values.ts';

/** Plans a checked expression that has no issues. */
export function plan(checked: Checked): Program {
  const step = new Planner(checked).plan(checked.expression);
  return (variables, budget) => {
    try {
      return step({ variables, budget, slots: [] });
    } catch (error) {
      // Values may be nested deeper than the stack goes.
      if (error instanceof RangeError) throw new EvaluationError('value is nested too deep');
      throw error;
    }
  };
}

class Planner {
  readonly #checked: Checked;
  /** Names of comprehensions' variables around the present place; the index is the slot. */
  readonly #locals: string[] = [];

  constructor(checked: Checked) {
    this.#checked = checked;
  }

  plan(expression: Expression): Step {
    switch (expression.kind) {
      case 'literal': {
        const { value } = expression;
        return () => value;
      }
      case 'name':
        return this.#name(expression);
      case 'select':
        return this.#select(expression);
      case 'has':
        return this.#has(expression);
      case 'call':
        return this.#call(expression);
      case 'logic':
        return this.#logic(expression);
      case 'list':
        return this.#list(expression.elements);
      case 'map':
        return this.#map(expression.entries);
      case 'comprehension':
        return this.#comprehension(expression);
      case 'bind':
        return this.#bind(expression);
    }
  }

  #name(expression: Extract<Expression, { kind: 'name' }>): Step {
    const { reference } = this.#checked.info(expression);
    if (reference !== undefined) return variable(reference);
    const slot = this.#locals.lastIndexOf(expression.name);
    return ({ slots, budget }) => {
      budget.spend(1);
      return slots[slot] ?? null;
    };
  }

  #select(expression: Extract<Expression, { kind: 'select' }>): Step {
    const { reference } = this.#checked.info(expression);
    if (reference !== undefined) return variable(reference);
    const operand = this.plan(expression.operand);
    const { field, isOptional } = expression;
    return context => {
      const value = operand(context);
      context.budget.spend(1);
      if (isOptional || value instanceof Optional) {
        const found = optionalField(value, field);
        return found === undefined ? Optional.NONE : new Optional(found);
      }
      const found = fieldOf(value, field);
      if (found === undefined) throw noSuchKey(field);
      return found;
    };
  }

  #has({ operand, field }: Extract<Expression, { kind: 'has' }>): Step {
    const step = this.plan(operand);
    return context => optionalField(step(context), field) !== undefined;
  }

  #logic({ operands, isAnd }: Extract<Expression, { kind: 'logic' }>): Step {
    const steps = operands.map(operand => this.plan(operand));
    // An operand that decides makes the others' errors meaningless.
    return context => {
      let failure: EvaluationError | undefined;
      for (const step of steps) {
        try {
          const value = step(context);
          if (value === !isAnd) return value;
          if (value !== isAnd) failure ??= noSuchOverload();
        } catch (error) {
          const overlooked = asFailure(error);
          context.budget.step(FAILURE_STEPS);
          failure ??= overlooked;
        }
      }
      if (failure) throw failure;
      return isAnd;
    };
  }

  #list(elements: readonly Expression[]): Step {
    const steps = elements.map(element => this.plan(element));
    return context => {
      const values = steps.map(step => step(context));
      context.budget.spend(LIST_COST);
      return new ArrayList(values);
    };
  }

  #map(entries: readonly (readonly [Expression, Expression])[]): Step {
    const steps = entries.map(([key, value]) => [this.plan(key), this.plan(value)] as const);
    return context => {
      const values = steps.map(([key, value]) => [key(context), value(context)] as const);
      context.budget.spend(MAP_COST);
      return new EntryMap(values);
    };
  }

  #call(expression: Extract<Expression, { kind: 'call' }>): Step {
    const { name, target, args } = expression;
    if (name === '_?_:_') return this.#conditional(args);
    const info = this.#checked.info(expression);
    const hasTarget = target !== undefined && !info.isNamespaced;
    const steps = (hasTarget ? [target, ...args] : args).map(arg => this.plan(arg));
    const overloads = info.overloads ?? [];
    const [only] = overloads;
    if (only && LAZY.has(name) && only.parameters[0]?.kind === 'opaque') return lazyOptional(name, steps);
    const shown = isOperator(name) ? '' : name;
    return context => {
      const values = steps.map(step => step(context));
      const overload = overloads.find(candidate => fits(candidate, values));
      if (!overload) throw noSuchOverload(shown);
      return charged(overload, values, context.budget);
    };
  }

  #conditional(args: readonly Expression[]): Step {
    const [condition, then, otherwise] = args.map(arg => this.plan(arg));
    if (!condition || !then || !otherwise) throw new Error('a conditional has three parts');
    return context => {
      const decision = condition(context);
      if (typeof decision !== 'boolean') throw noSuchOverload();
      return decision ? then(context) : otherwise(context);
    };
  }

  #bind({ name, value, body, over }: Extract<Expression, { kind: 'bind' }>): Step {
    const given = this.plan(value);
    const slot = this.#locals.push(name) - 1;
    const inner = this.plan(body);
    this.#locals.pop();
    return context => {
      const bound = given(context);
      if (!over) {
        context.slots[slot] = bound;
        return inner(context);
      }
      if (!(bound instanceof Optional)) throw noSuchOverload(over);
      if (bound.value === undefined) return Optional.NONE;
      context.slots[slot] = bound.value;
      const result = inner(context);
      return over === 'optMap' ? new Optional(result) : result;
    };
  }

  #comprehension(expression: Comprehension): Step {
    const range = this.plan(expression.range);
    const firstSlot = this.#locals.length;
    this.#locals.push(...expression.variables);
    const predicate = expression.predicate && this.plan(expression.predicate);
    const transform = expression.transform && this.plan(expression.transform);
    this.#locals.length = firstSlot;
    const run = RUNNERS[expression.macro];
    const isPair = expression.variables.length === 2;
    return context => {
      const entries = iterate(range(context), isPair, context, firstSlot);
      return run({ entries, context, firstSlot, predicate, transform, isPair });
    };
  }
}

function variable(name: string): Step {
  return ({ variables, budget }) => {
    budget.spend(1);
    const value = variables(name);
    if (value === undefined) throw new EvaluationError(`no such attribute(s): ${name}`);
    return value;
  };
}

function fieldOf(value: Value, field: string): Value | undefined {
  if (typeof value !== 'object' || value === null || !isMap(value)) throw noSuchOverload();
  return value.get(field);
}

function optionalField(value: Value, field: string): Value | undefined {
  const inner = value instanceof Optional ? value.value : value;
  return inner === undefined ? undefined : fieldOf(inner, field);
}

function charged(overload: Overload, values: readonly Value[], budget: Budget): Value {
  // What is sure to be charged is charged before the work is done.
  if (overload.cost !== 'join') budget.spend(callCost(overload.cost, values, null));
  const result = overload.call(values, budget);
  if (overload.cost === 'join') budget.spend(callCost('join', values, result));
  return result;
}

function fits({ parameters }: Overload, values: readonly Value[]): boolean {
  return parameters.every((type, index) => isOfType(values[index] ?? null, type));
}

/** Whether a value is of that type, as far as overloads tell types apart. */
function isOfType(value: Value, type: Type): boolean {
  switch (type.kind) {
    case 'dyn':
    case 'error':
    case 'parameter':
      return true;
    case 'string':
      return typeof value === 'string';
    case 'bool':
      return typeof value === 'boolean';
    case 'int':
      return typeof value === 'bigint';
    case 'double':
      return typeof value === 'number';
    case 'null':
      return value === null;
    default:
  }
  if (typeof value !== 'object' || value === null) return false;
  switch (type.kind) {
    case 'uint':
      return value instanceof Uint;
    case 'bytes':
      return value instanceof Uint8Array;
    case 'timestamp':
      return value instanceof Timestamp;
    case 'duration':
      return value instanceof Duration;
    case 'type':
      return value instanceof TypeValue;
    case 'list':
      return isList(value);
    case 'map':
    case 'object':
      return isMap(value);
    case 'opaque': {
      const [inner] = type.parameters;
      if (type.name !== 'optional_type') return value instanceof Opaque && value.typeName === type.name;
      return value instanceof Optional && (value.value === undefined || !inner || isOfType(value.value, inner));
    }
    default:
      return false;
  }
}

const LAZY: ReadonlySet<string> = new Set(['or', 'orValue']);

/** The other value is only looked at where there is none. */
function lazyOptional(name: string, [target, other]: readonly Step[]): Step {
  if (!target || !other) throw new Error(`${name} has a target and an argument`);
  return context => {
    const value = target(context);
    context.budget.spend(1);
    if (!(value instanceof Optional)) throw noSuchOverload(name);
    if (value.value === undefined) return other(context);
    return name === 'or' ? value : value.value;
  };
}
