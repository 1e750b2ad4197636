/** How much an expression may cost. The figures are Kubernetes' (apiserver/pkg/apis/cel, apiextensions validation). */

/** Cost units that one evaluation of one expression may use. A unit is about as much work as reading one field. */
export const CALL_COST_MAX = 1_000_000;
/** Cost units that the rules of one custom resource may use together. */
export const RULES_COST_MAX = 10_000_000;
/** Cost units that all expressions of one admission policy, or all match conditions of one webhook, may use together. */
export const POLICY_COST_MAX = 10_000_000;
export const MATCH_CONDITIONS_COST_MAX = 2_500_000;

/** What one rule may be estimated to cost at worst when a CustomResourceDefinition is written, times its cardinality. */
export const RULE_ESTIMATE_MAX = 10_000_000n;
/** The same for all rules of one schema. */
export const SCHEMA_ESTIMATE_MAX = 100_000_000n;
/** Of the rules that make a schema too expensive, this many are named. */
export const EXPENSIVE_RULES_MAX = 4;

/** Code points of one expression. */
export const EXPRESSION_LENGTH_MAX = 100_000;
/** How deep an expression may be nested. */
export const EXPRESSION_DEPTH_MAX = 250;
/** Syntax nodes of one expression: an expression of the greatest length does not reach it. */
export const EXPRESSION_NODES_MAX = 100_000;
/** Mistakes of one expression that are told, and characters that telling them may take; the first is always told. */
export const ISSUES_MAX = 100;
export const ISSUES_LENGTH_MAX = 64 * 1024;
/** Bytes that a computed message may have. */
export const MESSAGE_LENGTH_MAX = 5 * 1024;
/**
 * Elementary steps (elements compared, characters scanned) for which Kubernetes' cost model charges too little: one
 * unit may buy this many of them before they count themselves.
 */
export const FREE_STEPS_PER_UNIT = 5;
/** Bytes of a request, as estimates take it: what bounds lists and texts for which the schema names no maximum. */
export const REQUEST_BYTES_MAX = 3 * 1024 * 1024;
/** Regular expressions that are kept compiled. */
export const COMPILED_PATTERNS_MAX = 500;
/** Digits after the point that `format` writes at most. */
export const FORMAT_PRECISION_MAX = 1_000;
/**
 * Elementary steps for what takes longer than to look at one element: an error that is overlooked (&&, ||, all, exists), an
 * entry of a map or an element with a key that is compared, a list or a moment that is. By how long each takes, so that an
 * expression that does nothing else holds the event loop no longer than others do.
 */
export const FAILURE_STEPS = 50;
export const ENTRY_STEPS = 20;
export const LIST_STEPS = 6;
export const MOMENT_STEPS = 20;
