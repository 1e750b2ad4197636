/** Go's text/template, third step: a tree with the values of an object. (text/template/exec.go) */
import { FunctionError, functions, isTrue } from './functions.ts';
import { goText, goType } from './go-format.ts';
import type { Command, Node, Operand, ParsedTemplate, Pipeline } from './parse.ts';

/** How deep templates may call each other. */
const DEPTH_MAX = 500;

/** What a template could not do, and where. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  /** The node, as Go prints it. */
  readonly text: string;
  readonly position: number;

  constructor(message: string, { text, position }: { readonly text: string; readonly position: number }) {
    super(message);
    this.text = text;
    this.position = position;
  }
}

interface Variable {
  readonly name: string;
  value: unknown;
}

type Flow = 'on' | 'break' | 'continue';

export class Execution {
  readonly #parsed: ParsedTemplate;
  readonly #write: (text: string) => void;
  readonly #mayMiss: boolean;
  #variables: Variable[] = [];
  /** What is being looked at, for errors. */
  #at = { text: '', position: 0 };
  #depth = 0;

  constructor(parsed: ParsedTemplate, options: { readonly write: (text: string) => void; readonly mayMiss: boolean }) {
    this.#parsed = parsed;
    this.#write = options.write;
    this.#mayMiss = options.mayMiss;
  }

  /** Writes the template's text as it goes. @throws TemplateError */
  run(data: unknown): void {
    this.#variables = [{ name: '$', value: data }];
    this.#walkAll(this.#parsed.nodes, data);
  }

