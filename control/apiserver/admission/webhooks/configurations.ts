/** The webhooks that are configured, in the order in which they are called, read anew only when a configuration has changed. */
import { mutatingwebhookconfigurations, validatingwebhookconfigurations } from '../../../api/generated/kinds.ts';
import type {
  MatchCondition,
  MutatingWebhook,
  MutatingWebhookConfiguration,
  RuleWithOperations,
  ValidatingWebhookConfiguration,
} from '../../../api/generated/types.ts';
import type { Kind } from '../../../api/kind.ts';
import { type LabelRequirements, requirementsOf } from '../../../api/selectors.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import type { CalloutTarget } from '../../callout/target.ts';
import { resourcePrefix } from '../../keys.ts';

/** One webhook, ready to be asked about a request. */
export interface Webhook {
  readonly name: string;
  readonly configurationName: string;
  /** Tells it from all others: configuration, name, and how many of that name stand before it. */
  readonly id: string;
  readonly target: CalloutTarget;
  readonly rules: readonly RuleWithOperations[];
  /** True if a rule for one version of a resource is meant for all its versions. */
  readonly matchesEquivalents: boolean;
  /** Undefined selects nothing. */
  readonly namespaceSelector: LabelRequirements | undefined;
  readonly objectSelector: LabelRequirements | undefined;
  readonly matchConditions: readonly MatchCondition[];
  /** True if a call that fails is as good as one that allows. */
  readonly ignoresFailure: boolean;
  readonly hasSideEffects: boolean;
  readonly timeoutMs: number;
  readonly reviewVersions: readonly string[];
  readonly isReinvocable: boolean;
}

const KINDS: Readonly<Record<'mutating' | 'validating', Kind>> = {
  mutating: mutatingwebhookconfigurations,
  validating: validatingwebhookconfigurations,
};
const SECOND_MS = 1_000;
const TIMEOUT_SECONDS = 10;
const SIDE_EFFECT_FREE = new Set(['None', 'NoneOnDryRun']);

export class WebhookConfigurations {
  readonly #cache: WatchCache;
  readonly #prefix: string;
  #seen: { readonly change: number; readonly webhooks: readonly Webhook[] } | undefined;

  constructor(cache: WatchCache, type: 'mutating' | 'validating') {
    this.#cache = cache;
    this.#prefix = resourcePrefix(KINDS[type]);
  }

  /** By name of configuration, then as they stand in it. */
  get webhooks(): readonly Webhook[] {
    const resource = this.#cache.resource(this.#prefix);
    const change = resource.lastChange;
    if (this.#seen?.change !== change) {
      const configurations = resource.list(this.#prefix).map(object => object.parse<MutatingWebhookConfiguration>());
      this.#seen = { change, webhooks: configurations.flatMap(webhooksOf) };
    }
    return this.#seen?.webhooks ?? [];
  }
}

function webhooksOf(configuration: MutatingWebhookConfiguration | ValidatingWebhookConfiguration): Webhook[] {
  const configurationName = configuration.metadata?.name ?? '';
  const counts = new Map<string, number>();
  return (configuration.webhooks ?? []).map((webhook: MutatingWebhook) => {
    const count = counts.get(webhook.name) ?? 0;
    counts.set(webhook.name, count + 1);
    const { url, service, caBundle } = webhook.clientConfig;
    return {
      name: webhook.name,
      configurationName,
      id: `${configurationName}/${webhook.name}/${count}`,
      target: { url, service, caBundle },
      rules: webhook.rules ?? [],
      matchesEquivalents: webhook.matchPolicy !== 'Exact',
      namespaceSelector: requirementsOf(webhook.namespaceSelector ?? {}),
      objectSelector: requirementsOf(webhook.objectSelector ?? {}),
      matchConditions: webhook.matchConditions ?? [],
      ignoresFailure: webhook.failurePolicy === 'Ignore',
      hasSideEffects: !SIDE_EFFECT_FREE.has(webhook.sideEffects),
      timeoutMs: (webhook.timeoutSeconds ?? TIMEOUT_SECONDS) * SECOND_MS,
      reviewVersions: webhook.admissionReviewVersions,
      isReinvocable: webhook.reinvocationPolicy === 'IfNeeded',
    };
  });
}
