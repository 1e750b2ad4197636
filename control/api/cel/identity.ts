/**
 * Expressions of an AuthenticationConfiguration: they make users of the claims of a token, and judge both (k/k
 * apiserver/pkg/authentication/cel). They speak of `claims` or of `user`, and of nothing else.
 */
import type { Budget } from './budget.ts';
import { compileText, partsOf } from './compile.ts';
import { builtinValue, declarations } from './environment.ts';
import { dynamicValue, typedValue } from './json-values.ts';
import { type RuleSchema, schemaType } from './schema.ts';
import type { Expression } from './syntax.ts';
import { DYN, mapOf, STRING, type Type } from './types.ts';
import { isList, type Value } from './values.ts';

export interface IdentityExpression {
  readonly text: string;
  /** True if it names that claim as `claims.name`. */
  reads(claim: string): boolean;
  /** `input` is JSON: the claims, or the user. Throws EvaluationError and CostLimitError. */
  evaluate(input: unknown, budget: Budget): Value;
}

/** `rule`: it has to give a bool; `value`: anything. */
export type IdentityResult = 'rule' | 'value';

const TEXT: RuleSchema = { type: 'string' };
const TEXTS: RuleSchema = { type: 'array', items: TEXT };
const USER_SCHEMA: RuleSchema = {
  type: 'object',
  properties: {
    username: TEXT,
    uid: TEXT,
    groups: TEXTS,
    extra: { type: 'object', additionalProperties: TEXTS },
  },
};

const userType = (): Type => {
  const known = schemaType(USER_SCHEMA, false);
  if (!known) throw new Error('the type of a user was expected');
  return known.type;
};
const CLAIMS = {
  name: 'claims',
  declared: declarations([['claims', mapOf(STRING, DYN)]]),
  value: dynamicValue,
};
const USER = {
  name: 'user',
  declared: declarations([['user', userType()]]),
  value: (json: unknown) => typedValue(json, USER_SCHEMA),
};

/** Compiles an expression about `claims`. The error is the detail of a field error. Never throws. */
export const compileClaimsExpression = (text: string, result: IdentityResult) => compile(text, result, CLAIMS);

/** The same about `user`. */
export const compileUserExpression = (text: string) => compile(text, 'rule', USER);

function compile(
  text: string,
  result: IdentityResult,
  { name, declared, value }: typeof CLAIMS,
): IdentityExpression | { readonly error: string } {
  const compiled = compileText(text, declared);
  if (compiled.error !== undefined) return { error: compiled.error };
  const { checked, program } = compiled;
  if (result === 'rule' && checked.resultType.kind !== 'bool') return { error: 'must evaluate to bool' };
  return {
    text,
    reads: claim => readsField(checked.expression, 'claims', claim),
    evaluate: (input, budget) => program(asked => (asked === name ? value(input) : builtinValue(asked)), budget),
  };
}

function readsField(expression: Expression, name: string, field: string): boolean {
  if (expression.kind === 'select' || expression.kind === 'has') {
    const { operand } = expression;
    if (operand.kind === 'name' && operand.name === name && expression.field === field) return true;
  }
  return partsOf(expression).some(part => readsField(part, name, field));
}

/** A text or a list of texts as a list; what is null or empty is left out. Undefined if it is anything else. */
export function textsOf(value: Value): readonly string[] | undefined {
  if (value === null || value === '') return [];
  if (typeof value === 'string') return [value];
  if (!isList(value)) return undefined;
  const texts: string[] = [];
  for (let index = 0; index < value.size; index++) {
    const text = value.at(index);
    if (typeof text !== 'string') return undefined;
    if (text !== '') texts.push(text);
  }
  return texts;
}
