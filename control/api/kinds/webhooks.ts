/** Configurations of admission webhooks: MutatingWebhookConfiguration, ValidatingWebhookConfiguration. */
import * as kinds from '../generated/kinds.ts';
import type { MutatingWebhook, ServiceReference } from '../generated/types.ts';
import { validateWebhookConfiguration } from '../validation/webhooks.ts';
import { declare } from './declare.ts';

const HTTPS_PORT = 443;
const TIMEOUT_SECONDS = 10;

/** The port of a service that is called. */
export function defaultServicePort(service: Pick<ServiceReference, 'port'> | undefined): void {
  if (service) service.port ??= HTTPS_PORT;
}

function defaultWebhook(webhook: MutatingWebhook): void {
  webhook.failurePolicy ??= 'Fail';
  webhook.matchPolicy ??= 'Equivalent';
  webhook.namespaceSelector ??= {};
  webhook.objectSelector ??= {};
  webhook.timeoutSeconds ??= TIMEOUT_SECONDS;
  for (const rule of webhook.rules ?? []) rule.scope ??= '*';
  defaultServicePort(webhook.clientConfig?.service);
}

export const mutatingWebhookConfiguration = declare(kinds.mutatingwebhookconfigurations, {
  tracksGeneration: true,
  allowUnconditionalUpdate: false,
  defaults({ webhooks = [] }) {
    for (const webhook of webhooks) {
      defaultWebhook(webhook);
      webhook.reinvocationPolicy ??= 'Never';
    }
  },
  validate: validateWebhookConfiguration,
});

export const validatingWebhookConfiguration = declare(kinds.validatingwebhookconfigurations, {
  tracksGeneration: true,
  allowUnconditionalUpdate: false,
  defaults({ webhooks = [] }) {
    for (const webhook of webhooks) defaultWebhook(webhook);
  },
  validate: validateWebhookConfiguration,
});
