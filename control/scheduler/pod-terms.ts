/** Which pods a term of a pod's affinity, or a constraint of its spreading, speaks of. Pure. */
import type {
  LabelSelector,
  LabelSelectorRequirement,
  Pod,
  PodAffinityTerm,
  TopologySpreadConstraint,
} from '../api/generated/types.ts';
import { matchesSelector } from '../client/labels.ts';

type Labels = Readonly<Record<string, string>>;

/** Pods by namespace and labels: what a selector is asked about. */
export interface Selectable {
  readonly namespace: string;
  readonly labels: Labels;
}

/** Where namespaces' labels come from. */
export interface NamespaceLabels {
  namespaceLabels(name: string): Labels;
}

/** A set of pods: two that are equal have the same `key`. */
export interface PodSelector {
  readonly key: string;
  readonly labelSelector: LabelSelector | undefined;
  /** Undefined if only `namespaceSelector` says which. */
  readonly namespaces: readonly string[];
  readonly namespaceSelector: LabelSelector | undefined;
  /** Pods that are leaving do not count. */
  readonly isOfLiving: boolean;
  /** Other sets that a pod has to be in as well. */
  readonly also?: readonly PodSelector[];
}

/** One term, as it is asked about. */
export interface AffinityTerm {
  readonly selector: PodSelector;
  readonly topologyKey: string;
  /** 0 for a required one; below 0 for a preference to be apart. */
  readonly weight: number;
  /** Equal for equal terms. */
  readonly key: string;
}

/** All that a pod wants of others, by kind. */
export interface AffinityTerms {
  readonly near: readonly AffinityTerm[];
  readonly away: readonly AffinityTerm[];
  readonly preferred: readonly AffinityTerm[];
}

export function affinityTermsOf(pod: Pod): AffinityTerms | undefined {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  if (!podAffinity && !podAntiAffinity) return undefined;
  const termOf = (term: PodAffinityTerm, weight: number) => affinityTerm(pod, term, weight);
  return {
    near: (podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map(term => termOf(term, 0)),
    away: (podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map(term => termOf(term, 0)),
    preferred: [
      ...(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ podAffinityTerm, weight }) =>
        termOf(podAffinityTerm, weight),
      ),
      ...(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ podAffinityTerm, weight }) =>
        termOf(podAffinityTerm, -weight),
      ),
    ],
  };
}

/** A term that names no namespaces means its pod's own. */
function affinityTerm(pod: Pod, term: PodAffinityTerm, weight: number): AffinityTerm {
  const { namespaces = [], namespaceSelector, topologyKey } = term;
  const isOwn = namespaces.length === 0 && !namespaceSelector;
  const selector = podSelector({
    labelSelector: effectiveSelector(pod, term),
    namespaces: isOwn ? [pod.metadata?.namespace ?? ''] : namespaces,
    namespaceSelector,
    isOfLiving: false,
  });
  return { selector, topologyKey, weight, key: JSON.stringify([topologyKey, weight, selector.key]) };
}

/** The pods that a constraint counts: of its pod's namespace, and not those that leave. */
export function spreadSelector(pod: Pod, constraint: TopologySpreadConstraint): PodSelector {
  return podSelector({
    labelSelector: effectiveSelector(pod, constraint),
    namespaces: [pod.metadata?.namespace ?? ''],
    namespaceSelector: undefined,
    isOfLiving: true,
  });
}

export function podSelector(parts: Omit<PodSelector, 'key'>): PodSelector {
  const { labelSelector, namespaces, namespaceSelector, isOfLiving } = parts;
  const key = JSON.stringify([labelSelector ?? null, namespaces, namespaceSelector ?? null, isOfLiving]);
  return { ...parts, key };
}

/** The pods that are in all of these sets; at least one. */
export function intersection([first, ...also]: readonly [PodSelector, ...PodSelector[]]): PodSelector {
  if (also.length === 0) return first;
  return { ...first, also, key: JSON.stringify([first.key, ...also.map(({ key }) => key)]) };
}

/** True if the pod is one of those that the selector means. */
export function selects(selector: PodSelector, pod: Selectable, names: NamespaceLabels): boolean {
  if (!inNamespaces(selector, pod.namespace, names) || !matchesSelector(selector.labelSelector, pod.labels))
    return false;
  return selector.also === undefined || selector.also.every(other => selects(other, pod, names));
}

/** True if which pods it means depends on the labels of namespaces. */
export function asksNamespaces({ namespaceSelector, also }: PodSelector): boolean {
  return namespaceSelector !== undefined || Boolean(also?.some(asksNamespaces));
}

function inNamespaces({ namespaces, namespaceSelector }: PodSelector, name: string, names: NamespaceLabels): boolean {
  if (namespaces.includes(name)) return true;
  return namespaceSelector !== undefined && matchesSelector(namespaceSelector, names.namespaceLabels(name));
}

interface Keyed {
  readonly labelSelector?: LabelSelector;
  readonly matchLabelKeys?: readonly string[];
  readonly mismatchLabelKeys?: readonly string[];
}

/** The selector with the pod's own values of the label keys that are to match, or not to (KEP-3243, KEP-3633). */
function effectiveSelector(
  pod: Pod,
  { labelSelector, matchLabelKeys, mismatchLabelKeys }: Keyed,
): Keyed['labelSelector'] {
  if (!matchLabelKeys?.length && !mismatchLabelKeys?.length) return labelSelector;
  if (!labelSelector) return labelSelector;
  const own = pod.metadata?.labels ?? {};
  const requirements = (keys: readonly string[], operator: string): LabelSelectorRequirement[] =>
    keys.flatMap(key => (own[key] === undefined ? [] : [{ key, operator, values: [own[key]] }]));
  return {
    ...labelSelector,
    matchExpressions: [
      ...(labelSelector.matchExpressions ?? []),
      ...requirements(matchLabelKeys ?? [], 'In'),
      ...requirements(mismatchLabelKeys ?? [], 'NotIn'),
    ],
  };
}
