/**
 * Whether a write fits into the quotas of its namespace, and what they will have been used for afterwards. Pure; the order
 * of questions is Kubernetes' (k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go).
 */
import type { ResourceQuota } from '../../../api/generated/types.ts';
import type { KubernetesObject } from '../../../api/kind.ts';
import type { Evaluator } from '../../../api/quota/evaluators.ts';
import {
  addAmounts,
  exceededNames,
  excessOf,
  maskAmounts,
  type ResourceAmounts,
  readAmounts,
  showAmounts,
  withoutZeros,
  writeAmounts,
} from '../../../api/quota/resource-lists.ts';
import { scopesOf } from '../../../api/quota/scopes.ts';

export interface QuotaQuestion {
  readonly evaluator: Evaluator;
  readonly object: KubernetesObject;
  /** As it was before, for a change. */
  readonly old: KubernetesObject | undefined;
  readonly nowMs: number;
  /** A status only says what has happened already: it is charged, never refused. */
  readonly isStatus: boolean;
}

export type QuotaVerdict =
  | { readonly type: 'refused'; readonly why: string }
  /** What `status.used` of each charged quota becomes, by its place in the list. */
  | { readonly type: 'charged'; readonly used: ReadonlyMap<number, Record<string, string>> };

/** Asks every quota; one refusal is enough. */
export function checkQuotas(quotas: readonly ResourceQuota[], question: QuotaQuestion): QuotaVerdict {
  const { evaluator, object } = question;
  const interested: number[] = [];
  for (const [index, quota] of quotas.entries()) {
    const resources = countedResources(quota, evaluator);
    if (resources.size === 0 || !isInScope(quota, question, object)) continue;
    const name = quota.metadata?.name ?? '';
    const silent = evaluator.refusal?.(resources, object);
    if (silent !== undefined) return refused(`failed quota: ${name}: ${silent}`);
    // A quota that nobody has counted yet cannot be charged.
    const used = quota.status?.used ?? {};
    if ([...resources].some(resource => used[resource] === undefined)) {
      return refused(`status unknown for quota: ${name}, resources: ${[...resources].sort().join(',')}`);
    }
    interested.push(index);
  }
  const charged = new Map<number, Record<string, string>>();
  if (interested.length === 0) return { type: 'charged', used: charged };
  const usage = evaluator.usage(object, question.nowMs);
  for (const index of interested) {
    const quota = quotas[index] as ResourceQuota; // indexes come from this very list
    const verdict = charge(quota, deltaFor(quota, question, usage), question.isStatus);
    if (verdict.why !== undefined) return refused(verdict.why);
    if (verdict.used) charged.set(index, verdict.used);
  }
  return { type: 'charged', used: charged };
}

const refused = (why: string): QuotaVerdict => ({ type: 'refused', why });

function countedResources({ status }: ResourceQuota, evaluator: Evaluator): ReadonlySet<string> {
  return new Set(Object.keys(status?.hard ?? {}).filter(name => evaluator.counts(name)));
}

function isInScope(quota: ResourceQuota, { evaluator }: QuotaQuestion, object: KubernetesObject): boolean {
  return scopesOf(quota).every(scope => evaluator.meetsScope(scope, object));
}

/** What the write adds: all of a new object, and of a changed one what it takes more than before. */
function deltaFor(quota: ResourceQuota, question: QuotaQuestion, usage: ResourceAmounts): ResourceAmounts {
  const { old, evaluator, nowMs } = question;
  // What was not in scope before was not charged before.
  const isKnown = old !== undefined && isInScope(quota, question, old);
  return withoutZeros(isKnown ? excessOf(usage, evaluator.usage(old, nowMs)) : usage);
}

function charge(
  { metadata, status }: ResourceQuota,
  delta: ResourceAmounts,
  isStatus: boolean,
): { readonly why?: string; readonly used?: Record<string, string> } {
  const hard = readAmounts(status?.hard);
  const used = readAmounts(status?.used);
  const requested = maskAmounts(delta, new Set(hard.keys()));
  if (requested.size === 0) return {};
  const total = addAmounts(used, requested);
  const exceeded = isStatus ? new Set<string>() : exceededNames(maskAmounts(total, new Set(requested.keys())), hard);
  if (exceeded.size === 0) return { used: writeAmounts(total) };
  const show = (amounts: ResourceAmounts) => showAmounts(maskAmounts(amounts, exceeded));
  return {
    why: `exceeded quota: ${metadata?.name}, requested: ${show(requested)}, used: ${show(used)}, limited: ${show(hard)}`,
  };
}
