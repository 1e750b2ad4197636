/** The conditions under which a webhook is asked, in CEL. */
import { forbidden } from '../../../api/status.ts';
import { resourceName } from '../../keys.ts';
import type { Webhook } from './configurations.ts';
import type { Question } from './review.ts';

export interface MatchConditions {
  /** True if all conditions hold. Throws what the client is told if one cannot be judged and the webhook insists. */
  match(webhook: Webhook, question: Question): Promise<boolean>;
}

/** For a server that cannot judge conditions: it says so, instead of asking webhooks about what is none of their business. */
export const noConditions: MatchConditions = {
  async match({ name, ignoresFailure }, { request, subject }) {
    if (ignoresFailure) return false;
    const why = `the conditions of webhook ${JSON.stringify(name)} cannot be judged by this server`;
    throw forbidden(resourceName(request.kind), subject.name, why);
  },
};
