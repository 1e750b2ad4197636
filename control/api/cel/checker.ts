/**
 * Gives every part of an expression its type and tells what does not fit, in cel-go's words (cel-go checker/checker.go):
 * all mistakes at once, each with its place.
 */
import type { Overload } from './functions/library.ts';
import type { Comprehension, Expression, Literal } from './syntax.ts';
import type { Issue } from './syntax-errors.ts';
import {
  Bindings,
  BOOL,
  BYTES,
  DOUBLE,
  type DURATION,
  DYN,
  ERROR,
  formatType,
  INT,
  isAssignable,
  isDyn,
  isSameType,
  joined,
  listOf,
  mapOf,
  NULL,
  optionalOf,
  optionalValue,
  parameter,
  STRING,
  substitute,
  TIMESTAMP,
  type Type,
  UINT,
} from './types.ts';
import { Duration, Timestamp, Uint } from './values.ts';

/** What an expression may speak of. */
export interface Declarations {
  readonly variables: ReadonlyMap<string, Type>;
  /** By name. */
  readonly functions: ReadonlyMap<string, readonly Overload[]>;
}

/** What is known of one node after checking. */
export interface NodeInfo {
  type: Type;
  /** The overloads that a call may mean. */
  overloads?: readonly Overload[];
  /** The variable that a name, or a whole chain of names, stands for. */
  reference?: string;
  /** `optional.of(x)`: what looks like a target is part of the function's name. */
  isNamespaced?: boolean;
}

export interface Checked {
  readonly expression: Expression;
  readonly resultType: Type;
  readonly issues: readonly Issue[];
  /** Variables that it reads. */
  readonly references: ReadonlySet<string>;
  info(expression: Expression): NodeInfo;
}

/** Checks an expression against what is declared. */
export function check(expression: Expression, declarations: Declarations): Checked {
  const checker = new Checker(declarations);
  const resultType = checker.finish(expression);
  return {
    expression,
    resultType,
    issues: checker.issues,
    references: checker.references,
    info(node) {
      const found = checker.infos.get(node);
      if (!found) throw new Error('a node was not checked');
      return found;
    },
  };
}

/** `a.b.c` as one name; undefined if it is none. */
function qualifiedName(expression: Expression): string | undefined {
  if (expression.kind === 'name') return expression.name;
  if (expression.kind !== 'select' || expression.isOptional) return undefined;
  const operand = qualifiedName(expression.operand);
  return operand === undefined ? undefined : `${operand}.${expression.field}`;
}

const OPERATOR = /^[_@!-]/;

class Checker {
  readonly issues: Issue[] = [];
  readonly references = new Set<string>();
  readonly infos = new Map<Expression, NodeInfo>();
  readonly #declarations: Declarations;
  readonly #bindings = new Bindings();
  /** Variables of comprehensions, the innermost last. */
  readonly #scopes: Map<string, Type>[] = [];
  #freshCount = 0;

  constructor(declarations: Declarations) {
    this.#declarations = declarations;
  }

  finish(expression: Expression): Type {
    this.#visit(expression);
    for (const info of this.infos.values()) info.type = substitute(info.type, this.#bindings, true);
    return this.infos.get(expression)?.type ?? ERROR;
  }

  #complain(at: number, message: string): Type {
    this.issues.push({ at, message });
    return ERROR;
  }

