/**
 * Evaluates expressions of admission for one request. Expressions that ask the authorizer are evaluated again once it has
 * answered; answers are remembered for the request.
 */
import {
  type AdmissionInput,
  type AuthorizationDecision,
  type AuthorizationQuestion,
  Budget,
  CALL_COST_MAX,
  type CompiledExpression,
  CostLimitError,
  EvaluationError,
  PendingDecision,
  type Value,
} from '../../../api/cel/index.ts';
import { type Attributes, resourceAttributes, type Verdict } from '../../auth/attributes.ts';
import { nextTurn } from '../../clock.ts';
import type { Identity } from '../../types.ts';

/** Who answers the questions of expressions. */
export interface Asking {
  readonly authorizer: { authorize(asked: Attributes): Promise<Verdict> };
  /** Who made the request. */
  readonly identity: Identity;
}

/** What became of an expression: a value, or what the client is told. */
export type Outcome = { readonly value: Value; readonly failure?: never; readonly isOver: false } | Failure;
export interface Failure {
  readonly value?: never;
  readonly failure: string;
  /** True if the budget is used up: nothing more is to be evaluated. */
  readonly isOver: boolean;
}

/** After so much work others get a turn: a unit takes a quarter of a microsecond, and no turn may take 20 ms. */
const COST_PER_TURN = 20_000;
const OUT_OF_BUDGET = 'validation failed due to running out of cost budget, no further validation rules will be run';

/** Evaluates expressions one after the other, until their common budget is used up. */
export class Evaluation {
  readonly #asking: Asking;
  readonly #input: AdmissionInput;
  readonly #answers = new Map<string, AuthorizationDecision>();
  #memory: NonNullable<AdmissionInput['memory']> = new Map();
  #remaining: number;
  #sinceTurn = 0;

  /** `costMax` is what all expressions may cost together. */
  constructor(asking: Asking, input: Omit<AdmissionInput, 'decisions' | 'memory'>, costMax: number) {
    this.#asking = asking;
    this.#remaining = costMax;
    this.#input = { ...input, decisions: question => this.#answers.get(JSON.stringify(question)) };
  }

  async evaluate(expression: CompiledExpression): Promise<Outcome> {
    if (this.#remaining <= 0) return { failure: OUT_OF_BUDGET, isOver: true };
    for (;;) {
      const budget = new Budget(Math.min(CALL_COST_MAX, this.#remaining + 1));
      const memory = new Map(this.#memory);
      const outcome = attempt(expression, { ...this.#input, memory }, budget);
      if (outcome instanceof PendingDecision) {
        // Each round answers one question, and an expression has only so many that it can pay for.
        await this.#ask(outcome.question);
        continue;
      }
      this.#memory = memory;
      this.#sinceTurn += budget.cost;
      if (this.#sinceTurn > COST_PER_TURN) {
        await nextTurn();
        this.#sinceTurn = 0;
      }
      if (budget.cost > this.#remaining) {
        this.#remaining = 0;
        return { failure: OUT_OF_BUDGET, isOver: true };
      }
      this.#remaining -= budget.cost;
      return outcome;
    }
  }

  async #ask(question: AuthorizationQuestion): Promise<void> {
    const { authorizer, identity } = this.#asking;
    const { allowed, reason = '' } = await authorizer.authorize(attributesFor(question, identity));
    this.#answers.set(JSON.stringify(question), { allowed, reason });
  }
}

function attempt(expression: CompiledExpression, input: AdmissionInput, budget: Budget): Outcome | PendingDecision {
  const failed = (why: string, isOver: boolean): Failure => ({
    failure: `expression '${expression.text}' resulted in error: ${why}`,
    isOver,
  });
  try {
    return { value: expression.evaluate(input, budget), isOver: false };
  } catch (error) {
    if (error instanceof PendingDecision) return error;
    if (error instanceof EvaluationError) return failed(error.message, false);
    if (error instanceof CostLimitError) return failed(error.message, true);
    throw error;
  }
}

function attributesFor(question: AuthorizationQuestion, identity: Identity): Attributes {
  const { serviceAccount, verb, path, group, resource, subresource, namespace, name } = question;
  const asker = serviceAccount ? identityOf(serviceAccount) : identity;
  if (path === undefined) {
    return resourceAttributes(asker, {
      verb,
      group: group ?? '',
      resource: resource ?? '',
      subresource: subresource ?? '',
      namespace: namespace ?? '',
      name: name ?? '',
    });
  }
  const nothing = { group: '', namespace: '', resource: '', subresource: '', name: '' };
  return { identity: asker, verb, isResource: false, path, ...nothing };
}

const identityOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }): Identity => ({
  user: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
});

/** What match conditions say of a request: whether it is meant, or why that cannot be told. */
export type Match = { readonly matches: boolean; readonly failure?: never } | { readonly failure: string };

/** Judges match conditions: one that is false decides, whatever happens to others. */
export async function matchConditions(
  conditions: readonly CompiledExpression[],
  evaluation: Evaluation,
): Promise<Match> {
  const failures: string[] = [];
  for (const condition of conditions) {
    const { value, failure } = await evaluation.evaluate(condition);
    if (failure !== undefined) failures.push(failure);
    else if (value === false) return { matches: false };
  }
  if (failures.length === 0) return { matches: true };
  const different = [...new Set(failures)];
  return { failure: different.length === 1 ? (different[0] ?? '') : `[${different.join(', ')}]` };
}
