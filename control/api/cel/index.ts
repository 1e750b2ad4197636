/**
 * CEL, the Common Expression Language, as Kubernetes v1.33 speaks it. Two things come out of this folder: the rules of
 * custom resources ({@link compileValidationRules}) and single expressions with their variables
 * ({@link compileExpression}: match conditions and admission policies). Texts are parsed by `@marcbachmann/cel-js`,
 * which nobody outside `syntax.ts` sees; checking, evaluation, costs and the libraries are here.
 */
export { type CompiledRules, compileValidationRules, type RuleOptions } from './rules.ts';
export type { RuleRunOptions } from './rule-run.ts';
export type { RuleSchema, ValidationRule } from './schema.ts';
