/**
 * Mutating webhooks: asked one after the other, in the order of their configurations' names, each about the object as the
 * one before left it. Whoever wants is asked once more if others changed the object afterwards
 * (apiserver/pkg/admission/plugin/webhook/mutating).
 */
import type { KubernetesObject } from '../../../api/kind.ts';
import { isEqual } from '../../../api/schema/equal.ts';
import { internalError } from '../../../api/status.ts';
import type { AdmissionPlugin, AdmissionRequest, Round, States } from '../admission.ts';
import { type AskOptions, ask, type Invocation, maybeInvoke } from './ask.ts';
import { WebhookConfigurations } from './configurations.ts';
import { patched, patchedPart, readOperations } from './patching.ts';
import type { Verdict } from './review.ts';
import { isExempt } from './rules.ts';
import { inVersion, type Subject, subjectOf } from './subject.ts';

/** What one request's first round leaves for the second. */
interface Memory {
  /** Ids of webhooks that were asked, want to be asked again, and have not been since. */
  readonly asked: Set<string>;
  /** Of those, the ones that were asked before somebody changed the object. */
  readonly wanted: Set<string>;
  /** The object as the last webhook left it. */
  last: KubernetesObject | undefined;
}

/** What the audit log is told of each webhook (KEP-1693). */
const AUDIT = 'mutation.webhook.admission.k8s.io';

export function mutatingWebhooks(options: AskOptions): AdmissionPlugin {
  const configurations = new WebhookConfigurations(options.cache, 'mutating');
  return {
    name: 'MutatingAdmissionWebhook',
    seesParts: true,
    mutate(request, states, round) {
      const { webhooks } = configurations;
      if (webhooks.length === 0 || request.isInternal) return undefined;
      if (isExempt({ group: request.kind.group, resource: request.kind.plural })) return undefined;
      return askInTurn(options, webhooks, { request, states, round });
    },
  };
}

interface Question {
  readonly request: AdmissionRequest;
  readonly states: States;
  readonly round: Round;
}

async function askInTurn(
  options: AskOptions,
  webhooks: WebhookConfigurations['webhooks'],
  { request, states, round }: Question,
): Promise<void> {
  const memory = round.remember<Memory>('webhooks', () => ({
    asked: new Set(),
    wanted: new Set(),
    last: undefined,
  }));
  // Others than webhooks may have changed the object since.
  if (round.isSecond && states.object && !isEqual(states.object, memory.last)) wantAgain(memory);
  const generatedName = request.isNameGenerated ? hideName(states.object) : undefined;
  for (const [index, webhook] of webhooks.entries()) {
    if (round.isSecond && !memory.wanted.has(webhook.id)) continue;
    const subject = subjectOf(request, states);
    const invocation = await maybeInvoke(options, webhook, { request, states, subject });
    if (!invocation) continue;
    const verdict = await ask(options, invocation, { request, subject, isMutating: true });
    const mutated = verdict !== undefined && (await change(options, { states, subject, invocation }, verdict));
    if (mutated) {
      wantAgain(memory);
      round.wantSecond();
    }
    const place = `round_${round.isSecond ? 1 : 0}_index_${index}`;
    const { auditAnnotations } = request.exchange;
    const { name, configurationName: configuration } = webhook;
    if (verdict) auditAnnotations.set(`${AUDIT}/${place}`, JSON.stringify({ configuration, webhook: name, mutated }));
    else auditAnnotations.set(`failed-open.${AUDIT}/${place}`, name);
    if (webhook.isReinvocable) memory.asked.add(webhook.id);
  }
  // A webhook may have given it a name of its own.
  if (generatedName !== undefined && states.object?.metadata) states.object.metadata.name ||= generatedName;
  if (states.object && memory.asked.size > 0) memory.last = structuredClone(states.object);
}

/** Takes away a name that may yet become another. */
function hideName(object: KubernetesObject | undefined): string | undefined {
  const name = object?.metadata?.name;
  delete object?.metadata?.name;
  return name;
}

/** Whoever was asked before this change is to be asked again. */
function wantAgain({ asked, wanted }: Memory): void {
  for (const id of asked) wanted.add(id);
  asked.clear();
}

/** Does what the webhook said to the object, in place. True if that changed it. */
async function change(
  { conversions }: Pick<AskOptions, 'conversions'>,
  {
    states,
    subject,
    invocation: { webhook, shown, object },
  }: { readonly states: States; readonly subject: Subject; readonly invocation: Invocation },
  { patch }: Verdict,
): Promise<boolean> {
  const operations = patch === '' ? [] : readOperations(patch);
  if (operations.length === 0) return false;
  if (!object || !states.object) {
    const name = JSON.stringify(webhook.name);
    throw internalError(
      new Error(`admission webhook ${name} attempted to modify the object, which is not supported for this operation`),
    );
  }
  const result = subject.part ? patchedPart(object, operations) : patched(shown, object, operations);
  if (!result) return false;
  replaceContents(states.object, await conversions.settle(() => inVersion(result, shown, subject.resource)));
  return true;
}

/** Who owns which field was worked out before, from what the client sent; webhooks have no say in it. */
function replaceContents(object: KubernetesObject, contents: KubernetesObject): void {
  const managedFields = object.metadata?.managedFields;
  for (const key of Object.keys(object)) delete (object as Record<string, unknown>)[key];
  Object.assign(object, contents);
  if (managedFields) object.metadata = { ...object.metadata, managedFields };
  else delete object.metadata?.managedFields;
}
