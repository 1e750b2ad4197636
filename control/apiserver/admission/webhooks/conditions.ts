/** The conditions under which a webhook is asked, in CEL (apiserver/pkg/admission/plugin/webhook/matchconditions). */
import { type CompiledExpression, compileExpression, MATCH_CONDITIONS_COST_MAX } from '../../../api/cel/index.ts';
import { forbidden } from '../../../api/status.ts';
import { resourceName } from '../../keys.ts';
import { type Asking, Evaluation, matchConditions } from '../policies/evaluate.ts';
import type { Webhook } from './configurations.ts';
import { type Question, requestForConditions } from './review.ts';

/** A webhook's conditions, or why they cannot be judged: they were accepted once, but do not compile any more. */
type Compiled = { readonly conditions: readonly CompiledExpression[] } | { readonly mistake: string };

/** By webhook, which stays the same object until its configuration changes. */
const compiled = new WeakMap<Webhook, Compiled>();

/** True if all conditions hold. Throws 403 if that cannot be told and the webhook insists. */
export async function meetsConditions(
  authorizer: Asking['authorizer'],
  webhook: Webhook,
  question: Question,
): Promise<boolean> {
  const { request, subject, object, old } = question;
  const conditions = conditionsOf(webhook);
  const judge = (list: readonly CompiledExpression[]) => {
    const input = { object, oldObject: old, request: requestForConditions(question) };
    const asking = { authorizer, identity: request.identity };
    return matchConditions(list, new Evaluation(asking, input, MATCH_CONDITIONS_COST_MAX));
  };
  const match = 'mistake' in conditions ? { failure: conditions.mistake } : await judge(conditions.conditions);
  if (match.failure === undefined) return match.matches;
  if (webhook.ignoresFailure) return false;
  throw forbidden(resourceName(request.kind), subject.name, match.failure);
}

function conditionsOf(webhook: Webhook): Compiled {
  let known = compiled.get(webhook);
  if (!known) {
    known = compileAll(webhook);
    compiled.set(webhook, known);
  }
  return known;
}

function compileAll({ matchConditions: texts }: Webhook): Compiled {
  const conditions: CompiledExpression[] = [];
  for (const { expression } of texts) {
    const one = compileExpression(expression.trim(), { hasAuthorizer: true });
    if ('error' in one) return { mistake: one.error };
    conditions.push(one);
  }
  return { conditions };
}