  #visit(expression: Expression): Type {
    // Set before the parts are visited, so that what a visit adds is kept.
    const info: NodeInfo = { type: ERROR };
    this.infos.set(expression, info);
    info.type = this.#typeOf(expression, info);
    return info.type;
  }

  #typeOf(expression: Expression, info: NodeInfo): Type {
    switch (expression.kind) {
      case 'literal':
        return literalType(expression.value);
      case 'name':
        return this.#name(expression.name, expression.at, info);
      case 'select':
        return this.#select(expression, info);
      case 'has':
        this.#field(expression, this.#visit(expression.operand), true);
        return BOOL;
      case 'call':
        return this.#call(expression, info);
      case 'logic':
        return this.#logic(expression);
      case 'list':
        return listOf(this.#elements(expression.elements));
      case 'map':
        return mapOf(
          this.#elements(expression.entries.map(([key]) => key)),
          this.#elements(expression.entries.map(([, value]) => value)),
        );
      case 'comprehension':
        return this.#comprehension(expression);
      case 'bind':
        return this.#bind(expression);
    }
  }

  #local(name: string): Type | undefined {
    for (let index = this.#scopes.length - 1; index >= 0; index--) {
      const type = this.#scopes[index]?.get(name);
      if (type) return type;
    }
    return undefined;
  }

  #name(name: string, at: number, info: NodeInfo): Type {
    const local = this.#local(name);
    if (local) return local;
    const type = this.#declarations.variables.get(name);
    if (!type) return this.#complain(at, `undeclared reference to '${name}' (in container '')`);
    info.reference = name;
    this.references.add(name);
    return type;
  }

  #select(expression: Extract<Expression, { kind: 'select' }>, info: NodeInfo): Type {
    const name = qualifiedName(expression);
    const root = name?.slice(0, name.indexOf('.'));
    if (name !== undefined && root !== undefined && !this.#local(root) && this.#declarations.variables.has(name)) {
      return this.#name(name, expression.at, info);
    }
    return this.#field(expression, this.#visit(expression.operand), false);
  }

  /** The type of a field. What is read of an optional is optional. */
  #field(
    { field, at, isOptional }: Extract<Expression, { kind: 'select' | 'has' }>,
    operand: Type,
    isTest: boolean,
  ): Type {
    const given = this.#resolved(operand);
    const inner = optionalValue(given);
    const type = this.#fieldOf(this.#resolved(inner ?? given), field, at);
    return (inner !== undefined || isOptional) && !isTest ? optionalOf(type) : type;
  }

  #fieldOf(type: Type, field: string, at: number): Type {
    switch (type.kind) {
      case 'map':
        return type.value;
      case 'object':
        return type.field(field) ?? this.#complain(at, `undefined field '${field}'`);
      case 'dyn':
      case 'parameter':
        return DYN;
      case 'error':
        return ERROR;
      default:
        return this.#complain(at, `type '${this.#shown(type)}' does not support field selection`);
    }
  }

  #resolved(type: Type): Type {
    return substitute(type, this.#bindings);
  }

  #shown(type: Type): string {
    return formatType(substitute(type, this.#bindings, true));
  }

  #fresh(): Type {
    return parameter(`_${this.#freshCount++}`);
  }

  #call(expression: Extract<Expression, { kind: 'call' }>, info: NodeInfo): Type {
    const { name, target, args, at } = expression;
    const { functions } = this.#declarations;
    if (target) {
      const namespace = qualifiedName(target);
      const full = `${namespace}.${name}`;
      if (namespace !== undefined && !this.#local(namespace.split('.')[0] ?? '') && functions.has(full)) {
        info.isNamespaced = true;
        return this.#resolve(
          full,
          args.map(arg => this.#visit(arg)),
          false,
          at,
          info,
        );
      }
    }
    const types = [...(target ? [target] : []), ...args].map(part =>
      name === 'format' && part.kind === 'list' ? this.#mixedList(part) : this.#visit(part),
    );
    // The conditional's branches have to be of one type, like the elements of a list.
    if (name === '_?_:_') return this.#conditional(types, at);
    if (!functions.has(name)) return this.#complain(at, `undeclared reference to '${name}' (in container '')`);
    return this.#resolve(name, types, target !== undefined, at, info);
  }

  /** What is to be formatted may be of many types. */
  #mixedList(list: Extract<Expression, { kind: 'list' }>): Type {
    for (const element of list.elements) this.#visit(element);
    const type = listOf(DYN);
    this.infos.set(list, { type });
    return type;
  }

  #conditional([condition = ERROR, then = ERROR, otherwise = ERROR]: readonly Type[], at: number): Type {
    const result = this.#bindings.keepIf(() => this.#isBool(condition) && joined(this.#bindings, then, otherwise));
    return result ?? this.#noOverload('_?_:_', [condition, then, otherwise], false, at);
  }

  #resolve(name: string, types: readonly Type[], isMember: boolean, at: number, info: NodeInfo): Type {
    const fitting: Overload[] = [];
    let result: Type | undefined;
    for (const overload of this.#declarations.functions.get(name) ?? []) {
      if (overload.isMember !== isMember || overload.parameters.length !== types.length) continue;
      const fresh = new Map<string, Type>();
      const fits = this.#bindings.keepIf(() =>
        overload.parameters.every((wanted, index) =>
          isAssignable(this.#bindings, types[index] ?? ERROR, this.#renamed(wanted, fresh)),
        ),
      );
      if (!fits) continue;
      fitting.push(overload);
      const type = substitute(this.#renamed(overload.result, fresh), this.#bindings);
      result = result === undefined || isSameType(result, type) ? type : DYN;
    }
    if (result === undefined) return this.#noOverload(name, types, isMember, at);
    info.overloads = fitting;
    return result;
  }

  /** The type with parameters that nobody else uses. */
  #renamed(type: Type, fresh: Map<string, Type>): Type {
    switch (type.kind) {
      case 'parameter': {
        const known = fresh.get(type.name) ?? this.#fresh();
        fresh.set(type.name, known);
        return known;
      }
      case 'list':
        return listOf(this.#renamed(type.element, fresh));
      case 'map':
        return mapOf(this.#renamed(type.key, fresh), this.#renamed(type.value, fresh));
      case 'opaque':
        return type.parameters.length === 0
          ? type
          : { ...type, parameters: type.parameters.map(inner => this.#renamed(inner, fresh)) };
      case 'type':
        return { kind: 'type', of: this.#renamed(type.of, fresh) };
      default:
        return type;
    }
  }

  #noOverload(name: string, types: readonly Type[], isMember: boolean, at: number): Type {
    // A part that is wrong was told; what it makes of the whole is not worth telling.
    if (types.some(type => type.kind === 'error')) return ERROR;
    const shown = types.map(type => this.#shown(type));
    const signature = isMember ? `${shown[0]}.(${shown.slice(1).join(', ')})` : `(${shown.join(', ')})`;
    return this.#complain(at, `found no matching overload for '${name}' applied to '${signature}'`);
  }

  #logic({ operands, isAnd, at }: Extract<Expression, { kind: 'logic' }>): Type {
    const name = isAnd ? '_&&_' : '_||_';
    const [first, ...rest] = operands.map(operand => this.#visit(operand));
    rest.reduce((left: Type, right) => {
      if (!this.#isBool(left) || !this.#isBool(right)) this.#noOverload(name, [left, right], false, at);
      return BOOL;
    }, first ?? BOOL);
    return BOOL;
  }

  #isBool(type: Type): boolean {
    return isAssignable(this.#bindings, type, BOOL);
  }

  /** One type for all: lists and maps that an expression writes down are of one kind. */
  #elements(elements: readonly Expression[]): Type {
    let common: Type | undefined;
    for (const element of elements) {
      const type = this.#visit(element);
      if (common === undefined) {
        common = type;
        continue;
      }
      const both = joined(this.#bindings, common, type);
      if (both) common = both;
      else this.#complain(element.at, `expected type '${this.#shown(common)}' but found '${this.#shown(type)}'`);
    }
    return common ?? this.#fresh();
  }

  #comprehension(expression: Comprehension): Type {
    const { macro, variables, predicate, transform } = expression;
    const range = this.#resolved(this.#visit(expression.range));
    const types = this.#iterated(range, variables.length, expression.range.at);
    this.#scopes.push(new Map(variables.map((name, index) => [name, types[index] ?? ERROR])));
    if (predicate) {
      const type = this.#visit(predicate);
      if (!this.#isBool(type)) {
        const name = macro === 'all' ? '_&&_' : macro === 'exists' ? '_||_' : '_?_:_';
        const others = name === '_?_:_' ? [type, DYN, DYN] : [BOOL, type];
        this.#noOverload(name, others, false, predicate.at);
      }
    }
    const made = transform && this.#visit(transform);
    this.#scopes.pop();
    switch (macro) {
      case 'map':
      case 'transformList':
        return listOf(made ?? ERROR);
      case 'filter':
        return range.kind === 'map' ? listOf(range.key) : range.kind === 'list' ? range : listOf(DYN);
      case 'transformMap':
        return mapOf(range.kind === 'map' ? range.key : range.kind === 'list' ? INT : DYN, made ?? ERROR);
      case 'transformMapEntry': {
        const entry = made && this.#resolved(made);
        if (entry?.kind === 'map') return entry;
        if (entry && !isDyn(entry)) this.#complain(transform?.at ?? expression.at, 'transform is not a map');
        return mapOf(DYN, DYN);
      }
      default:
        return BOOL;
    }
  }

  /** The types of a comprehension's variables. */
  #iterated(range: Type, count: number, at: number): readonly Type[] {
    switch (range.kind) {
      case 'list':
        return count === 1 ? [range.element] : [INT, range.element];
      case 'map':
        return count === 1 ? [range.key] : [range.key, range.value];
      case 'dyn':
      case 'parameter':
        return [DYN, DYN];
      case 'error':
        return [ERROR, ERROR];
      default:
        this.#complain(
          at,
          `expression of type '${this.#shown(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
        );
        return [ERROR, ERROR];
    }
  }

  #bind({ name, value, body, over, at }: Extract<Expression, { kind: 'bind' }>): Type {
    const given = this.#resolved(this.#visit(value));
    const inner = over ? (optionalValue(given) ?? (isDyn(given) ? given : undefined)) : given;
    if (!inner) return this.#noOverload(over ?? '', [given, DYN], true, at);
    this.#scopes.push(new Map([[name, inner]]));
    const type = this.#visit(body);
    this.#scopes.pop();
    if (over === 'optMap') return optionalOf(type);
    if (over === 'optFlatMap' && !optionalValue(this.#resolved(type)) && !isDyn(type)) {
      return this.#noOverload('optFlatMap', [given, type], true, at);
    }
    return type;
  }
}

function literalType(value: Literal): Type {
  switch (typeof value) {
    case 'string':
      return STRING;
    case 'boolean':
      return BOOL;
    case 'bigint':
      return INT;
    case 'number':
      return DOUBLE;
    default:
  }
  if (value === null) return NULL;
  if (value instanceof Uint) return UINT;
  if (value instanceof Timestamp) return TIMESTAMP;
  if (value instanceof Duration) return { kind: 'duration' } satisfies typeof DURATION;
  return BYTES;
}

/** True for the names of operators, which are written `_+_`. */
export const isOperator = (name: string): boolean => OPERATOR.test(name);
