/**
 * Runs the rules of a schema over one object. All of them share a budget; an error of a rule about what was not changed
 * is only a warning (KEP-4008), unless the rule looks at the old value.
 */

import { isEqual } from '../schema/equal.ts';
import type { FieldError } from '../status.ts';
import { duplicateValue, forbiddenField, invalidValue, required } from '../validation/errors.ts';
import { Budget, CostLimitError } from './budget.ts';
import { builtinValue } from './environment.ts';
import { typedValue } from './json-values.ts';
import { CALL_COST_MAX, MESSAGE_LENGTH_MAX, RULES_COST_MAX } from './limits.ts';
import { type CompiledRule, isCorrelated, type RuleNode } from './rules.ts';
import { type RuleSchema, withTypeAndMetadata } from './schema.ts';
import { EvaluationError, Optional, type Value } from './values.ts';

export interface RuleRunOptions {
  /** Cost units for all rules together; RULES_COST_MAX if not said. */
  readonly costMax?: number;
  /** Told what is wrong with parts that were not changed; such errors are not returned. */
  readonly onWarning?: (sentence: string) => void;
  /** False: parts that were not changed are judged like all others. */
  readonly ratchets?: boolean;
}

interface Subject {
  readonly value: unknown;
  readonly oldValue: unknown;
  readonly path: string;
}

/**
 * What the rules of `root`, and of everything below it, say of a value. It yields before each rule: one costs CALL_COST_MAX at
 * most, all together ten times as much, which is too long for others to wait.
 */
export function* judgeByRules(
  root: RuleNode,
  subject: Subject,
  options: RuleRunOptions,
): Generator<undefined, FieldError[]> {
  const run = new Run(options);
  yield* run.node(root, subject, { old: subject.oldValue, isUnchangedAbove: false });
  return run.errors;
}

/** What a part corresponds to in the old object, for telling whether it was changed. */
interface Correlation {
  /** Undefined if nothing corresponds. */
  readonly old: unknown;
  readonly isUnchangedAbove: boolean;
}

class Run {
  readonly errors: FieldError[] = [];
  readonly #options: RuleRunOptions;
  #remaining: number;

  constructor(options: RuleRunOptions) {
    this.#options = options;
    this.#remaining = options.costMax ?? RULES_COST_MAX;
  }

  /** False once the budget is used up: nothing more is run then. */
  *node(node: RuleNode, subject: Subject, correlation: Correlation): Generator<undefined, boolean> {
    const { value, oldValue } = subject;
    if (value === null || value === undefined) return true;
    if (node.rules.length > 0 && !(yield* this.#rules(node, subject, correlation))) return false;
    for (const part of node.allOf) {
      const above = { old: undefined, isUnchangedAbove: correlation.isUnchangedAbove };
      if (!(yield* this.node(part, subject, above))) return false;
    }
    if (Array.isArray(value)) {
      return yield* this.#elements(node, { value, oldValue, path: subject.path }, correlation);
    }
    if (typeof value === 'object') {
      return yield* this.#members(node, { value: value as Json, oldValue, path: subject.path }, correlation);
    }
    return true;
  }

  *#elements(
    node: RuleNode,
    { value, oldValue, path }: Subject & { readonly value: readonly unknown[] },
    correlation: Correlation,
  ): Generator<undefined, boolean> {
    const { items } = node;
    if (!items) return true;
    const isUnchanged = this.#isUnchanged(value, correlation);
    const correlate = correlatedElements(node.schema, Array.isArray(oldValue) ? oldValue : []);
    const correlateForRatchet = correlatedElements(node.schema, Array.isArray(correlation.old) ? correlation.old : []);
    for (const [index, element] of value.entries()) {
      const goesOn = yield* this.node(
        items,
        { value: element, oldValue: correlate(element), path: `${path}[${index}]` },
        { old: correlateForRatchet(element), isUnchangedAbove: isUnchanged },
      );
      if (!goesOn) return false;
    }
    return true;
  }

  *#members(
    node: RuleNode,
    { value, oldValue, path }: Subject & { readonly value: Json },
    correlation: Correlation,
  ): Generator<undefined, boolean> {
    const { properties, values } = node;
    if (properties.size === 0 && !values) return true;
    const isUnchanged = this.#isUnchanged(value, correlation);
    const isTracked = isCorrelated(node.schema);
    const old = isJson(oldValue) ? oldValue : {};
    const ratchetOld = isJson(correlation.old) && isTracked ? correlation.old : {};
    for (const name of Object.keys(value)) {
      const property = properties.get(name);
      const child = property ?? values;
      if (!child) continue;
      const at = property ? (path === '' ? name : `${path}.${name}`) : `${path}[${name}]`;
      const goesOn = yield* this.node(
        child,
        { value: value[name], oldValue: isTracked ? old[name] : undefined, path: at },
        { old: ratchetOld[name], isUnchangedAbove: isUnchanged },
      );
      if (!goesOn) return false;
    }
    return true;
  }

  /** Whether a value, or what it is part of, is as it was. */
  #isUnchanged(value: unknown, { old, isUnchangedAbove }: Correlation): boolean {
    if (this.#options.ratchets === false) return false;
    return old === undefined ? isUnchangedAbove : isEqual(value, old);
  }

