/**
 * What an expression may cost at worst, before it is ever evaluated, from the bounds that its schema names (cel-go
 * checker/cost.go and apiserver cel/library/cost.go). Whether a rule may be stored depends on these figures.
 */
import { AUTHORIZATION_COST, CHARACTER_COST, PATTERN_COST } from './call-cost.ts';
import type { Checked } from './checker.ts';
import type { CostKind, Overload } from './functions/library.ts';
import {
  add,
  capped,
  exactly,
  MAX,
  maximum,
  minimum,
  multiply,
  NOTHING,
  ONE,
  type Range,
  scaled,
  scan,
  UNKNOWN,
  union,
} from './ranges.ts';
import { fieldKey, type SchemaType } from './schema.ts';
import { LIST_COST, MAP_COST } from './steps.ts';
import type { Comprehension, Expression } from './syntax.ts';
import type { Type } from './types.ts';
import { sizeOf } from './values.ts';

/** The types, with their bounds, of variables whose schema is known. */
export type KnownTypes = ReadonlyMap<string, SchemaType>;

/** The greatest cost that evaluating the expression once may have. */
export function estimateCost(checked: Checked, known: KnownTypes): bigint {
  return new Estimator(checked, known).cost(checked.expression).max;
}

/** What is known of a value besides its type. */
interface Place {
  /** Its schema, if it is part of a variable whose schema is known. */
  readonly schema?: SchemaType | undefined;
  readonly size?: Range | undefined;
  /** Sizes of what a list or map that the expression made holds. */
  readonly elementSize?: Range | undefined;
  readonly keySize?: Range | undefined;
}

class Estimator {
  readonly #checked: Checked;
  readonly #known: KnownTypes;
  readonly #places = new Map<Expression, Place>();
  readonly #locals: (readonly [string, Place])[] = [];

  constructor(checked: Checked, known: KnownTypes) {
    this.#checked = checked;
    this.#known = known;
  }

  cost(expression: Expression): Range {
    switch (expression.kind) {
      case 'literal':
        this.#places.set(expression, { size: exactly(sizeOf(expression.value)) });
        return NOTHING;
      case 'name':
        this.#places.set(expression, this.#named(expression));
        return ONE;
      case 'select':
        return this.#select(expression);
      case 'has':
        return this.cost(expression.operand);
      case 'logic':
        return this.#logic(expression.operands);
      case 'list':
        return this.#list(expression);
      case 'map':
        return this.#map(expression);
      case 'call':
        return this.#call(expression);
      case 'comprehension':
        return this.#comprehension(expression);
      case 'bind':
        return this.#bind(expression);
    }
  }

  #named(expression: Extract<Expression, { kind: 'name' }>): Place {
    const { reference } = this.#checked.info(expression);
    if (reference !== undefined) return { schema: this.#known.get(reference) };
    return this.#locals.findLast(([name]) => name === expression.name)?.[1] ?? {};
  }

