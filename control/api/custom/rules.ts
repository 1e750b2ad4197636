/** The rules in CEL of a version (`x-kubernetes-validations`), compiled when its objects are first judged. */
import type { FieldError } from '../status.ts';
import type { JsonObject, JsonSchema } from './schema.ts';

/** Judges an object by a version's rules; `old` is undefined for one that is new. */
export type RuleCheck = (object: JsonObject, old: JsonObject | undefined) => FieldError[];

/** Makes the check of a schema; undefined if it has no rules. */
export type RuleCompiler = (schema: JsonSchema) => RuleCheck | undefined;
