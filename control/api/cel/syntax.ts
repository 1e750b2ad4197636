/**
 * From the text of an expression to its syntax tree. The parser is that of `@marcbachmann/cel-js`; nothing else of that
 * package is used, and nobody else sees it. What we add: macros as nodes of their own, the places that cel-go names in
 * its messages (the dot, the bracket, the operator), chains of && and || without depth, and cel-go's words for mistakes.
 */
import { type ASTNode, Environment, ParseError } from '@marcbachmann/cel-js';
import { EXPRESSION_DEPTH_MAX, EXPRESSION_LENGTH_MAX, EXPRESSION_NODES_MAX } from './limits.ts';
import { type Issue, syntaxIssue } from './syntax-errors.ts';
import { type Duration, type Timestamp, Uint } from './values.ts';

export type Literal = null | boolean | bigint | Uint | number | string | Uint8Array | Timestamp | Duration;

/** Where a node stands: the offset, in UTF-16 units, that messages point to. */
interface Placed {
  readonly at: number;
}
export type Expression =
  | (Placed & { readonly kind: 'literal'; readonly value: Literal })
  | (Placed & { readonly kind: 'name'; readonly name: string })
  | (Placed & {
      readonly kind: 'select';
      readonly operand: Expression;
      readonly field: string;
      readonly isOptional: boolean;
    })
  | (Placed & {
      readonly kind: 'has';
      readonly operand: Expression;
      readonly field: string;
      readonly isOptional: boolean;
    })
  | (Placed & {
      readonly kind: 'call';
      /** cel-go's names: `_+_`, `_[_]`, `size`. */
      readonly name: string;
      readonly target: Expression | undefined;
      readonly args: readonly Expression[];
    })
  /** Two or more operands of && or ||. */
  | (Placed & { readonly kind: 'logic'; readonly isAnd: boolean; readonly operands: readonly Expression[] })
  | (Placed & { readonly kind: 'list'; readonly elements: readonly Expression[] })
  | (Placed & { readonly kind: 'map'; readonly entries: readonly (readonly [Expression, Expression])[] })
  | Comprehension
  | (Placed & {
      readonly kind: 'bind';
      readonly name: string;
      readonly value: Expression;
      readonly body: Expression;
      /** The value is optional: the body is only looked at if there is one, and gives the optional result. */
      readonly over?: 'optMap' | 'optFlatMap';
    });

export interface Comprehension extends Placed {
  readonly kind: 'comprehension';
  readonly macro: Macro;
  readonly range: Expression;
  readonly variables: readonly string[];
  /** What decides: the predicate of all, exists and exists_one, and the filter of the others. */
  readonly predicate: Expression | undefined;
  /** What the others make of each element. */
  readonly transform: Expression | undefined;
}
export type Macro =
  | 'all'
  | 'exists'
  | 'exists_one'
  | 'map'
  | 'filter'
  | 'transformList'
  | 'transformMap'
  | 'transformMapEntry';

export type Parsed =
  | { readonly expression: Expression; readonly issues?: never }
  | { readonly expression?: never; readonly issues: readonly Issue[] };

const LIMITS = {
  maxAstNodes: EXPRESSION_NODES_MAX,
  maxDepth: EXPRESSION_DEPTH_MAX,
  maxListElements: EXPRESSION_NODES_MAX,
  maxMapEntries: EXPRESSION_NODES_MAX,
  maxCallArguments: EXPRESSION_NODES_MAX,
};
const parser = new Environment({ enableOptionalTypes: true, unlistedVariablesAreDyn: true, limits: LIMITS });

const TOO_DEEP = `expression recursion limit exceeded: ${EXPRESSION_DEPTH_MAX}`;

/** Reads an expression. Never throws for what the text holds. */
export function parseExpression(text: string): Parsed {
  const length = text.length > EXPRESSION_LENGTH_MAX ? [...text].length : text.length;
  if (length > EXPRESSION_LENGTH_MAX) {
    const message = `expression code point size exceeds limit: size: ${length}, limit ${EXPRESSION_LENGTH_MAX}`;
    return { issues: [{ at: -1, message }] };
  }
  try {
    const reader = new Reader(text);
    const expression = reader.read(parser.parse(text).ast, 0);
    return reader.issues.length > 0 ? { issues: reader.issues } : { expression };
  } catch (error) {
    if (error instanceof RangeError) return { issues: [{ at: -1, message: TOO_DEEP }] };
    if (error instanceof ParseError) return { issues: [syntaxIssue(text, error)] };
    throw error;
  }
}

