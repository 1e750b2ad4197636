/** Go's text/template, second step: the tree of a template. (text/template/parse/parse.go) */
import { lex, type Piece, TemplateSyntaxError, type Token } from './lex.ts';

export interface Pipeline {
  readonly declared: readonly string[];
  /** True for `=`, which changes a variable that there is; `:=` makes a new one. */
  readonly isAssignment: boolean;
  readonly commands: readonly Command[];
}

/** A function, or a value alone, with operands. */
export interface Command {
  readonly operands: readonly Operand[];
  /** As Go prints it in errors. */
  readonly text: string;
  readonly position: number;
}

export type Operand =
  | { readonly type: 'function'; readonly name: string; readonly text: string; readonly position: number }
  | { readonly type: 'literal'; readonly value: unknown; readonly text: string; readonly position: number }
  | { readonly type: 'nil'; readonly text: string; readonly position: number }
  /** Fields of the dot, of a variable, or of what a pipeline in parentheses gives. */
  | {
      readonly type: 'path';
      readonly base: 'dot' | { readonly variable: string } | { readonly pipeline: Pipeline };
      readonly fields: readonly string[];
      readonly text: string;
      readonly position: number;
    };

export type Node =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'action'; readonly pipeline: Pipeline }
  | {
      readonly type: 'if' | 'with' | 'range';
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | {
      readonly type: 'template';
      readonly name: string;
      readonly pipeline: Pipeline | undefined;
      readonly position: number;
    }
  | { readonly type: 'break' | 'continue' };

export interface ParsedTemplate {
  readonly nodes: readonly Node[];
  /** What `define` and `block` made, by name. */
  readonly defined: ReadonlyMap<string, readonly Node[]>;
}

/** The tree of a template. @throws TemplateSyntaxError */
export function parseTemplate(template: string, functions: ReadonlySet<string>): ParsedTemplate {
  return new Parser(lex(template), functions).parse();
}

class Parser {
  readonly #pieces: readonly Piece[];
  readonly #functions: ReadonlySet<string>;
  readonly #defined = new Map<string, readonly Node[]>();
  readonly #variables: string[] = ['$'];
  #index = 0;
  #rangeDepth = 0;

  constructor(pieces: readonly Piece[], functions: ReadonlySet<string>) {
    this.#pieces = pieces;
    this.#functions = functions;
  }

  parse(): ParsedTemplate {
    const { nodes, ending } = this.#list();
    if (ending) throw new TemplateSyntaxError(`unexpected {{${ending.word}}}`, ending.position);
    return { nodes, defined: this.#defined };
  }

  /** Nodes up to `end`, `else`, or the template's end. */
  #list(): { nodes: Node[]; ending?: { word: 'end' | 'else'; rest: TokenReader; position: number } } {
    const nodes: Node[] = [];
    while (this.#index < this.#pieces.length) {
      const piece = this.#pieces[this.#index++];
      if (!piece) break;
      if (piece.type === 'text') {
        nodes.push(piece);
        continue;
      }
      const tokens = new TokenReader(piece.tokens, piece.position);
      const word = tokens.peek()?.type === 'name' ? tokens.peek()?.text : undefined;
      if (word === 'end' || word === 'else') {
        tokens.next();
        if (word === 'end') tokens.expectEnd('end');
        return { nodes, ending: { word, rest: tokens, position: piece.position } };
      }
      const node = this.#action(tokens, word);
      if (node) nodes.push(node);
    }
    return { nodes };
  }

  #action(tokens: TokenReader, word: string | undefined): Node | undefined {
    switch (word) {
      case 'if':
      case 'with':
      case 'range':
        tokens.next();
        return this.#control(word, tokens);
      case 'define':
      case 'block':
        tokens.next();
        return this.#definition(word, tokens);
      case 'template': {
        tokens.next();
        const { position } = tokens;
        const name = templateName(tokens, 'template clause');
        const pipeline = tokens.peek() ? this.#pipeline(tokens, 'template clause') : undefined;
        return { type: 'template', name, pipeline, position };
      }
      case 'break':
      case 'continue':
        tokens.next();
        tokens.expectEnd(`{{${word}}}`);
        if (this.#rangeDepth === 0) throw new TemplateSyntaxError(`{{${word}}} outside {{range}}`, tokens.position);
        return { type: word };
      default:
        return { type: 'action', pipeline: this.#pipeline(tokens, 'command') };
    }
  }

  #control(type: 'if' | 'with' | 'range', tokens: TokenReader): Node {
    const scope = this.#variables.length;
    const pipeline = this.#pipeline(tokens, type);
    if (type === 'range') this.#rangeDepth++;
    const body = this.#list();
    if (type === 'range') this.#rangeDepth--;
    let otherwise: readonly Node[] = [];
    if (!body.ending) throw new TemplateSyntaxError('unexpected EOF', tokens.position);
    if (body.ending.word === 'else') {
      const { rest } = body.ending;
      const chained = rest.peek()?.text;
      if (rest.peek()?.type === 'name' && (chained === 'if' || chained === 'with') && type === chained) {
        rest.next();
        // {{else if}} stands for {{else}}{{if}} … {{end}}{{end}}: the end of the inner one is both.
        otherwise = [this.#control(chained, rest)];
      } else {
        rest.expectEnd('else');
        const other = this.#list();
        if (!other.ending) throw new TemplateSyntaxError('unexpected EOF', tokens.position);
        if (other.ending.word !== 'end') {
          throw new TemplateSyntaxError('expected end; found {{else}}', other.ending.position);
        }
        otherwise = other.nodes;
      }
    }
    this.#variables.length = scope;
    return { type, pipeline, body: body.nodes, otherwise };
  }

  #definition(word: 'define' | 'block', tokens: TokenReader): Node | undefined {
    const { position } = tokens;
    const name = templateName(tokens, `${word} clause`);
    const pipeline = word === 'block' ? this.#pipeline(tokens, 'block clause') : undefined;
    if (word === 'define') tokens.expectEnd('define clause');
    const outer = this.#variables.splice(0, this.#variables.length, '$');
    const { nodes, ending } = this.#list();
    if (ending?.word !== 'end') {
      throw new TemplateSyntaxError(ending ? `unexpected {{else}} in ${word} clause` : 'unexpected EOF', position);
    }
    this.#variables.splice(0, this.#variables.length, ...outer);
    this.#defined.set(name, nodes);
    return pipeline && { type: 'template', name, pipeline, position };
  }

  #pipeline(tokens: TokenReader, context: string): Pipeline {
    const { declared, isAssignment } = this.#declarations(tokens, context);
    const commands: Command[] = [];
    while (tokens.peek() && tokens.peek()?.text !== ')') {
      if (tokens.peek()?.text === '|') throw new TemplateSyntaxError(`missing value for ${context}`, tokens.position);
      commands.push(this.#command(tokens));
      if (tokens.peek()?.text !== '|') break;
      const { position } = tokens;
      tokens.next();
      if (!tokens.peek() || tokens.peek()?.text === ')') {
        throw new TemplateSyntaxError(`missing value for ${context}`, position);
      }
    }
    if (commands.length === 0) throw new TemplateSyntaxError(`missing value for ${context}`, tokens.position);
    for (const [index, command] of commands.entries()) {
      const [first] = command.operands;
      if (index > 0 && (first?.type === 'literal' || first?.type === 'nil')) {
        throw new TemplateSyntaxError(`non executable command in pipeline stage ${index + 1}`, command.position);
      }
    }
    if (!isAssignment) this.#variables.push(...declared);
    return { declared, isAssignment, commands };
  }

  #declarations(tokens: TokenReader, context: string): { declared: string[]; isAssignment: boolean } {
    const declared: string[] = [];
    const [first, sign, second, signAfter] = tokens.ahead(4);
    if (first?.type !== 'variable') return { declared, isAssignment: false };
    const isPair = context === 'range' && sign?.text === ',' && second?.type === 'variable';
    const operator = isPair ? signAfter : sign;
    if (operator?.text !== ':=' && operator?.text !== '=') return { declared, isAssignment: false };
    declared.push(first.text, ...(isPair ? [second.text] : []));
    for (let count = isPair ? 4 : 2; count > 0; count--) tokens.next();
    const isAssignment = operator.text === '=';
    if (isAssignment) for (const name of declared) this.#checkVariable(name, first.position);
    return { declared, isAssignment };
  }

  #checkVariable(name: string, position: number): void {
    if (!this.#variables.includes(name)) throw new TemplateSyntaxError(`undefined variable "${name}"`, position);
  }

  #command(tokens: TokenReader): Command {
    const operands: Operand[] = [];
    const { position } = tokens;
    while (tokens.peek() && tokens.peek()?.text !== '|' && tokens.peek()?.text !== ')') {
      operands.push(this.#operand(tokens));
    }
    return { operands, text: operands.map(({ text }) => text).join(' '), position };
  }

  #operand(tokens: TokenReader): Operand {
    const token = tokens.next();
    if (!token) throw new TemplateSyntaxError('unexpected EOF', tokens.position);
    const { text, position } = token;
    switch (token.type) {
      case 'string':
        return { type: 'literal', value: unquoted(token), text, position };
      case 'character':
        return { type: 'literal', value: unquoted(token).codePointAt(0) ?? 0, text, position };
      case 'number':
        return { type: 'literal', value: numberOf(token), text, position };
      case 'dot':
        return { type: 'path', base: 'dot', fields: [], text, position };
      case 'field':
        return this.#path('dot', [text.slice(1)], { tokens, text, position });
      case 'variable':
        this.#checkVariable(text, position);
        return this.#path({ variable: text }, [], { tokens, text, position });
      case 'name':
        if (text === 'true' || text === 'false') return { type: 'literal', value: text === 'true', text, position };
        if (text === 'nil') return { type: 'nil', text, position };
        if (!this.#functions.has(text)) throw new TemplateSyntaxError(`function "${text}" not defined`, position);
        return { type: 'function', name: text, text, position };
      default: {
        if (text !== '(') throw new TemplateSyntaxError(`unexpected "${text}" in operand`, position);
        const pipeline = this.#pipeline(tokens, 'parenthesized pipeline');
        tokens.next();
        const inner = pipeline.commands.map(command => command.text).join(' | ');
        return this.#path({ pipeline }, [], { tokens, text: `(${inner})`, position });
      }
    }
  }

  /** Takes the fields that follow without a blank. */
  #path(
    base: Extract<Operand, { type: 'path' }>['base'],
    first: readonly string[],
    { tokens, text, position }: { readonly tokens: TokenReader; readonly text: string; readonly position: number },
  ): Operand {
    const fields = [...first];
    let written = text;
    const next = tokens.peek();
    // Go tells of a chain where its second link is.
    const place = next?.type === 'field' && !next.isApart ? next.position : position;
    while (tokens.peek()?.type === 'field' && !tokens.peek()?.isApart) {
      const field = tokens.next()?.text ?? '';
      fields.push(field.slice(1));
      written += field;
    }
    return { type: 'path', base, fields, text: written, position: place };
  }
}