  #place(expression: Expression): Place {
    return this.#places.get(expression) ?? {};
  }

  #size(expression: Expression): Range {
    const { size, schema } = this.#place(expression);
    return size ?? schemaSize(schema) ?? typeSize(this.#checked.info(expression).type) ?? UNKNOWN;
  }

  #select(expression: Extract<Expression, { kind: 'select' }>): Range {
    if (this.#checked.info(expression).reference !== undefined) return ONE;
    const operand = this.cost(expression.operand);
    const { schema } = this.#place(expression.operand);
    this.#places.set(expression, {
      schema: schema?.fields?.get(fieldKey(schema.fields, expression.field)) ?? schema?.element,
    });
    const { kind } = this.#checked.info(expression.operand).type;
    const isCounted = kind === 'map' || kind === 'object' || kind === 'parameter';
    return isCounted || expression.isOptional ? add(operand, ONE) : operand;
  }

  #logic(operands: readonly Expression[]): Range {
    return operands
      .map(operand => this.cost(operand))
      .reduce((left, right) => ({ min: left.min, max: add(left, right).max }));
  }

  #list(expression: Extract<Expression, { kind: 'list' }>): Range {
    const costs = expression.elements.map(element => this.cost(element));
    const sizes = expression.elements.map(element => this.#size(element));
    this.#places.set(expression, {
      size: exactly(expression.elements.length),
      elementSize: sizes.length === 0 ? NOTHING : sizes.reduce(union),
      keySize: ONE,
    });
    return costs.reduce(add, exactly(LIST_COST));
  }

  #map(expression: Extract<Expression, { kind: 'map' }>): Range {
    const costs = expression.entries.flat().map(part => this.cost(part));
    const keys = expression.entries.map(([key]) => this.#size(key));
    const values = expression.entries.map(([, value]) => this.#size(value));
    this.#places.set(expression, {
      size: exactly(expression.entries.length),
      keySize: keys.length === 0 ? NOTHING : keys.reduce(union),
      elementSize: values.length === 0 ? NOTHING : values.reduce(union),
    });
    return costs.reduce(add, exactly(MAP_COST));
  }

  #call(expression: Extract<Expression, { kind: 'call' }>): Range {
    const { name, target, args } = expression;
    const { overloads = [], isNamespaced } = this.#checked.info(expression);
    const parts = target && !isNamespaced ? [target, ...args] : args;
    const costs = parts.map(part => this.cost(part));
    if (name === '_?_:_') return this.#conditional(expression, parts, costs);
    const sum = costs.reduce(add, NOTHING);
    if (name === 'dyn' && parts[0]) {
      this.#places.set(expression, this.#place(parts[0]));
      return add(sum, ONE);
    }
    const estimates = overloads.map(overload => this.#overload(overload, parts));
    if (estimates.length === 0) return sum;
    this.#places.set(expression, this.#resultPlace(expression, overloads, parts, estimates));
    return add(sum, estimates.map(({ cost }) => cost).reduce(union));
  }

  #conditional(expression: Expression, parts: readonly Expression[], costs: readonly Range[]): Range {
    const [, then, otherwise] = parts;
    const [condition = NOTHING, thenCost = NOTHING, otherwiseCost = NOTHING] = costs;
    if (then && otherwise) {
      const [a, b] = [this.#place(then), this.#place(otherwise)];
      this.#places.set(expression, {
        size: union(this.#size(then), this.#size(otherwise)),
        elementSize: a.elementSize && b.elementSize && union(a.elementSize, b.elementSize),
        keySize: a.keySize && b.keySize && union(a.keySize, b.keySize),
      });
    }
    return add(condition, union(thenCost, otherwiseCost));
  }

  /** Where the result of a call stands: part of the schema if it was an index, else as large as the estimates say. */
  #resultPlace(
    { name }: Extract<Expression, { kind: 'call' }>,
    overloads: readonly Overload[],
    parts: readonly Expression[],
    estimates: readonly { readonly size?: Range | undefined }[],
  ): Place {
    const [first, second] = parts.map(part => this.#place(part));
    if ((name === '_[_]' || name === '_[?_]') && first) {
      return { schema: first.schema?.element, size: first.elementSize };
    }
    const sizes = estimates.flatMap(({ size }) => (size ? [size] : []));
    const size = sizes.length === 0 ? undefined : sizes.reduce(union);
    if (!overloads.some(({ cost }) => cost === 'concatenateLists') || !first?.elementSize || !second?.elementSize) {
      return { size };
    }
    return { size, elementSize: union(first.elementSize, second.elementSize), keySize: ONE };
  }

  #overload(
    { name, parameters, cost }: Overload,
    parts: readonly Expression[],
  ): { cost: Range; size?: Range | undefined } {
    const sizes = parts.map(part => this.#size(part));
    const [first = NOTHING] = sizes;
    if (cost === 'traverse') return { cost: this.#traversal(parts[0], first) };
    if (cost === 'split' && parts.length > 2) {
      const limit = parts[2]?.kind === 'literal' ? parts[2].value : undefined;
      const max = typeof limit === 'bigint' ? (limit < 0n ? MAX : limit) : first.max;
      return { cost: scaled(first, 2 * CHARACTER_COST), size: { min: 0n, max } };
    }
    if (cost === 'join') return this.#join(parts, sizes);
    const estimate = callEstimate(cost, sizes);
    // cel-go takes the text of a number to be as long as can be, and refuses messages that its own manual shows.
    const isShort = name === 'string' && parameters[0]?.kind !== 'string' && parameters[0]?.kind !== 'bytes';
    return isShort ? { ...estimate, size: { min: 1n, max: SHORT_TEXT_MAX } } : estimate;
  }

  /** Each element, and the characters of texts. */
  #traversal(list: Expression | undefined, size: Range): Range {
    const type = list && this.#checked.info(list).type;
    if (!list || type?.kind !== 'list') return scan(size);
    const isText = type.element.kind === 'string' || type.element.kind === 'bytes';
    return multiply(size, isText ? add(ONE, scan(this.#elementSize(list))) : ONE);
  }

  #elementSize(list: Expression): Range {
    const { elementSize, schema } = this.#place(list);
    return elementSize ?? schemaSize(schema?.element) ?? UNKNOWN;
  }

  #join([list]: readonly Expression[], [count = NOTHING, separator]: readonly Range[]): { cost: Range; size: Range } {
    let size = list ? multiply(count, this.#elementSize(list)) : NOTHING;
    if (separator) {
      const between = { min: maximum(count.min - 1n, 0n), max: maximum(count.max - 1n, 0n) };
      size = add(size, multiply(separator, between));
    }
    return { cost: scan(size), size };
  }

  #bind({ name, value, body }: Extract<Expression, { kind: 'bind' }>): Range {
    const given = this.cost(value);
    this.#locals.push([name, { ...this.#place(value), size: this.#place(value).size }]);
    const inner = this.cost(body);
    this.#locals.pop();
    // cel-go binds through a comprehension over an empty list.
    return [given, exactly(LIST_COST), inner].reduce(add);
  }

  #comprehension(expression: Comprehension): Range {
    const { macro, range, variables, predicate, transform } = expression;
    const rangeCost = this.cost(range);
    const places = this.#iterated(range, variables.length);
    const before = this.#locals.length;
    variables.forEach((name, index) => {
      this.#locals.push([name, places[index] ?? {}]);
    });
    const decision = predicate ? this.cost(predicate) : NOTHING;
    const made = transform ? this.cost(transform) : NOTHING;
    const elementSize = transform ? this.#size(transform) : places.at(-1)?.size;
    this.#locals.length = before;
    const shape = SHAPES[macro];
    const count = this.#size(range);
    const isMade =
      macro === 'map' || macro === 'filter' || macro === 'transformList' || macro.startsWith('transformMap');
    this.#places.set(
      expression,
      isMade ? { size: { min: 0n, max: count.max }, elementSize, keySize: ONE } : { size: ONE },
    );
    const step = shape.step(
      decision,
      add(made, transform || macro !== 'filter' ? NOTHING : ONE),
      predicate !== undefined,
    );
    return [rangeCost, shape.before, multiply(count, step), shape.after].reduce(add);
  }

  /** What is known of a comprehension's variables. */
  #iterated(range: Expression, count: number): readonly Place[] {
    const { schema, elementSize, keySize } = this.#place(range);
    const isMapRange = this.#checked.info(range).type.kind === 'map';
    const element: Place = { schema: schema?.element, size: elementSize };
    const key: Place = isMapRange ? { schema: schema?.key, size: keySize } : { size: ONE };
    if (count === 2) return [key, element];
    return [isMapRange ? key : element];
  }
}

