/**
 * Validating webhooks: asked all at once about the object as it will be stored. One denial is enough
 * (apiserver/pkg/admission/plugin/webhook/validating).
 */
import type { AdmissionPlugin, AdmissionRequest, States } from '../admission.ts';
import { type AskOptions, ask, maybeInvoke } from './ask.ts';
import { WebhookConfigurations } from './configurations.ts';
import { isExempt } from './rules.ts';
import { subjectOf } from './subject.ts';

export function validatingWebhooks(options: AskOptions): AdmissionPlugin {
  const configurations = new WebhookConfigurations(options.cache, 'validating');
  return {
    name: 'ValidatingAdmissionWebhook',
    seesParts: true,
    validate(request, states) {
      const { webhooks } = configurations;
      if (webhooks.length === 0 || request.isInternal) return undefined;
      if (isExempt({ group: request.kind.group, resource: request.kind.plural })) return undefined;
      return askAll(options, webhooks, { request, states });
    },
  };
}

async function askAll(
  options: AskOptions,
  webhooks: WebhookConfigurations['webhooks'],
  { request, states }: { readonly request: AdmissionRequest; readonly states: States },
): Promise<void> {
  const subject = subjectOf(request, states);
  const invocations = [];
  for (const webhook of webhooks) {
    const invocation = await maybeInvoke(options, webhook, { request, states, subject });
    if (invocation) invocations.push(invocation);
  }
  const outcomes = await Promise.allSettled(
    invocations.map(invocation => ask(options, invocation, { request, subject, isMutating: false })),
  );
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status !== 'fulfilled' || outcome.value) continue;
    const name = invocations[index]?.webhook.name ?? '';
    request.exchange.auditAnnotations.set(
      `failed-open.validating.webhook.admission.k8s.io/round_0_index_${index}`,
      name,
    );
  }
  // Of several denials the first by order is told: the same request gets the same answer.
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
