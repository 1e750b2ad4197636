/**
 * CEL, the Common Expression Language, as Kubernetes v1.33 speaks it. Two things above all come out of this folder: the rules of
 * custom resources ({@link compileValidationRules}) and the expressions of admission ({@link compileExpression}: match
 * conditions and admission policies); besides those that make users of tokens ({@link compileClaimsExpression}). Texts are parsed by `@marcbachmann/cel-js`, which nobody outside `syntax.ts` sees;
 * checking, evaluation, costs and the libraries are here. An evaluation has a {@link Budget} and ends with it.
 */
export {
  type AdmissionInput,
  type CompiledExpression,
  compileExpression,
  type ExpressionEnvironment,
  type ResultKind,
} from './admission.ts';
export { Budget, CostLimitError } from './budget.ts';
export { type AuthorizationDecision, type AuthorizationQuestion, PendingDecision } from './functions/authorization.ts';
export {
  compileClaimsExpression,
  compileUserExpression,
  type IdentityExpression,
  textsOf,
} from './identity.ts';
export { definitionType } from './kind-types.ts';
export { CALL_COST_MAX, MATCH_CONDITIONS_COST_MAX, POLICY_COST_MAX } from './limits.ts';
export { checkPolicyTypes, namedResources, type TypedKind } from './policy-check.ts';
export { type RuleRunOptions, usableMessage } from './rule-run.ts';
export { type CompiledRules, compileValidationRules, type RuleOptions } from './rules.ts';
export { type RuleSchema, type SchemaType, schemaType, type ValidationRule } from './schema.ts';
export { EvaluationError, type Value } from './values.ts';