/** A size as its schema bounds it. */
function schemaSize(schema: SchemaType | undefined): Range | undefined {
  return schema && { min: 0n, max: schema.sizeMax };
}

/** The size of what is always of one size. */
function typeSize({ kind }: Type): Range | undefined {
  switch (kind) {
    case 'bool':
    case 'int':
    case 'uint':
    case 'double':
    case 'null':
    case 'timestamp':
    case 'duration':
    case 'type':
      return ONE;
    default:
      return undefined;
  }
}

/** Characters of a number, a moment or an address as text. */
const SHORT_TEXT_MAX = 64n;
const ADDRESS_SIZE: Range = { min: 4n, max: 16n };

/** The cost of a call by the sizes of its arguments, and how large its result may be. */
function callEstimate(kind: CostKind, sizes: readonly Range[]): { cost: Range; size?: Range | undefined } {
  const [first = NOTHING, second = NOTHING, third = NOTHING] = sizes;
  switch (kind) {
    case 'authorization':
      return { cost: exactly(AUTHORIZATION_COST) };
    case 'scan':
      return { cost: scan(first), size: first };
    case 'scanTwice':
      return { cost: scaled(first, 2 * CHARACTER_COST) };
    case 'scanSecond':
      return { cost: scan(second) };
    case 'compare':
      return { cost: scan(lesser(first, second)) };
    case 'append': {
      const size = add(first, second);
      return { cost: scan(size), size };
    }
    case 'concatenateLists':
      return { cost: ONE, size: add(first, second) };
    case 'member':
      return { cost: second };
    case 'matches':
      return { cost: multiply(scan(add(first, ONE)), scaled(second, PATTERN_COST)) };
    case 'find':
      return {
        cost: multiply(scan(add(first, ONE)), scaled(second, PATTERN_COST)),
        size: { min: 0n, max: first.max },
      };
    case 'contains':
      return { cost: multiply(scan(first), scan(second)) };
    case 'replace':
      return { cost: scaled(first, 2 * CHARACTER_COST), size: replacedSize(first, second, third) };
    case 'split':
      return { cost: scaled(first, 2 * CHARACTER_COST), size: { min: 0n, max: first.max } };
    case 'toBytes':
      return { cost: scan(first), size: { min: first.min, max: capped(first.max * 4n) } };
    case 'fromBytes':
      return { cost: scan(first), size: { min: first.min / 4n, max: first.max } };
    case 'sets':
      return { cost: add(ONE, multiply(first, second)) };
    case 'cidrIP':
      return { cost: scan(add(ADDRESS_SIZE, ADDRESS_SIZE)) };
    case 'cidrIPText':
      return { cost: add(scan(add(ADDRESS_SIZE, ADDRESS_SIZE)), scan(second)) };
    case 'cidrCIDR':
    case 'cidrCIDRText': {
      const cost = [scan(add(ADDRESS_SIZE, ADDRESS_SIZE)), scan(ADDRESS_SIZE), ONE].reduce(add);
      return { cost: kind === 'cidrCIDRText' ? add(cost, scan(second)) : cost };
    }
    default:
      return { cost: ONE };
  }
}