class TokenReader {
  readonly #tokens: readonly Token[];
  readonly #start: number;
  #index = 0;

  constructor(tokens: readonly Token[], start: number) {
    this.#tokens = tokens;
    this.#start = start;
  }

  peek(): Token | undefined {
    return this.#tokens[this.#index];
  }

  next(): Token | undefined {
    return this.#tokens[this.#index++];
  }

  ahead(count: number): (Token | undefined)[] {
    return this.#tokens.slice(this.#index, this.#index + count);
  }

  /** Where the next token is, or where the action began. */
  get position(): number {
    return this.peek()?.position ?? this.#start;
  }

  expectEnd(context: string): void {
    const token = this.peek();
    if (token) throw new TemplateSyntaxError(`unexpected ${JSON.stringify(token.text)} in ${context}`, token.position);
  }
}

function templateName(tokens: TokenReader, context: string): string {
  const token = tokens.next();
  if (token?.type !== 'string') {
    throw new TemplateSyntaxError(
      `unexpected ${token ? JSON.stringify(token.text) : '"}}"'} in ${context}`,
      tokens.position,
    );
  }
  return unquoted(token);
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

function unquoted({ text, position }: Token): string {
  const inner = text.slice(1, -1);
  if (text.startsWith('`')) return inner;
  return inner.replaceAll(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|(.))/gs,
    (_, x?: string, u?: string, wide?: string, octal?: string, sign = '') => {
      const hex = x ?? u ?? wide;
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      const known = ESCAPES[sign];
      if (known === undefined) throw new TemplateSyntaxError('invalid syntax', position);
      return known;
    },
  );
}

function numberOf({ text, position }: Token): number {
  const plain = text.replaceAll('_', '');
  const [, sign = '', digits = ''] = /^([+-]?)(.*)$/.exec(plain) ?? [];
  // What begins with a zero is octal, as in Go.
  const value = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  if (Number.isNaN(value)) throw new TemplateSyntaxError(`bad number syntax: "${text}"`, position);
  return sign === '-' ? -value : value;
}
