/**
 * The part of Go's text/template that people use with kubectl: fields, `range`, `if`, `with`, `else`, `end`, variables, literals,
 * and the functions index, len, print, printf, println, eq, ne, lt, gt, and, or, not, base64decode.
 */
import { failure } from '../client/errors.ts';

type Node =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'output'; readonly pipeline: string }
  | {
      readonly type: 'block';
      readonly keyword: 'range' | 'if' | 'with';
      readonly pipeline: string;
      readonly body: Node[];
      readonly otherwise: Node[];
    };

interface Scope {
  readonly dot: unknown;
  readonly root: unknown;
  readonly variables: Map<string, unknown>;
}

const broken = (template: string, why: string) =>
  failure(`error parsing template ${template}, template: output:1: ${why}`);

export class GoTemplate {
  readonly #nodes: readonly Node[];

  /** @throws CommandError if the text is no template. */
  constructor(text: string) {
    this.#nodes = parse(text);
  }

  render(root: unknown): string {
    return renderAll(this.#nodes, { dot: root, root, variables: new Map([['$', root]]) });
  }
}

function parse(template: string): Node[] {
  const root: Node[] = [];
  const stack: { block: Extract<Node, { type: 'block' }>; target: Node[]; isChained: boolean }[] = [];
  const target = () => stack[stack.length - 1]?.target ?? root;
  // `{{-` and `-}}` eat the blanks beside them.
  const parts = template
    .replaceAll(/\s*\{\{-\s/g, '{{')
    .replaceAll(/\s-\}\}\s*/g, '}}')
    .split(/(\{\{(?:"(?:\\.|[^"])*"|`[^`]*`|[^}]|\}(?!\}))*\}\})/);
  for (const part of parts) {
    if (!part.startsWith('{{')) {
      if (part.includes('{{')) throw broken(template, 'unclosed action');
      if (part !== '') target().push({ type: 'text', text: part });
      continue;
    }
    const action = part.slice(2, -2).trim();
    const [word = ''] = action.split(/\s/);
    if (action.startsWith('/*')) continue;
    if (word === 'range' || word === 'if' || word === 'with') {
      const block = blockOf(word, action.slice(word.length).trim());
      target().push(block);
      stack.push({ block, target: block.body, isChained: false });
    } else if (word === 'else') {
      const open = stack[stack.length - 1];
      const [, chained, condition = ''] = /^else(?:\s+(if|with)\s+(.*))?$/s.exec(action) ?? [action];
      if (!open || !/^else(?:\s+(?:if|with)\s|$)/.test(action)) throw broken(template, `unexpected {{${action}}}`);
      open.target = open.block.otherwise;
      if (chained === 'if' || chained === 'with') {
        const block = blockOf(chained, condition.trim());
        open.target.push(block);
        stack.push({ block, target: block.body, isChained: true });
      }
    } else if (word === 'end') {
      // One end closes a whole chain of `else if`.
      let closed = stack.pop();
      if (!closed) throw broken(template, 'unexpected {{end}}');
      while (closed?.isChained) closed = stack.pop();
    } else target().push({ type: 'output', pipeline: action });
  }
  if (stack.length > 0) throw broken(template, 'unexpected EOF');
  return root;
}

const blockOf = (keyword: 'range' | 'if' | 'with', pipeline: string): Extract<Node, { type: 'block' }> => ({
  type: 'block',
  keyword,
  pipeline,
  body: [],
  otherwise: [],
});

function renderAll(nodes: readonly Node[], scope: Scope): string {
  return nodes.map(node => render(node, scope)).join('');
}

function render(node: Node, scope: Scope): string {
  if (node.type === 'text') return node.text;
  if (node.type === 'output') {
    const assignment = /^(\$\w*)\s*:?=\s*(.*)$/s.exec(node.pipeline);
    if (!assignment) return printed(evaluate(node.pipeline, scope));
    scope.variables.set(assignment[1] ?? '', evaluate(assignment[2] ?? '', scope));
    return '';
  }
  if (node.keyword === 'range') return renderRange(node, scope);
  const value = evaluate(node.pipeline, scope);
  if (!isTrue(value)) return renderAll(node.otherwise, scope);
  return renderAll(node.body, node.keyword === 'with' ? { ...scope, dot: value } : scope);
}

function renderRange(node: Extract<Node, { type: 'block' }>, scope: Scope): string {
  const declared = /^(\$\w+)(?:\s*,\s*(\$\w+))?\s*:=\s*(.*)$/s.exec(node.pipeline);
  const value = evaluate(declared?.[3] ?? node.pipeline, scope);
  const entries: [unknown, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : typeof value === 'object' && value !== null
      ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
      : [];
  if (entries.length === 0) return renderAll(node.otherwise, scope);
  return entries
    .map(([key, item]) => {
      const variables = new Map(scope.variables);
      const [, first, second] = declared ?? [];
      if (first && second) variables.set(first, key).set(second, item);
      else if (first) variables.set(first, item);
      return renderAll(node.body, { ...scope, dot: item, variables });
    })
    .join('');
}

function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function printed(value: unknown): string {
  if (value === undefined || value === null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(printed).join(' ')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${entries.map(([key, field]) => `${key}:${printed(field)}`).join(' ')}]`;
  }
  return String(value);
}

const TOKEN = /"(?:\\.|[^"\\])*"|`[^`]*`|\(|\)|\||[^\s()|]+/g;

/** A pipeline: commands separated by `|`, each given the one before it as its last argument. */
function evaluate(pipeline: string, scope: Scope): unknown {
  const tokens = pipeline.match(TOKEN) ?? [];
  let position = 0;
  const command = (piped: readonly unknown[]): unknown => {
    const values: unknown[] = [];
    let name: string | undefined;
    while (position < tokens.length && tokens[position] !== '|' && tokens[position] !== ')') {
      const token = tokens[position++] ?? '';
      if (token === '(') {
        const inner = pipe();
        position++;
        const path = tokens[position]?.startsWith('.') ? tokens[position++] : undefined;
        values.push(path ? fieldOf(inner, path.slice(1)) : inner);
      } else if (
        name === undefined &&
        values.length === 0 &&
        /^[a-z]\w*$/i.test(token) &&
        !/^(?:true|false|nil)$/.test(token)
      ) {
        name = token;
      } else values.push(operand(token, scope));
    }
    const operands = [...values, ...piped];
    return name === undefined ? operands[0] : call(name, operands);
  };
  const pipe = (): unknown => {
    let value = command([]);
    while (tokens[position] === '|') {
      position++;
      value = command([value]);
    }
    return value;
  };
  return pipe();
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

function operand(token: string, scope: Scope): unknown {
  if (token.startsWith('`')) return token.slice(1, -1);
  if (token.startsWith('"')) return token.slice(1, -1).replaceAll(/\\(.)/g, (_, sign: string) => ESCAPES[sign] ?? sign);
  if (token === 'true' || token === 'false') return token === 'true';
  if (token === 'nil') return null;
  if (/^-?\d+(?:\.\d+)?$/.test(token)) return Number(token);
  if (token.startsWith('$')) {
    const [variable = '$', ...path] = token.split('.');
    return fieldOf(scope.variables.get(variable), path.join('.'));
  }
  if (token.startsWith('.')) return fieldOf(scope.dot, token.slice(1));
  throw broken(token, `function "${token}" not defined`);
}

function fieldOf(value: unknown, path: string): unknown {
  let current = value;
  for (const name of path === '' ? [] : path.split('.')) {
    const isObject = typeof current === 'object' && current !== null && Object.hasOwn(current, name);
    current = isObject ? Reflect.get(Object(current), name) : undefined;
  }
  return current;
}

function call(name: string, values: readonly unknown[]): unknown {
  const [a, b] = values;
  switch (name) {
    case 'index':
      return values
        .slice(1)
        .reduce(
          (value, key) => (value === undefined || value === null ? undefined : Reflect.get(Object(value), String(key))),
          a,
        );
    case 'len':
      return typeof a === 'string' || Array.isArray(a) ? a.length : Object.keys(Object(a ?? {})).length;
    case 'print':
      return values.map(printed).join('');
    case 'println':
      return `${values.map(printed).join(' ')}\n`;
    case 'printf':
      return format(String(a), values.slice(1));
    case 'eq':
      return values.slice(1).some(value => value === a);
    case 'ne':
      return a !== b;
    case 'lt':
      return Number(a) < Number(b);
    case 'le':
      return Number(a) <= Number(b);
    case 'gt':
      return Number(a) > Number(b);
    case 'ge':
      return Number(a) >= Number(b);
    case 'and':
      return values.find(value => !isTrue(value)) ?? values.at(-1);
    case 'or':
      return values.find(isTrue) ?? values.at(-1);
    case 'not':
      return !isTrue(a);
    case 'base64decode':
      return Buffer.from(String(a), 'base64').toString();
    case 'exists':
      return (
        values.slice(1).reduce<unknown>((value, key) => Reflect.get(Object(value ?? {}), String(key)), a) !== undefined
      );
    default:
      throw broken(name, `function "${name}" not defined`);
  }
}

/** Go's verbs as far as JSON's values need them. */
function format(pattern: string, values: readonly unknown[]): string {
  let next = 0;
  return pattern.replaceAll(/%(-?)(\d*)([svdqtf%])/g, (_, left: string, width: string, verb: string) => {
    if (verb === '%') return '%';
    const value = values[next++];
    const text = verb === 'q' ? JSON.stringify(value) : printed(value);
    return left ? text.padEnd(Number(width)) : text.padStart(Number(width));
  });
}
