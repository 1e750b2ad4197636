/** What both judges read out of objects. Pure. */
import type { Deployment, LabelSelector, Pod, PodDisruptionBudget } from '../../control/api/generated/types.ts';
import type { KubernetesObject } from '../../control/api/kind.ts';
import type { View } from './view.ts';

export const uidOf = ({ metadata }: KubernetesObject): string => metadata?.uid ?? '';
export const isLeaving = ({ metadata }: KubernetesObject): boolean => metadata?.deletionTimestamp !== undefined;
export const isFinished = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';
export const isActive = (pod: Pod): boolean => !isFinished(pod) && !isLeaving(pod);
export const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;

export function cpuMillis(pod: Pod): number {
  return (pod.spec?.containers ?? []).reduce((sum, { resources }) => sum + millis(resources?.requests?.cpu), 0);
}

export function millis(quantity: unknown): number {
  const text = String(quantity ?? '0');
  return text.endsWith('m') ? Number(text.slice(0, -1)) : Number(text) * 1000;
}

/** Equality only: nobody in here selects otherwise. */
export function matches(selector: Readonly<Record<string, string>> | undefined, object: KubernetesObject): boolean {
  const entries = Object.entries(selector ?? {});
  return entries.length > 0 && entries.every(([name, value]) => object.metadata?.labels?.[name] === value);
}

export const selects = (selector: LabelSelector | undefined, object: KubernetesObject): boolean =>
  matches(selector?.matchLabels, object);

/** A number, or a share of the whole. */
export function amountOf(value: unknown, whole: number, round: (value: number) => number): number {
  const text = String(value);
  return text.endsWith('%') ? round((Number(text.slice(0, -1)) * whole) / 100) : Number(text);
}

/** How many pods a deployment may have at most, and how many have to be available at least. */
export function boundsOf(deployment: Deployment): { readonly most: number; readonly least: number } {
  const replicas = deployment.spec?.replicas ?? 1;
  if (deployment.spec?.strategy?.type === 'Recreate') return { most: replicas, least: 0 };
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec?.strategy?.rollingUpdate ?? {};
  const surge = amountOf(maxSurge, replicas, Math.ceil);
  const unavailable = amountOf(maxUnavailable, replicas, Math.floor);
  // Both zero, after rounding: one has to go first (k/k ResolveFenceposts).
  const least = replicas - (surge === 0 && unavailable === 0 ? 1 : unavailable);
  return { most: replicas + surge, least: Math.max(0, least) };
}

export function podsIn(view: View, namespace: string | undefined): Pod[] {
  return view.list<Pod>('pods').filter(({ metadata }) => metadata?.namespace === namespace);
}

/** How many of its pods a budget wants healthy, of so many. */
export function wantedHealthy({ spec }: PodDisruptionBudget, expected: number): number {
  if (spec?.maxUnavailable !== undefined)
    return Math.max(0, expected - amountOf(spec.maxUnavailable, expected, Math.ceil));
  return amountOf(spec?.minAvailable ?? 0, expected, Math.ceil);
}

/** The node that a daemon's pod is meant for. */
export function daemonNode({ spec }: Pod): string | undefined {
  if (spec?.nodeName) return spec.nodeName;
  const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms[0]?.matchFields?.[0]?.values?.[0];
}

export const indexOf = ({ metadata }: Pod): string | undefined =>
  metadata?.annotations?.['batch.kubernetes.io/job-completion-index'];
