/** Facts about Deployments and their ReplicaSets: annotations, revisions, names, surge arithmetic. Pure. */
import type { Deployment, IntOrString, PodTemplateSpec, ReplicaSet } from '../api/generated/types.ts';
import { isSemanticallyEqual } from './equal.ts';
import { REVISION_HISTORY_LENGTH_MAX } from './limits.ts';

export const REVISION = 'deployment.kubernetes.io/revision';
export const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';
export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas';
export const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas';
export const HASH_LABEL = 'pod-template-hash';

/** Annotations of a Deployment that are its own and not handed down to its ReplicaSets. */
const OWN_ANNOTATIONS: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'deprecated.deployment.rollback.to',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
]);

/** A Deployment without a deadline says so with the largest int32. */
export const NO_PROGRESS_DEADLINE = 0x7fff_ffff;

export const desiredReplicas = (deployment: Deployment): number => deployment.spec?.replicas ?? 1;
export const replicasOf = (set: ReplicaSet): number => set.spec?.replicas ?? 1;
export const isRolling = (deployment: Deployment): boolean => deployment.spec?.strategy?.type !== 'Recreate';

/** How far a rolling update may overshoot and undershoot; never zero both (k/k ResolveFenceposts). */
export function rollingBounds(deployment: Deployment): { readonly maxSurge: number; readonly maxUnavailable: number } {
  const replicas = desiredReplicas(deployment);
  if (!isRolling(deployment)) return { maxSurge: 0, maxUnavailable: 0 };
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec?.strategy?.rollingUpdate ?? {};
  const surge = scaledValue(maxSurge, replicas, Math.ceil);
  const unavailable = scaledValue(maxUnavailable, replicas, Math.floor);
  if (surge === 0 && unavailable === 0) return { maxSurge: 0, maxUnavailable: Math.min(1, replicas) };
  return { maxSurge: surge, maxUnavailable: Math.min(unavailable, replicas) };
}

/** A number, or a percentage of `total`. */
export function scaledValue(value: IntOrString, total: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value;
  // One rounding step only: 10 % of 10 must not become 2 by way of 1.0000000000000002.
  return round((Number.parseInt(value, 10) * total) / 100);
}

export function revisionOf(object: Deployment | ReplicaSet): bigint {
  const text = object.metadata?.annotations?.[REVISION] ?? '';
  return /^[+-]?\d+$/.test(text) ? BigInt.asIntN(64, BigInt(text.replace('+', ''))) : 0n;
}

/** Annotations that a new or current ReplicaSet takes from its Deployment. */
export function inheritedAnnotations(object: Deployment | ReplicaSet): Record<string, string> {
  return Object.fromEntries(
    Object.entries(object.metadata?.annotations ?? {}).filter(([name]) => !OWN_ANNOTATIONS.has(name)),
  );
}

/** The others: those that say something of the object that has them. */
export function ownAnnotations(object: Deployment | ReplicaSet): Record<string, string> {
  return Object.fromEntries(
    Object.entries(object.metadata?.annotations ?? {}).filter(([name]) => OWN_ANNOTATIONS.has(name)),
  );
}

/** The revisions that a ReplicaSet had before, with one more; the oldest are forgotten where there are too many. */
export function withPastRevision(history: string | undefined, revision: bigint): string {
  const known = (history ?? '').split(',').filter(Boolean);
  const all = [...known, String(revision)];
  let length = all.join(',').length;
  let first = 0;
  while (length > REVISION_HISTORY_LENGTH_MAX && first < all.length - 1) {
    length -= (all[first]?.length ?? 0) + 1;
    first++;
  }
  return all.slice(first).join(',');
}

/** The annotations by which proportional scaling knows what a ReplicaSet was sized for. */
export function sizeAnnotations(deployment: Deployment): Record<string, string> {
  const replicas = desiredReplicas(deployment);
  const { maxSurge } = rollingBounds(deployment);
  return { [DESIRED_REPLICAS]: String(replicas), [MAX_REPLICAS]: String(replicas + maxSurge) };
}

const INT32_MAX = 2_147_483_647;

/** The number in one of those annotations; undefined if there is none, or one that we have not written. */
export function sizeIn({ metadata }: ReplicaSet, annotation: string): number | undefined {
  const text = metadata?.annotations?.[annotation] ?? '';
  return /^\d+$/.test(text) && Number(text) <= INT32_MAX ? Number(text) : undefined;
}

/** True if the ReplicaSet was made for this template; the hash label does not count. */
export function hasTemplate(set: ReplicaSet, template: PodTemplateSpec | undefined): boolean {
  return isSemanticallyEqual(withoutHash(set.spec?.template), withoutHash(template));
}

/** The template as its Deployment has it. */
export function withoutHash(template: PodTemplateSpec | undefined): PodTemplateSpec | undefined {
  if (!template?.metadata?.labels || !(HASH_LABEL in template.metadata.labels)) return template;
  const { [HASH_LABEL]: _, ...labels } = template.metadata.labels;
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** Oldest first; the name decides between objects of one second. */
export function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const [left = '', right = ''] = [a.metadata?.creationTimestamp, b.metadata?.creationTimestamp];
  if (left !== right) return left < right ? -1 : 1;
  return (a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1;
}
