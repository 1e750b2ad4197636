/**
 * One webhook and one request: whether it is to be asked, the question, and the answer
 * (apiserver/pkg/admission/plugin/webhook/generic and .../predicates).
 */
import { namespaces } from '../../../api/generated/kinds.ts';
import type { KindDeclaration, KubernetesObject } from '../../../api/kind.ts';
import { declarationOf } from '../../../api/registry.ts';
import { type LabelRequirements, matchesLabels } from '../../../api/selectors.ts';
import { ApiError, badRequest, internalError, notFound } from '../../../api/status.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import type { Callout } from '../../callout/client.ts';
import { callReview } from '../../callout/review.ts';
import type { Conversions } from '../../custom/conversions.ts';
import { resourceName } from '../../keys.ts';
import type { Logger } from '../../types.ts';
import { addWarnings } from '../../verbs/create.ts';
import type { AdmissionRequest, States } from '../admission.ts';
import { findFresh } from '../lookup.ts';
import type { Asking } from '../policies/evaluate.ts';
import { meetsConditions } from './conditions.ts';
import type { Webhook } from './configurations.ts';
import { denialOf, makeReview, type Question, readVerdict, reviewVersionOf, type Verdict } from './review.ts';
import { isNamespaces } from './rules.ts';
import { inVersion, type KnownKinds, type Subject, versionFor } from './subject.ts';

export interface AskOptions {
  readonly cache: WatchCache;
  readonly callout: Callout;
  readonly kinds: KnownKinds;
  readonly logger: Logger;
  readonly newUid: () => string;
  /** Another webhook may have to convert what this one is shown. */
  readonly conversions: Pick<Conversions, 'settle'>;
  /** Answers the questions of conditions. */
  readonly authorizer: Asking['authorizer'];
}

/** A webhook that wants to be asked, with what it is shown. */
export interface Invocation {
  readonly webhook: Webhook;
  /** The version of the resource that it is shown. */
  readonly shown: KindDeclaration;
  readonly object: KubernetesObject | undefined;
  readonly old: KubernetesObject | undefined;
}

const NAMESPACE = declarationOf(namespaces);
const NO_LABELS: Readonly<Record<string, string>> = {};

/** Decides whether the webhook is to be asked. Throws 403 if its conditions cannot be judged and it insists. */
export async function maybeInvoke(
  options: AskOptions,
  webhook: Webhook,
  {
    request,
    states,
    subject,
  }: { readonly request: AdmissionRequest; readonly states: States; readonly subject: Subject },
): Promise<Invocation | undefined> {
  const shown = versionFor(webhook, subject, options.kinds);
  if (!shown || !matchesObject(webhook, states)) return undefined;
  if (!(await matchesNamespace(options, webhook, { states, subject }))) return undefined;
  const { conversions } = options;
  const object = await conversions.settle(() => inVersion(states.object, subject.resource, shown));
  const old = await conversions.settle(() => inVersion(states.old, subject.resource, shown));
  const invocation = { webhook, shown, object, old };
  if (webhook.matchConditions.length === 0) return invocation;
  const question: Question = { uid: '', request, subject, shown, object, old };
  return (await meetsConditions(options.authorizer, webhook, question)) ? invocation : undefined;
}

const isEverything = (selector: LabelRequirements) => selector.length === 0;

/** Either state may fit; what has no labels of its own fits only a selector that asks for nothing. */
function matchesObject({ objectSelector }: Webhook, { object, old }: States): boolean {
  if (!objectSelector) return false;
  if (isEverything(objectSelector)) return true;
  return [object, old].some(
    state => state?.metadata && matchesLabels(objectSelector, state.metadata.labels ?? NO_LABELS),
  );
}

async function matchesNamespace(
  { cache }: AskOptions,
  { namespaceSelector }: Webhook,
  { states, subject }: { readonly states: States; readonly subject: Subject },
): Promise<boolean> {
  if (!namespaceSelector) return false;
  const { asked } = subject;
  if (isEverything(namespaceSelector) || asked.namespace === '') return true;
  if (isNamespaces(asked) && asked.subresource === '' && states.object && asked.operation !== 'DELETE') {
    return matchesLabels(namespaceSelector, states.object.metadata?.labels ?? NO_LABELS);
  }
  const namespace = await findFresh(cache, namespaces, asked.namespace);
  if (!namespace) throw notFound(resourceName(NAMESPACE), asked.namespace);
  return matchesLabels(namespaceSelector, namespace.metadata?.labels ?? NO_LABELS);
}

/** A call that brought no verdict; whether that matters is the webhook's failure policy. */
export class WebhookCallError extends Error {
  override readonly name = 'WebhookCallError';
  readonly code = 'WEBHOOK_CALL';
}

/**
 * Asks. Gives the verdict of a webhook that allows, its warnings told; undefined if the call failed and the webhook does
 * not insist. Throws its denial, and 500 if the call failed.
 */
export async function ask(
  options: AskOptions,
  { webhook, shown, object, old }: Invocation,
  {
    request,
    subject,
    isMutating,
  }: { readonly request: AdmissionRequest; readonly subject: Subject; readonly isMutating: boolean },
): Promise<Verdict | undefined> {
  if (request.isDryRun && webhook.hasSideEffects) {
    throw badRequest(`admission webhook ${JSON.stringify(webhook.name)} does not support dry run`);
  }
  const uid = options.newUid();
  let verdict: Verdict;
  try {
    verdict = await call(options, { uid, request, subject, shown, object, old }, { webhook, isMutating });
  } catch (error) {
    if (!(error instanceof WebhookCallError)) throw error;
    if (request.exchange.signal.aborted)
      throw new ApiError('Timeout', 'Timeout: request did not complete within requested timeout');
    if (!webhook.ignoresFailure) throw internalError(error);
    options.logger.warn({ webhook: webhook.name, error: error.message }, 'a webhook failed, which its policy ignores');
    return undefined;
  }
  addWarnings(request.exchange, verdict.warnings);
  for (const [key, value] of Object.entries(verdict.auditAnnotations)) {
    request.exchange.auditAnnotations.set(`${webhook.name}/${key}`, value);
  }
  if (!verdict.isAllowed) throw denialOf(webhook.name, verdict.status);
  return verdict;
}

async function call(
  { callout }: AskOptions,
  question: Question,
  { webhook, isMutating }: { readonly webhook: Webhook; readonly isMutating: boolean },
): Promise<Verdict> {
  const failed = (what: string, cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new WebhookCallError(`failed calling webhook ${JSON.stringify(webhook.name)}: ${what}: ${why}`, { cause });
  };
  const version = reviewVersionOf(webhook.reviewVersions);
  if (!version) {
    const none = new Error('webhook does not accept known AdmissionReview versions (v1, v1beta1)');
    throw failed('could not create admission objects', none);
  }
  let answer: Readonly<Record<string, unknown>>;
  try {
    const { signal } = question.request.exchange;
    answer = await callReview(callout, webhook.target, {
      review: makeReview(version, question),
      timeoutMs: webhook.timeoutMs,
      signal,
    });
  } catch (error) {
    throw failed('failed to call webhook', error);
  }
  try {
    return readVerdict(answer, { uid: question.uid, version, isMutating });
  } catch (error) {
    throw failed('received invalid webhook response', error);
  }
}
