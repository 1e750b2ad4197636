/**
 * Pods that want to be near other pods, or away from them. Near means: in the same domain of a topology, such as a host or a
 * zone. A pod's wish to be alone also keeps away those that come later (k/k plugins/interpodaffinity).
 */
import type { Node } from '../../api/generated/types.ts';
import { differs } from '../cluster-events.ts';
import type { NodeInfo } from '../node-info.ts';
import { curable, incurable, type NodeFilter, type NodeScorer, type SchedulerPlugin } from '../plugin.ts';
import type { PodInfo } from '../pod-info.ts';
import { type AffinityTerm, intersection, selects } from '../pod-terms.ts';
import type { Snapshot } from '../snapshot.ts';
import { DomainCounts } from './domain-counts.ts';

const NOT_NEAR = incurable("node(s) didn't match pod affinity rules");
const NOT_AWAY = curable("node(s) didn't match pod anti-affinity rules");
const REPELLED = curable("node(s) didn't satisfy existing pods anti-affinity rules");

export interface InterPodAffinityOptions {
  /** How much a pod that must be near such a pod as this one likes it to come. */
  readonly hardPodAffinityWeight: number;
  readonly ignorePreferredTermsOfExistingPods: boolean;
}

export function interPodAffinity(
  options: InterPodAffinityOptions = { hardPodAffinityWeight: 1, ignorePreferredTermsOfExistingPods: false },
): SchedulerPlugin {
  return {
    name: 'InterPodAffinity',
    filter: filterFor,
    score: (pod, snapshot) => scorerFor(pod, snapshot, options),
    helpedBy: ['node', 'namespace', 'ownChange', 'podChanged', 'podPlaced', 'podRemoved'],
    mayHelp(event, pod, snapshot) {
      switch (event.kind) {
        case 'node':
          if (!event.changes.labels) return false;
          return event.old ? movedFor(pod, event.node, event.old, snapshot) : isPlaceFor(pod, event.node);
        case 'namespace':
          return true;
        case 'ownChange':
          return differs(event.pod, event.old, ({ labels }) => labels);
        case 'podPlaced':
          return isWantedNear(pod, event.pod, snapshot);
        case 'podRemoved':
          return isAvoided(pod, event.pod, snapshot) || isAvoided(event.pod, pod, snapshot);
        case 'podChanged':
          return (
            (isWantedNear(pod, event.pod, snapshot) && !isWantedNear(pod, event.old, snapshot)) ||
            (isAvoided(pod, event.old, snapshot) && !isAvoided(pod, event.pod, snapshot))
          );
        default:
          return false;
      }
    },
  };
}

/** True if the other pod is one that this one must be near: all its terms speak of the same pods. */
function isWantedNear({ terms }: PodInfo, other: PodInfo, snapshot: Snapshot): boolean {
  const near = terms?.near ?? [];
  return near.length > 0 && near.every(({ selector }) => selects(selector, other, snapshot));
}

const isAvoided = ({ terms }: PodInfo, other: PodInfo, snapshot: Snapshot) =>
  (terms?.away ?? []).some(({ selector }) => selects(selector, other, snapshot));

/** True if the pod could be near others on a node that is new. */
const isPlaceFor = ({ terms }: PodInfo, { metadata }: Node) =>
  (terms?.near ?? []).every(({ topologyKey }) => metadata?.labels?.[topologyKey] !== undefined);

/** True if the node went to another domain of a topology that is wanted, or left one that is avoided. */
function movedFor(pod: PodInfo, node: Node, old: Node, snapshot: Snapshot): boolean {
  const isMoved = ({ topologyKey }: AffinityTerm) =>
    node.metadata?.labels?.[topologyKey] !== old.metadata?.labels?.[topologyKey];
  const hasLeft = (term: AffinityTerm) => isMoved(term) && old.metadata?.labels?.[term.topologyKey] !== undefined;
  if (pod.terms?.near.some(isMoved) || pod.terms?.away.some(hasLeft)) return true;
  const repelling = snapshot.away.meant(term => hasLeft(term) && selects(term.selector, pod, snapshot));
  return repelling[Symbol.iterator]().next().done === false;
}

function filterFor(pod: PodInfo, snapshot: Snapshot): NodeFilter | undefined {
  const near = pod.terms?.near ?? [];
  const away = pod.terms?.away ?? [];
  if (near.length === 0 && away.length === 0 && snapshot.away.isEmpty) return undefined;
  const counts = new RequiredCounts(pod, { near, away }, snapshot);
  const isFree = near.length === 0 && away.length === 0;
  return {
    refuse: node => (isFree && counts.repelling.isUntouched ? undefined : counts.refuse(node)),
    adjust: (other, node, sign) => counts.adjust(other, node, sign),
  };
}

