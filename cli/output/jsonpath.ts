/**
 * kubectl's JSONPath templates: text with `{…}` parts; paths with fields, indexes, slices, unions, wildcards, recursive
 * descent and filters; `{range …}…{end}`; quoted text. (k8s.io/client-go/util/jsonpath)
 */
import { failure } from '../client/errors.ts';
import { sorted } from './documents.ts';

type Node =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'path'; readonly steps: readonly Step[] }
  | { readonly type: 'range'; readonly steps: readonly Step[]; readonly body: readonly Node[] };

type Step =
  | { readonly type: 'field'; readonly name: string }
  | { readonly type: 'wildcard' }
  | { readonly type: 'recursive' }
  | { readonly type: 'root' }
  | {
      readonly type: 'slice';
      readonly start: number | undefined;
      readonly end: number | undefined;
      readonly step: number;
    }
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'union'; readonly parts: readonly (readonly Step[])[] }
  | { readonly type: 'filter'; readonly left: Operand; readonly operator: string; readonly right: Operand | undefined };

type Operand = { readonly steps: readonly Step[] } | { readonly value: unknown };

/** A parsed template. */
export class JsonPath {
  readonly #nodes: readonly Node[];
  readonly #template: string;

  /** @throws CommandError if the text is no template. */
  constructor(template: string) {
    this.#template = template;
    try {
      this.#nodes = parseTemplate(template);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw failure(`error parsing jsonpath ${template}, ${error.message}`, error);
    }
  }

  /**
   * The template's text, with the values of `root` filled in.
   * @param isStrict A key that is missing is an error; else it is empty.
   * @throws CommandError with the template and the object, as kubectl tells it.
   */
  render(root: unknown, isStrict = false): string {
    try {
      return this.#nodes.map(node => render(node, root, { root, isStrict })).join('');
    } catch (error) {
      if (!(error instanceof PathError)) throw error;
      throw failure(
        `error executing jsonpath ${JSON.stringify(this.#template)}: Error executing template: ${error.message}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t${this.#template}\n\tobject given to jsonpath engine was:\n\t\t${goSyntax(root)}\n\n`,
        error,
      );
    }
  }

  /** The values that the first path of the template finds. */
  find(root: unknown): unknown[] {
    const node = this.#nodes.find(candidate => candidate.type === 'path');
    try {
      return node?.type === 'path' ? evaluate(node.steps, [root], { root, isStrict: false }) : [];
    } catch (error) {
      if (!(error instanceof PathError)) throw error;
      throw failure(`error executing jsonpath: ${error.message}`, error);
    }
  }
}

/** What a template asked of the object that the object does not have. */
class PathError extends Error {
  override readonly name = 'PathError';
  readonly code = 'JSONPATH';
}

interface Context {
  readonly root: unknown;
  readonly isStrict: boolean;
}

