/** Which pods a term of a pod's affinity, or a constraint of its spreading, speaks of. Pure. */
import type { LabelSelector, Pod, PodAffinityTerm } from '../../api/generated/types.ts';
import { matchesSelector } from '../../client/labels.ts';
import type { NodeInfo, Snapshot } from '../snapshot.ts';

/** What the pods of a term have in common with the pod that has the term, besides the selector. */
interface Keys {
  readonly labelSelector?: LabelSelector;
  readonly matchLabelKeys?: readonly string[];
  readonly mismatchLabelKeys?: readonly string[];
}

/** True if the labels of `other` are those that `owner`'s term or constraint asks for. */
export function matchesLabelsOf(owner: Pod, { labelSelector, ...keys }: Keys, other: Pod): boolean {
  const own = owner.metadata?.labels ?? {};
  const labels = other.metadata?.labels ?? {};
  return (
    matchesSelector(labelSelector, labels) &&
    (keys.matchLabelKeys ?? []).every(key => own[key] === undefined || labels[key] === own[key]) &&
    (keys.mismatchLabelKeys ?? []).every(key => own[key] === undefined || labels[key] !== own[key])
  );
}

/** True if `other` is one of the pods that `owner`'s affinity term is about. */
export function matchesTerm(owner: Pod, term: PodAffinityTerm, other: Pod, snapshot: Snapshot): boolean {
  return isInNamespaces(owner, term, other, snapshot) && matchesLabelsOf(owner, term, other);
}

/** A term that names no namespaces means its pod's own. */
function isInNamespaces(
  owner: Pod,
  { namespaces = [], namespaceSelector }: PodAffinityTerm,
  other: Pod,
  snapshot: Snapshot,
): boolean {
  const namespace = other.metadata?.namespace ?? '';
  if (namespaces.length === 0 && !namespaceSelector) return namespace === owner.metadata?.namespace;
  return namespaces.includes(namespace) || matchesSelector(namespaceSelector, snapshot.namespaceLabels(namespace));
}

/** The domain that a node belongs to; undefined for a node without the label. */
export function domainOf({ node }: NodeInfo, topologyKey: string): string | undefined {
  return node.metadata?.labels?.[topologyKey];
}

/** Numbers by topology key and domain. */
export class DomainCounts {
  readonly #counts = new Map<string, Map<string, number>>();

  /** Nothing for a node that is in no domain of this key. */
  add(node: NodeInfo, topologyKey: string, amount: number): void {
    const domain = domainOf(node, topologyKey);
    if (domain === undefined) return;
    const counts = this.#counts.get(topologyKey) ?? new Map<string, number>();
    this.#counts.set(topologyKey, counts);
    counts.set(domain, (counts.get(domain) ?? 0) + amount);
  }

  at(node: NodeInfo, topologyKey: string): number {
    const domain = domainOf(node, topologyKey);
    return domain === undefined ? 0 : (this.#counts.get(topologyKey)?.get(domain) ?? 0);
  }

  /** The sum over all keys at a node. */
  sumAt(node: NodeInfo): number {
    let sum = 0;
    for (const topologyKey of this.#counts.keys()) sum += this.at(node, topologyKey);
    return sum;
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }
}