  *#rules(node: RuleNode, subject: Subject, correlation: Correlation): Generator<undefined, boolean> {
    const { path, value, oldValue } = subject;
    const type = node.schema.type ?? '';
    if (this.#remaining <= 0) return this.#stop(path, type, OUT_OF_BUDGET);
    const schema = node.isResourceRoot ? withTypeAndMetadata(node.schema) : node.schema;
    let isUnchanged: boolean | undefined;
    for (const compiled of node.rules) {
      const { rule, usesOldSelf } = compiled;
      const hasOld = oldValue !== undefined && oldValue !== null;
      if (usesOldSelf && !hasOld && !rule.optionalOldSelf) continue;
      yield;
      const budget = new Budget(Math.min(CALL_COST_MAX, this.#remaining + 1));
      const variables = variablesFor(compiled, schema, value, hasOld ? oldValue : undefined);
      const outcome = evaluate(compiled, variables, budget);
      if (budget.cost > this.#remaining) return this.#stop(path, type, OUT_OF_BUDGET);
      this.#remaining -= budget.cost;
      if (outcome === true) continue;
      if (typeof outcome === 'string') {
        this.errors.push(invalidValue(path, type, outcome));
        if (budget.cost > CALL_COST_MAX || outcome.startsWith("'operation cancelled")) return false;
        continue;
      }
      isUnchanged ??= this.#isUnchanged(value, correlation);
      if (!this.#fail(compiled, variables, { path, type, isUnchanged })) return false;
    }
    return true;
  }

  #stop(path: string, type: string, why: string): false {
    this.errors.push(invalidValue(path, type, why));
    return false;
  }

  /** The rule does not hold. False if that used up the budget. */
  #fail(
    { rule, messageProgram, fieldPath, usesOldSelf }: CompiledRule,
    variables: (name: string) => Value | undefined,
    { path, type, isUnchanged }: { readonly path: string; readonly type: string; readonly isUnchanged: boolean },
  ): boolean {
    const at = (path + fieldPath).replace(/^\./, '');
    const add = (error: FieldError) => {
      if (!usesOldSelf && isUnchanged) this.#options.onWarning?.(`${error.field}: ${error.message}`);
      else this.errors.push(error);
    };
    let detail = rule.message ? rule.message.trim() : `failed rule: ${rule.rule.trim()}`;
    if (messageProgram) {
      const budget = new Budget(Math.min(CALL_COST_MAX, this.#remaining + 1));
      try {
        const made = messageProgram(variables, budget);
        if (budget.cost > this.#remaining) throw new CostLimitError();
        detail = usableMessage(made) ?? detail;
      } catch (error) {
        if (error instanceof CostLimitError) {
          const why =
            budget.cost > this.#remaining
              ? 'messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run'
              : `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${JSON.stringify(rule.messageExpression)}`;
          add(invalidValue(at, type, why));
          return false;
        }
        if (!(error instanceof EvaluationError)) throw error;
      }
      this.#remaining -= budget.cost;
    }
    add(errorFor(rule.reason, at, type, detail));
    return true;
  }
}

const OUT_OF_BUDGET = 'validation failed due to running out of cost budget, no further validation rules will be run';

type Json = Record<string, unknown>;
const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

function errorFor(reason: string | undefined, field: string, type: string, detail: string): FieldError {
  switch (reason) {
    case 'FieldValueForbidden':
      return forbiddenField(field, detail);
    case 'FieldValueRequired':
      return required(field, detail);
    case 'FieldValueDuplicate':
      return duplicateValue(field, type);
    default:
      return invalidValue(field, type, detail);
  }
}

function variablesFor({ rule }: CompiledRule, schema: RuleSchema, value: unknown, oldValue: unknown) {
  let self: Value | undefined;
  let old: Value | undefined;
  return (name: string): Value | undefined => {
    if (name === 'self') {
      self ??= typedValue(value, schema);
      return self;
    }
    if (name !== 'oldSelf') return builtinValue(name);
    if (old === undefined && oldValue !== undefined) old = typedValue(oldValue, schema);
    return rule.optionalOldSelf ? new Optional(old) : old;
  };
}

/** True or false as the rule says, or what went wrong. */
function evaluate(
  { rule, program }: CompiledRule,
  variables: (name: string) => Value | undefined,
  budget: Budget,
): boolean | string {
  const shown = (rule.message || rule.rule).trim();
  try {
    return program(variables, budget) === true;
  } catch (error) {
    if (error instanceof CostLimitError) {
      return `'${error.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${shown}`;
    }
    if (!(error instanceof EvaluationError)) throw error;
    return error.message.startsWith('no such overload')
      ? `'${error.message}': call arguments did not match a supported operator, function or macro signature for rule: ${shown}`
      : `${error.message} evaluating rule: ${shown}`;
  }
}

/** A computed message, if it is one that may be shown. */
export function usableMessage(made: Value): string | undefined {
  if (typeof made !== 'string') return undefined;
  const text = made.trim();
  if (text === '' || text.includes('\n') || Buffer.byteLength(text) > MESSAGE_LENGTH_MAX) return undefined;
  return text;
}

/** Finds the old element for a new one: lists of type map have keys, others have no such thing. */
function correlatedElements(schema: RuleSchema, old: readonly unknown[]): (element: unknown) => unknown {
  const keys = schema['x-kubernetes-list-map-keys'];
  if (schema['x-kubernetes-list-type'] !== 'map' || !keys || old.length === 0) return () => undefined;
  const keyOf = (element: unknown) =>
    isJson(element)
      ? JSON.stringify(keys.map(key => element[key] ?? schema.items?.properties?.[key]?.default ?? null))
      : undefined;
  const byKey = new Map(old.map(element => [keyOf(element), element]));
  return element => byKey.get(keyOf(element));
}