/** A value as Go writes it in a program (`%#v`). */
function goSyntax(value: unknown): string {
  if (value === null || value === undefined) return 'interface {}(nil)';
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  if (typeof value !== 'object') return JSON.stringify(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[string]interface {}{${fields.map(([key, field]) => `${JSON.stringify(key)}:${goSyntax(field)}`).join(', ')}}`;
}

/** kubectl takes `.metadata.name`, `metadata.name` and `{.metadata.name}` for columns and sorting. */
export function relaxed(path: string): string {
  const [, braced, plain] = /^\{\.?([^{}]+)\}$|^\.?([^{}]+)$/.exec(path) ?? [];
  const bare = braced ?? plain;
  if (bare === undefined) {
    throw failure(
      "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'",
    );
  }
  return `{${bare.startsWith('[') || bare.startsWith('$') ? bare : `.${bare}`}}`;
}

function render(node: Node, current: unknown, context: Context): string {
  switch (node.type) {
    case 'text':
      return node.text;
    case 'path':
      return evaluate(node.steps, [current], context).map(valueText).join(' ');
    case 'range':
      return evaluate(node.steps, [current], context)
        .map(item => node.body.map(child => render(child, item, context)).join(''))
        .join('');
  }
}

/** Values as kubectl prints them: text as it is, the rest as JSON with keys in order. */
export function valueText(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(sorted(value)) : String(value);
}

function evaluate(steps: readonly Step[], start: readonly unknown[], context: Context): unknown[] {
  let values = [...start];
  for (const step of steps) values = values.flatMap(value => apply(step, value, context));
  return values;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function apply(step: Step, value: unknown, context: Context): unknown[] {
  switch (step.type) {
    case 'root':
      return [context.root];
    case 'field':
      if (isObject(value) && Object.hasOwn(value, step.name)) return [value[step.name]];
      if (context.isStrict) throw new PathError(`${step.name} is not found`);
      return [];
    case 'wildcard':
      return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
    case 'recursive':
      return descendants(value);
    case 'index': {
      if (!Array.isArray(value)) return [];
      const index = step.index < 0 ? value.length + step.index : step.index;
      if (index >= value.length || index < 0) {
        throw new PathError(`array index out of bounds: index ${step.index}, length ${value.length}`);
      }
      return [value[index]];
    }
    case 'slice':
      return Array.isArray(value) ? slice(value, step) : [];
    case 'union':
      return step.parts.flatMap(part => evaluate(part, [value], context));
    case 'filter': {
      const items = Array.isArray(value) ? value : [value];
      return items.filter(item => matches(step, item, context.root));
    }
  }
}

function descendants(value: unknown): unknown[] {
  const children = Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
  return [value, ...children.flatMap(child => (typeof child === 'object' && child !== null ? descendants(child) : []))];
}

function slice(array: readonly unknown[], { start, end, step }: Extract<Step, { type: 'slice' }>): unknown[] {
  const part = array.slice(start ?? 0, end ?? array.length);
  return part.filter((_, index) => index % step === 0);
}

function matches(filter: Extract<Step, { type: 'filter' }>, item: unknown, root: unknown): boolean {
  const left = operandValue(filter.left, item, root);
  if (!filter.right) return left !== undefined;
  const right = operandValue(filter.right, item, root);
  if (left === undefined || right === undefined) return false;
  switch (filter.operator) {
    case '==':
      return left === right || String(left) === String(right);
    case '!=':
      return String(left) !== String(right);
    case '<':
      return compare(left, right) < 0;
    case '<=':
      return compare(left, right) <= 0;
    case '>':
      return compare(left, right) > 0;
    default:
      return compare(left, right) >= 0;
  }
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

function operandValue(operand: Operand, item: unknown, root: unknown): unknown {
  return 'value' in operand ? operand.value : evaluate(operand.steps, [item], { root, isStrict: false })[0];
}

const broken = (why: string) => new SyntaxError(why);

function parseTemplate(template: string): Node[] {
  const stack: { nodes: Node[]; steps: readonly Step[] }[] = [{ nodes: [], steps: [] }];
  const top = () => stack[stack.length - 1] ?? { nodes: [], steps: [] };
  let position = 0;
  while (position < template.length) {
    if (template[position] !== '{') {
      const next = template.indexOf('{', position);
      const end = next < 0 ? template.length : next;
      top().nodes.push({ type: 'text', text: template.slice(position, end) });
      position = end;
      continue;
    }
    const end = closingBrace(template, position);
    const action = template.slice(position + 1, end).trim();
    position = end + 1;
    if (action === 'end') {
      const done = stack.pop();
      if (!done || stack.length === 0) throw broken('not in range, nothing to end');
      top().nodes.push({ type: 'range', steps: done.steps, body: done.nodes });
    } else if (/^range\b/.test(action)) {
      stack.push({ nodes: [], steps: parsePath(action.slice('range'.length).trim()) });
    } else if (/^["']/.test(action)) {
      top().nodes.push({ type: 'text', text: unquote(action) });
    } else top().nodes.push({ type: 'path', steps: parsePath(action) });
  }
  if (stack.length > 1) throw broken('unterminated range');
  return top().nodes;
}

/** The brace that closes the one at `start`; braces within quotes do not count. */
function closingBrace(text: string, start: number): number {
  let quote = '';
  for (let index = start + 1; index < text.length; index++) {
    const sign = text[index] ?? '';
    if (sign === '\\') index++;
    else if (quote) quote = sign === quote ? '' : quote;
    else if (sign === '"' || sign === "'") quote = sign;
    else if (sign === '}') return index;
  }
  throw broken('unclosed action');
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

function unquote(text: string): string {
  return text.slice(1, -1).replaceAll(/\\(.)/g, (_, sign: string) => ESCAPES[sign] ?? sign);
}

function parsePath(text: string): Step[] {
  const steps: Step[] = [];
  let rest = text;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    const match = pattern.exec(rest);
    if (!match) return undefined;
    rest = rest.slice(match[0].length);
    return match;
  };
  if (take(/^\$/)) steps.push({ type: 'root' });
  else take(/^@/);
  while (rest !== '') {
    if (take(/^\.\.(?=[[*\w])/)) {
      steps.push({ type: 'recursive' });
      if (rest.startsWith('[')) continue;
      rest = `.${rest}`;
    } else if (take(/^\.(?=\[)/) || take(/^\.$/)) {
      // `.[0]` and a lone dot add nothing.
    } else if (take(/^\.?\*/)) steps.push({ type: 'wildcard' });
    else if (rest.startsWith('[')) {
      const end = closingBracket(rest);
      steps.push(parseBracket(rest.slice(1, end).trim()));
      rest = rest.slice(end + 1);
    } else {
      const field = take(/^\.?((?:\\.|[^.[\]\s{}()'"=!<>|*?,@$\\])+)/);
      if (!field) throw broken(`unrecognized character in action: ${JSON.stringify(rest[0])}`);
      steps.push({ type: 'field', name: (field[1] ?? '').replaceAll(/\\(.)/g, '$1') });
    }
  }
  return steps;
}

function closingBracket(text: string): number {
  let depth = 0;
  let quote = '';
  for (const [index, sign] of [...text].entries()) {
    if (quote) quote = sign === quote ? '' : quote;
    else if (sign === '"' || sign === "'") quote = sign;
    else if (sign === '[') depth++;
    else if (sign === ']' && --depth === 0) return index;
  }
  throw broken('unterminated array');
}

function parseBracket(text: string): Step {
  const filter = /^\?\((.*)\)$/s.exec(text)?.[1];
  if (filter !== undefined) return parseFilter(filter.trim());
  if (text === '*') return { type: 'wildcard' };
  const parts = splitOutsideQuotes(text);
  if (parts.length > 1) return { type: 'union', parts: parts.map(part => [parseBracket(part)]) };
  if (/^["']/.test(text)) return { type: 'field', name: unquote(text) };
  if (/^-?\d+$/.test(text)) return { type: 'index', index: Number(text) };
  const range = /^(-?\d*):(-?\d*)(?::(\d*))?$/.exec(text);
  if (range) {
    const number = (digits: string | undefined) => (digits ? Number(digits) : undefined);
    return { type: 'slice', start: number(range[1]), end: number(range[2]), step: Math.max(1, number(range[3]) ?? 1) };
  }
  throw broken(`invalid array index ${text}`);
}

function splitOutsideQuotes(text: string): string[] {
  return (text.match(/(?:'[^']*'|"[^"]*"|[^,])+/g) ?? []).map(part => part.trim());
}

function parseFilter(text: string): Step {
  const match = /^((?:'[^']*'|"[^"]*"|[^=!<>'"])+?)\s*(==|!=|<=|>=|<|>)\s*(.+)$/s.exec(text);
  if (!match) return { type: 'filter', left: parseOperand(text), operator: 'exists', right: undefined };
  const [, left = '', operator = '', right = ''] = match;
  return { type: 'filter', left: parseOperand(left.trim()), operator, right: parseOperand(right.trim()) };
}

function parseOperand(text: string): Operand {
  if (/^["']/.test(text)) return { value: unquote(text) };
  if (/^-?\d+(?:\.\d+)?$/.test(text)) return { value: Number(text) };
  if (text === 'true' || text === 'false') return { value: text === 'true' };
  return { steps: parsePath(text) };
}