/** The parser takes the low byte of each character; what is written without escapes is UTF-8. */
function bytesOf(source: string, value: Uint8Array): Uint8Array {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  if (/^[\u0000-\u007f]*$/.test(source) || source.includes('\\')) return value;
  const [, text = ''] = /^[bB]?(?:"""|'''|["'])([\s\S]*?)(?:"""|'''|["'])?$/.exec(source) ?? [];
  return Buffer.from(text, 'utf8');
}

const BINARY: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=', '+', '-', '*', '/', '%', 'in']);
const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;
/** Comprehensions with one variable, by name, with the numbers of arguments that they may have. */
const MACROS: Readonly<Record<string, { readonly macro: Macro; readonly argumentCounts: readonly number[] }>> = {
  all: { macro: 'all', argumentCounts: [2] },
  exists: { macro: 'exists', argumentCounts: [2] },
  exists_one: { macro: 'exists_one', argumentCounts: [2] },
  existsOne: { macro: 'exists_one', argumentCounts: [2] },
  map: { macro: 'map', argumentCounts: [2, 3] },
  filter: { macro: 'filter', argumentCounts: [2] },
};
/** The same with two: index and element, or key and value. */
const PAIR_MACROS: typeof MACROS = {
  all: { macro: 'all', argumentCounts: [3] },
  exists: { macro: 'exists', argumentCounts: [3] },
  existsOne: { macro: 'exists_one', argumentCounts: [3] },
  transformList: { macro: 'transformList', argumentCounts: [3, 4] },
  transformMap: { macro: 'transformMap', argumentCounts: [3, 4] },
  transformMapEntry: { macro: 'transformMapEntry', argumentCounts: [3, 4] },
};

class Reader {
  readonly issues: Issue[] = [];
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  read(node: ASTNode, depth: number): Expression {
    if (depth > EXPRESSION_DEPTH_MAX) throw new RangeError(TOO_DEEP);
    const next = (inner: ASTNode) => this.read(inner, depth + 1);
    switch (node.op) {
      case 'value':
        return this.#literal(node.args, node);
      case 'id':
        return { kind: 'name', name: node.args, at: node.pos };
      case '.':
      case '.?':
        return {
          kind: 'select',
          operand: next(node.args[0]),
          field: node.args[1],
          isOptional: node.op === '.?',
          at: this.#before('.', node.pos),
        };
      case '[]':
      case '[?]':
        return {
          kind: 'call',
          name: node.op === '[]' ? '_[_]' : '_[?_]',
          target: undefined,
          args: [next(node.args[0]), next(node.args[1])],
          at: this.#after(node.args[0].end),
        };
      case 'list':
        return { kind: 'list', elements: node.args.map(next), at: node.pos };
      case 'map':
        return { kind: 'map', entries: node.args.map(([key, value]) => [next(key), next(value)]), at: node.pos };
      case '?:': {
        const [condition, then, otherwise] = node.args;
        const args = [next(condition), next(then), next(otherwise)];
        return { kind: 'call', name: '_?_:_', target: undefined, args, at: this.#after(condition.end) };
      }
      case '!_':
        return { kind: 'call', name: '!_', target: undefined, args: [next(node.args)], at: node.pos };
      case '-_':
        return this.#negated(node.args, node.pos, depth);
      case '&&':
      case '||':
        return this.#logic(node, depth);
      case 'call':
        return this.#call(node.args[0], node.args[1], node, depth);
      case 'rcall':
        return this.#memberCall(node.args, depth);
      default:
        return this.#binary(node, depth);
    }
  }

  #binary(node: ASTNode, depth: number): Expression {
    if (!BINARY.has(node.op) || !Array.isArray(node.args)) throw new Error(`unknown operator ${node.op}`);
    const [left, right] = node.args as [ASTNode, ASTNode];
    const name = node.op === 'in' ? '@in' : `_${node.op}_`;
    const args = [this.read(left, depth + 1), this.read(right, depth + 1)];
    return { kind: 'call', name, target: undefined, args, at: this.#after(left.end) };
  }

  /** A chain of one operator: as long as it likes, for it is no deeper than its deepest operand. */
  #logic(node: ASTNode, depth: number): Expression {
    const operands: Expression[] = [];
    let at = node.pos;
    let rest: ASTNode = node;
    while (rest.op === node.op) {
      const [left, right] = rest.args as [ASTNode, ASTNode];
      operands.push(this.read(right, depth + 1));
      at = this.#after(left.end);
      rest = left;
    }
    operands.push(this.read(rest, depth + 1));
    return { kind: 'logic', isAnd: node.op === '&&', operands: operands.reverse(), at };
  }

  #literal(value: unknown, { pos: at, start, end }: ASTNode): Expression {
    if (value instanceof Uint8Array)
      return { kind: 'literal', value: bytesOf(this.#text.slice(start, end), value), at };
    if (typeof value === 'bigint' && value > INT_MAX) return this.#wrong(at, 'invalid int literal');
    if (typeof value === 'object' && value !== null) {
      // The parser's own unsigned integers.
      const uint = Uint.of(BigInt(String((value as { valueOf(): unknown }).valueOf())));
      return uint ? { kind: 'literal', value: uint, at } : this.#wrong(at, 'invalid uint literal');
    }
    return { kind: 'literal', value: value as Literal, at };
  }

  #negated(operand: ASTNode, at: number, depth: number): Expression {
    if (operand.op === 'value' && operand.start === at + 1) {
      const value: unknown = operand.args;
      if (typeof value === 'number') return { kind: 'literal', value: -value, at };
      if (typeof value === 'bigint') {
        return -value < INT_MIN ? this.#wrong(at, 'invalid int literal') : { kind: 'literal', value: -value, at };
      }
    }
    return { kind: 'call', name: '-_', target: undefined, args: [this.read(operand, depth + 1)], at };
  }

  #wrong(at: number, message: string): Expression {
    this.issues.push({ at, message });
    return { kind: 'literal', value: null, at };
  }

  #call(name: string, args: readonly ASTNode[], node: ASTNode, depth: number): Expression {
    const at = this.#text.indexOf('(', node.pos + name.length);
    const [first] = args;
    if (name === 'has' && args.length === 1 && first) {
      if (first.op !== '.' && first.op !== '.?') return this.#wrong(first.pos, 'invalid argument to has() macro');
      const operand = this.read(first.args[0], depth + 1);
      return { kind: 'has', operand, field: first.args[1], isOptional: first.op === '.?', at };
    }
    return { kind: 'call', name, target: undefined, args: args.map(arg => this.read(arg, depth + 1)), at };
  }

  #memberCall([name, receiver, args]: [string, ASTNode, ASTNode[]], depth: number): Expression {
    const dot = this.#text.indexOf('.', this.#after(receiver.end));
    const at = this.#text.indexOf('(', dot + name.length);
    return (
      this.#macro(name, receiver, args, at, depth) ?? {
        kind: 'call',
        name,
        target: this.read(receiver, depth + 1),
        args: args.map(arg => this.read(arg, depth + 1)),
        at,
      }
    );
  }

  #macro(name: string, receiver: ASTNode, args: readonly ASTNode[], at: number, depth: number): Expression | undefined {
    const next = (node: ASTNode) => this.read(node, depth + 1);
    const [first, second, third] = args;
    const isNamespace = receiver.op === 'id' && receiver.args === 'cel';
    if (isNamespace && name === 'bind' && args.length === 3 && first && second && third) {
      if (first.op !== 'id') return this.#wrong(first.pos, 'cel.bind() variable names must be simple identifiers');
      return { kind: 'bind', name: first.args, value: next(second), body: next(third), at };
    }
    if ((name === 'optMap' || name === 'optFlatMap') && args.length === 2 && first && second) {
      if (first.op !== 'id') return this.#wrong(first.pos, `${name}() variable name must be a simple identifier`);
      return { kind: 'bind', name: first.args, value: next(receiver), body: next(second), over: name, at };
    }
    const single = Object.hasOwn(MACROS, name) ? MACROS[name] : undefined;
    const pair = Object.hasOwn(PAIR_MACROS, name) ? PAIR_MACROS[name] : undefined;
    // `map` with three arguments has one variable and a filter.
    if (single?.argumentCounts.includes(args.length))
      return this.#comprehension(single.macro, receiver, args, 1, at, depth);
    if (pair?.argumentCounts.includes(args.length))
      return this.#comprehension(pair.macro, receiver, args, 2, at, depth);
    return undefined;
  }

  #comprehension(
    macro: Macro,
    receiver: ASTNode,
    args: readonly ASTNode[],
    variableCount: number,
    at: number,
    depth: number,
  ): Expression {
    const variables: string[] = [];
    for (const variable of args.slice(0, variableCount)) {
      if (variable.op !== 'id') return this.#wrong(variable.pos, 'argument must be a simple name');
      if (variable.args === '__result__') {
        return this.#wrong(variable.pos, 'iteration variable overwrites accumulator variable');
      }
      variables.push(variable.args);
    }
    const rest = args.slice(variableCount).map(arg => this.read(arg, depth + 1));
    const decides = macro === 'all' || macro === 'exists' || macro === 'exists_one' || macro === 'filter';
    return {
      kind: 'comprehension',
      macro,
      range: this.read(receiver, depth + 1),
      variables,
      predicate: decides || rest.length > 1 ? rest[0] : undefined,
      transform: decides ? undefined : rest.at(-1),
      at,
    };
  }

  /** The offset of what follows an operand: spaces and brackets around it do not count. */
  #after(end: number): number {
    let at = end;
    while (at < this.#text.length && /[\s)]/.test(this.#text.charAt(at))) at++;
    return at;
  }

  #before(character: string, at: number): number {
    const found = this.#text.lastIndexOf(character, at);
    return found < 0 ? at : found;
  }
}