class RequiredCounts {
  readonly #pod: PodInfo;
  readonly #snapshot: Snapshot;
  readonly #near: readonly AffinityTerm[];
  readonly #away: readonly AffinityTerm[];
  /** True if the pod itself is one that it wants to be near: then it may be the first. */
  readonly #isOwnNeighbour: boolean;
  /** Pods that match all of `near`, by its domains. */
  readonly #nearPods = new DomainCounts();
  readonly #awayPods = new DomainCounts();
  /** Pods in place that do not want this one in their domain. */
  readonly repelling = new DomainCounts();

  constructor(
    pod: PodInfo,
    { near, away }: { readonly near: readonly AffinityTerm[]; readonly away: readonly AffinityTerm[] },
    snapshot: Snapshot,
  ) {
    this.#pod = pod;
    this.#snapshot = snapshot;
    this.#near = near;
    this.#away = away;
    this.#isOwnNeighbour = this.#isNear(pod);
    const [first, ...others] = near;
    if (first) {
      const selector = intersection([first.selector, ...others.map(({ selector }) => selector)]);
      for (const topologyKey of new Set(near.map(term => term.topologyKey))) {
        this.#nearPods.include(topologyKey, snapshot.domainCounts(selector, topologyKey));
      }
    }
    for (const { selector, topologyKey } of away) {
      this.#awayPods.include(topologyKey, snapshot.domainCounts(selector, topologyKey));
    }
    const isMeant = ({ selector }: AffinityTerm) => selects(selector, pod, snapshot);
    for (const [{ topologyKey }, counts] of snapshot.away.meant(isMeant)) this.repelling.include(topologyKey, counts);
  }

  refuse(node: NodeInfo) {
    const near = this.#near;
    if (near.length > 0) {
      if (near.some(({ topologyKey }) => node.labels[topologyKey] === undefined)) return NOT_NEAR;
      const isAlone = near.some(({ topologyKey }) => this.#nearPods.at(node, topologyKey) <= 0);
      if (isAlone && !(this.#nearPods.isEmpty && this.#isOwnNeighbour)) return NOT_NEAR;
    }
    if (this.#away.some(({ topologyKey }) => this.#awayPods.at(node, topologyKey) > 0)) return NOT_AWAY;
    return this.repelling.sumAt(node) > 0 ? REPELLED : undefined;
  }

  adjust(other: PodInfo, node: NodeInfo, sign: 1 | -1): void {
    if (this.#near.length > 0 && this.#isNear(other)) {
      for (const topologyKey of new Set(this.#near.map(term => term.topologyKey))) {
        this.#nearPods.add(node, topologyKey, sign);
      }
    }
    for (const { selector, topologyKey } of this.#away) {
      if (selects(selector, other, this.#snapshot)) this.#awayPods.add(node, topologyKey, sign);
    }
    for (const { selector, topologyKey } of other.terms?.away ?? []) {
      if (selects(selector, this.#pod, this.#snapshot)) this.repelling.add(node, topologyKey, sign);
    }
  }

  #isNear(other: PodInfo): boolean {
    return this.#near.every(({ selector }) => selects(selector, other, this.#snapshot));
  }
}

function scorerFor(pod: PodInfo, snapshot: Snapshot, options: InterPodAffinityOptions): NodeScorer | undefined {
  const own = pod.terms?.preferred ?? [];
  const { hardPodAffinityWeight, ignorePreferredTermsOfExistingPods } = options;
  if (own.length === 0 && ignorePreferredTermsOfExistingPods) return undefined;
  const liking = new DomainCounts();
  for (const { selector, topologyKey, weight } of own) {
    liking.include(topologyKey, snapshot.domainCounts(selector, topologyKey), weight);
  }
  const isMeant = ({ selector }: AffinityTerm) => selects(selector, pod, snapshot);
  if (hardPodAffinityWeight > 0) {
    for (const [{ topologyKey }, counts] of snapshot.near.meant(isMeant)) {
      liking.include(topologyKey, counts, hardPodAffinityWeight);
    }
  }
  for (const [{ topologyKey, weight }, counts] of snapshot.preferred.meant(isMeant)) {
    liking.include(topologyKey, counts, weight);
  }
  return liking.isUntouched ? undefined : { score: node => liking.sumAt(node), normalize: stretchRange };
}

/** From the lowest, which may be below 0, to the highest. */
function stretchRange(scores: Float64Array): void {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const score of scores) {
    low = Math.min(low, score);
    high = Math.max(high, score);
  }
  for (let index = 0; index < scores.length; index++) {
    // Divided before multiplied, as in Kubernetes: 29 of 100 are 28.
    scores[index] = high === low ? 0 : Math.floor(100 * (((scores[index] ?? 0) - low) / (high - low)));
  }
}
