/** What a ResourceQuota is used for, counted from the objects that are there. Pure. */
import type { ResourceQuota, ResourceQuotaStatus } from '../api/generated/types.ts';
import type { KubernetesObject } from '../api/kind.ts';
import { countName, type Evaluator, evaluatorOf, kindsMeasuredBy } from '../api/quota/evaluators.ts';
import {
  addAmounts,
  areSameAmounts,
  maskAmounts,
  NOTHING,
  type ResourceAmounts,
  readAmounts,
  subtractAmounts,
  withoutNegatives,
  writeAmounts,
  ZERO,
} from '../api/quota/resource-lists.ts';
import { scopesOf } from '../api/quota/scopes.ts';

/** A kind by the names that a quota knows it under. */
export interface QuotaKind {
  readonly group: string;
  readonly plural: string;
}

const COUNT_PREFIX = 'count/';

/** The kinds that a quota is about, each once. Whether they exist is not asked. */
export function kindsOf({ spec }: ResourceQuota): QuotaKind[] {
  const found = new Map<string, QuotaKind>();
  for (const resource of Object.keys(spec?.hard ?? {})) {
    for (const plural of kindsMeasuredBy(resource)) found.set(plural, { group: '', plural });
    if (!resource.startsWith(COUNT_PREFIX)) continue;
    const [plural = '', ...group] = resource.slice(COUNT_PREFIX.length).split('.');
    const kind = { group: group.join('.'), plural };
    if (resource === countName(kind.group, plural)) found.set(kind.group ? `${plural}.${kind.group}` : plural, kind);
  }
  return [...found.values()];
}

/** True if objects of this kind take from the quota. */
export function concerns({ spec, status }: ResourceQuota, { group, plural }: QuotaKind): boolean {
  const evaluator = evaluatorOf(group, plural);
  const names = [...Object.keys(spec?.hard ?? {}), ...Object.keys(status?.hard ?? {})];
  return evaluator !== undefined && names.some(name => evaluator.counts(name));
}

/** What there is of one kind: the objects, or where all take the same, their number. */
export type KindContent =
  | { readonly kind: QuotaKind; readonly objects: readonly KubernetesObject[] }
  | { readonly kind: QuotaKind; readonly count: number };

/** Counts what is used of everything that the quota limits. */
export function countUsage(quota: ResourceQuota, contents: readonly KindContent[], nowMs: number): ResourceAmounts {
  const hard = Object.keys(quota.spec?.hard ?? {});
  let total: ResourceAmounts = NOTHING;
  for (const content of contents) {
    const evaluator = evaluatorOf(content.kind.group, content.kind.plural);
    if (!evaluator) continue;
    const names = new Set(hard.filter(name => evaluator.counts(name)));
    total = addAmounts(total, new Map([...names].map(name => [name, ZERO])));
    total = addAmounts(total, maskAmounts(usageOf(quota, content, { evaluator, nowMs }), names));
  }
  return total;
}

function usageOf(
  quota: ResourceQuota,
  content: KindContent,
  { evaluator, nowMs }: { readonly evaluator: Evaluator; readonly nowMs: number },
): ResourceAmounts {
  const scopes = scopesOf(quota);
  let sum: ResourceAmounts = NOTHING;
  if ('count' in content) {
    // Such objects meet no scope, and take what none of them says.
    const each = scopes.length > 0 ? NOTHING : evaluator.usage({}, nowMs);
    return new Map([...each].map(([name, { scale, format }]) => [name, times(content.count, scale, format)]));
  }
  for (const object of content.objects) {
    if (scopes.every(scope => evaluator.meetsScope(scope, object)))
      sum = addAmounts(sum, evaluator.usage(object, nowMs));
  }
  return sum;
}

const times = (count: number, scale: number, format: 'DecimalSI' | 'BinarySI' | 'DecimalExponent') => ({
  unscaled: BigInt(count),
  scale,
  format,
  isBig: false,
});

/** With what the quota says of limited resources that were not counted this time. */
export function withUncounted({ spec, status }: ResourceQuota, counted: ResourceAmounts): ResourceAmounts {
  const uncounted = Object.keys(spec?.hard ?? {}).filter(name => !counted.has(name));
  return new Map([...maskAmounts(readAmounts(status?.used), new Set(uncounted)), ...counted]);
}

/** The status that says `used`; undefined if the present one does. */
export function planStatus({ spec, status }: ResourceQuota, used: ResourceAmounts): ResourceQuotaStatus | undefined {
  const isCurrent =
    areSameAmounts(readAmounts(status?.hard), readAmounts(spec?.hard)) &&
    areSameAmounts(readAmounts(status?.used), used);
  if (isCurrent) return undefined;
  return { ...(spec?.hard && { hard: spec.hard }), used: writeAmounts(used) };
}

/**
 * The count carried over to a quota that was charged since: what was wrong then is as wrong now. Undefined if it is about
 * something else by now, so that only a new count can tell.
 */
export function carryOver(
  { counted, used }: { readonly counted: ResourceQuota; readonly used: ResourceAmounts },
  now: ResourceQuota,
): ResourceAmounts | undefined {
  const recorded = readAmounts(counted.status?.used);
  const current = readAmounts(now.status?.used);
  const names = [...used.keys()].sort().join();
  const isSame =
    counted.metadata?.uid === now.metadata?.uid &&
    [recorded, current].every(amounts => [...amounts.keys()].sort().join() === names) &&
    [now.spec?.hard, now.status?.hard, counted.status?.hard].every(hard =>
      areSameAmounts(readAmounts(hard), readAmounts(counted.spec?.hard)),
    );
  if (!isSame) return undefined;
  return withoutNegatives(addAmounts(subtractAmounts(used, recorded), current));
}
