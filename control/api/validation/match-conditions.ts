/** Validation of match conditions: what webhooks and policies demand of a request, in CEL, before they look at it. */
import { compileExpression, type ExpressionEnvironment } from '../cel/index.ts';
import type { MatchCondition } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { byRule, duplicateValue, invalidValue, required, tooManyValues } from './errors.ts';
import { qualifiedName } from './names.ts';

const MATCH_CONDITIONS_MAX = 64;

/** What conditions must be like: names of their own, and expressions that compile. */
export function validateMatchConditions(
  conditions: readonly MatchCondition[],
  path: string,
  environment: ExpressionEnvironment,
): FieldError[] {
  const errors: FieldError[] = [];
  if (conditions.length > MATCH_CONDITIONS_MAX) {
    errors.push(tooManyValues(path, conditions.length, MATCH_CONDITIONS_MAX));
  }
  const names = new Set<string>();
  for (const [index, { name, expression }] of conditions.entries()) {
    const at = `${path}[${index}]`;
    errors.push(...validateExpression(expression, `${at}.expression`, environment));
    errors.push(...(name === '' ? [required(`${at}.name`)] : byRule(`${at}.name`, name, qualifiedName(name))));
    if (name !== '' && names.has(name)) errors.push(duplicateValue(`${at}.name`, name));
    names.add(name);
  }
  return errors;
}

function validateExpression(expression: string, field: string, environment: ExpressionEnvironment): FieldError[] {
  const text = expression.trim();
  if (text === '') return [required(field)];
  const compiled = compileExpression(text, environment);
  return 'error' in compiled ? [invalidValue(field, text, compiled.error)] : [];
}