  #walkAll(nodes: readonly Node[], dot: unknown): Flow {
    for (const node of nodes) {
      const flow = this.#walk(node, dot);
      if (flow !== 'on') return flow;
    }
    return 'on';
  }

  #walk(node: Node, dot: unknown): Flow {
    switch (node.type) {
      case 'text':
        this.#write(node.text);
        return 'on';
      case 'action': {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.declared.length === 0) this.#write(isNothing(value) ? '<no value>' : goText(value));
        return 'on';
      }
      case 'break':
      case 'continue':
        return node.type;
      case 'template':
        this.#call(node, dot);
        return 'on';
      default:
        return this.#scoped(() => (node.type === 'range' ? this.#range(node, dot) : this.#choose(node, dot)));
    }
  }

  /** What was declared within is forgotten afterwards. */
  #scoped<T>(run: () => T): T {
    const count = this.#variables.length;
    try {
      return run();
    } finally {
      this.#variables.length = count;
    }
  }

  #choose(node: Extract<Node, { type: 'if' | 'with' | 'range' }>, dot: unknown): Flow {
    const value = this.#pipeline(node.pipeline, dot);
    if (!isTrue(value)) return this.#walkAll(node.otherwise, dot);
    return this.#walkAll(node.body, node.type === 'with' ? value : dot);
  }

  #range(node: Extract<Node, { type: 'if' | 'with' | 'range' }>, dot: unknown): Flow {
    const { declared, isAssignment } = node.pipeline;
    const value = this.#pipeline({ ...node.pipeline, declared: [] }, dot);
    const entries = this.#entriesOf(value);
    for (const [key, item] of entries) {
      const given = declared.length === 2 ? [key, item] : [item];
      const flow = this.#scoped(() => {
        for (const [index, name] of declared.entries()) {
          if (isAssignment) this.#assign(name, given[index]);
          else this.#variables.push({ name, value: given[index] });
        }
        return this.#walkAll(node.body, item);
      });
      if (flow === 'break') return 'on';
    }
    return entries.length === 0 ? this.#walkAll(node.otherwise, dot) : 'on';
  }

  #entriesOf(value: unknown): (readonly [unknown, unknown])[] {
    if (isNothing(value)) return [];
    if (Array.isArray(value)) return [...value.entries()];
    if (typeof value === 'object') {
      return Object.entries(Object(value)).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    }
    if (typeof value === 'number' && Number.isInteger(value) && value <= RANGE_MAX) {
      return Array.from({ length: Math.max(0, value) }, (_, index) => [index, index] as const);
    }
    throw this.#error(`range can't iterate over ${goText(value)}`);
  }

  #call(node: Extract<Node, { type: 'template' }>, dot: unknown): void {
    this.#at = { text: `{{template ${JSON.stringify(node.name)}}}`, position: node.position };
    const nodes = this.#parsed.defined.get(node.name);
    if (!nodes) throw this.#error(`template ${JSON.stringify(node.name)} not defined`);
    if (++this.#depth > DEPTH_MAX) throw this.#error(`exceeded maximum template depth (${DEPTH_MAX})`);
    const value = node.pipeline && this.#pipeline(node.pipeline, dot);
    const outer = this.#variables;
    this.#variables = [{ name: '$', value }];
    this.#walkAll(nodes, value);
    this.#variables = outer;
    this.#depth--;
  }

  #pipeline({ commands, declared, isAssignment }: Pipeline, dot: unknown): unknown {
    let value: unknown;
    for (const [index, command] of commands.entries()) {
      value = this.#command(command, dot, index === 0 ? [] : [value]);
    }
    for (const name of declared) {
      if (isAssignment) this.#assign(name, value);
      else this.#variables.push({ name, value });
    }
    return value;
  }

  #assign(name: string, value: unknown): void {
    const variable = this.#variables.findLast(each => each.name === name);
    if (!variable) throw this.#error(`undefined variable: ${name}`);
    variable.value = value;
  }

  #command(command: Command, dot: unknown, piped: readonly unknown[]): unknown {
    const [first, ...rest] = command.operands;
    if (!first) throw this.#error('empty command');
    if (first.type === 'function') return this.#function(first.name, { command, rest, dot, piped });
    this.#at = first;
    if (first.type === 'nil') throw this.#error('nil is not a command');
    if (rest.length > 0 || piped.length > 0) {
      const field = first.type === 'path' ? first.fields.at(-1) : undefined;
      throw this.#error(
        field === undefined
          ? `can't give argument to non-function ${first.text}`
          : `${field} is not a method but has arguments`,
      );
    }
    return this.#operand(first, dot);
  }

  #function(
    name: string,
    call: {
      readonly command: Command;
      readonly rest: readonly Operand[];
      readonly dot: unknown;
      readonly piped: readonly unknown[];
    },
  ): unknown {
    const { command, rest, dot, piped } = call;
    const { least = 0, most, takes, run } = functions.get(name) ?? {};
    const count = rest.length + piped.length;
    this.#at = command;
    if (!run || count < least || (most !== undefined && count > most)) {
      const wanted = most === least ? String(least) : `at least ${least}`;
      throw this.#error(`wrong number of args for ${name}: want ${wanted} got ${count}`);
    }
    const values: unknown[] = [];
    for (const operand of rest) {
      const value = this.#operand(operand, dot);
      values.push(value);
      // These look no further than they have to.
      if ((name === 'and' && !isTrue(value)) || (name === 'or' && isTrue(value))) return value;
    }
    values.push(...piped);
    const [first] = values;
    if (takes !== undefined && typeof first !== takes) {
      throw this.#error(
        isNothing(first)
          ? `invalid value; expected ${takes}`
          : `wrong type for value; expected ${takes}; got ${goType(first).replace('int64', 'int')}`,
      );
    }
    this.#at = command;
    try {
      return run(...values);
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      throw this.#error(`error calling ${name}: ${error.message}`);
    }
  }

  #operand(operand: Operand, dot: unknown): unknown {
    this.#at = operand;
    switch (operand.type) {
      case 'literal':
        return operand.value;
      case 'nil':
        return null;
      case 'function':
        return this.#function(operand.name, {
          command: { operands: [operand], text: operand.text, position: operand.position },
          rest: [],
          dot,
          piped: [],
        });
      case 'path': {
        const { base, fields } = operand;
        let value =
          base === 'dot'
            ? dot
            : 'variable' in base
              ? this.#variables.findLast(({ name }) => name === base.variable)?.value
              : this.#scoped(() => this.#pipeline(base.pipeline, dot));
        this.#at = operand;
        for (const field of fields) value = this.#field(value, field);
        return value;
      }
    }
  }

  #field(value: unknown, name: string): unknown {
    if (value === undefined) {
      if (!this.#mayMiss) throw this.#error(`nil data; no entry for key ${JSON.stringify(name)}`);
      return undefined;
    }
    if (value === null) throw this.#error(`nil pointer evaluating interface {}.${name}`);
    if (typeof value !== 'object' || Array.isArray(value)) {
      throw this.#error(`can't evaluate field ${name} in type interface {}`);
    }
    if (Object.hasOwn(value, name)) return Reflect.get(value, name);
    if (!this.#mayMiss) throw this.#error(`map has no entry for key ${JSON.stringify(name)}`);
    return undefined;
  }

  #error(message: string): TemplateError {
    return new TemplateError(message, this.#at);
  }
}

/** How far a number is counted up to. */
const RANGE_MAX = 1_000_000;

const isNothing = (value: unknown): boolean => value === undefined || value === null;
