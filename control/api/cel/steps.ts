/** What an evaluation is made of: steps that call each other, with what they share. */
import type { Budget } from './budget.ts';
import { EvaluationError, type Value } from './values.ts';

/** Gives the value of a variable; undefined if it has none. */
export type Variables = (name: string) => Value | undefined;

/** Evaluates. Throws {@link EvaluationError} for what CEL calls an error, and CostLimitError when the budget is used up. */
export type Program = (variables: Variables, budget: Budget) => Value;

export interface Context {
  readonly variables: Variables;
  readonly budget: Budget;
  /** Variables of comprehensions that are running. */
  readonly slots: Value[];
}
export type Step = (context: Context) => Value;

/** What making a list and a map costs. */
export const LIST_COST = 10;
export const MAP_COST = 30;

/** What && and comprehensions may overlook; all else is thrown on. */
export function asFailure(error: unknown): EvaluationError {
  if (error instanceof EvaluationError) return error;
  throw error;
}