/** Comparing ends where the smaller one does. */
function lesser(a: Range, b: Range): Range {
  const max = minimum(a.max, b.max);
  return { min: max > 0n ? 1n : 0n, max };
}

function replacedSize(text: Range, wanted: Range, by: Range): Range {
  const most =
    wanted.min === 0n
      ? { count: capped(text.max + 1n), kept: text.max }
      : by.max <= wanted.min
        ? { count: 0n, kept: text.max }
        : { count: text.max / wanted.min + 1n, kept: 0n };
  return { min: 0n, max: capped(most.count * by.max + most.kept) };
}

interface Shape {
  readonly before: Range;
  readonly after: Range;
  /** For one element: with the costs of predicate and transformation. */
  step(decision: Range, made: Range, isFiltered: boolean): Range;
}

const either = (decision: Range, chosen: Range): Range => add(decision, union(chosen, ONE));
const APPENDED = exactly(1 + LIST_COST + 1);
const list: Shape = {
  before: exactly(LIST_COST),
  after: ONE,
  step: (decision, made, isFiltered) => (isFiltered ? either(decision, add(APPENDED, made)) : add(APPENDED, made)),
};
const map: Shape = {
  before: exactly(MAP_COST),
  after: ONE,
  step: (decision, made, isFiltered) => (isFiltered ? either(decision, add(exactly(2), made)) : add(exactly(2), made)),
};
/** What each macro becomes in cel-go, as costs. */
const SHAPES: Readonly<Record<Comprehension['macro'], Shape>> = {
  all: { before: NOTHING, after: ONE, step: decision => ({ min: 3n, max: capped(3n + decision.max) }) },
  exists: { before: NOTHING, after: ONE, step: decision => ({ min: 4n, max: capped(4n + decision.max) }) },
  exists_one: { before: NOTHING, after: exactly(2), step: decision => either(decision, exactly(2)) },
  map: list,
  filter: list,
  transformList: list,
  transformMap: map,
  transformMapEntry: map,
};
