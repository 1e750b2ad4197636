/** The rules in CEL of a version (`x-kubernetes-validations`), compiled when its objects are first judged. */
import { compileValidationRules, type RuleSchema } from '../cel/index.ts';
import type { FieldError } from '../status.ts';
import { type JsonObject, type JsonSchema, someSchema } from './schema.ts';

/** Judges an object by a version's rules; `old` is undefined for one that is new. In steps, as the rules of one object may work long. */
export type RuleCheck = (
  object: JsonObject,
  old: JsonObject | undefined,
) => Generator<undefined, readonly FieldError[]>;

/** A structural schema has one schema for a list's items: it is of the form that rules are compiled from. */
const asRuleSchema = (schema: JsonSchema): RuleSchema => schema as RuleSchema;

const hasRules = (schema: JsonSchema): boolean =>
  someSchema(schema, ({ 'x-kubernetes-validations': rules = [] }) => rules.length > 0);

/** Makes the check of a schema; undefined if it has no rules. */
export function compileRules(schema: JsonSchema): RuleCheck | undefined {
  if (!hasRules(schema)) return undefined;
  const rules = compileValidationRules(asRuleSchema(schema), '');
  return (object, old) => rules.judge(object, old, '');
}

/**
 * What is wrong with the rules of a structural schema that stands at `path`. What rules may cost is asked only of those that
 * are new: a definition that was accepted stays acceptable.
 */
export function validateRules(schema: JsonSchema, path: string, isUnchanged: boolean): readonly FieldError[] {
  if (!hasRules(schema)) return [];
  const { errors } = compileValidationRules(asRuleSchema(schema), path);
  return isUnchanged ? errors.filter(({ message }) => !message.startsWith(COST_OF_ONE)) : errors;
}
const COST_OF_ONE = 'Forbidden: estimated ';
