/**
 * Pods that want to be near other pods, or away from them. Near means: in the same domain of a topology, such as a host or a
 * zone. A pod's wish to be alone also keeps away those that come later (k/k plugins/interpodaffinity).
 */
import type { Pod, PodAffinityTerm } from '../../api/generated/types.ts';
import { curable, incurable, type SchedulerPlugin } from '../plugin.ts';
import type { NodeInfo, PodInfo, Snapshot } from '../snapshot.ts';
import { DomainCounts, domainOf, matchesTerm } from './pod-terms.ts';

interface Prepared {
  readonly near: readonly PodAffinityTerm[];
  /** Pods that match all of `near`, by its domains. */
  readonly nearPods: DomainCounts;
  /** True if the pod itself is one that it wants to be near: then it may be the first. */
  readonly isOwnNeighbour: boolean;
  readonly away: readonly PodAffinityTerm[];
  readonly awayPods: DomainCounts;
  /** Pods in place that do not want this one in their domain. */
  readonly repelling: DomainCounts;
  /** What the preferences of all concerned add up to. */
  readonly liking: DomainCounts;
}

/** How much a pod that must be near such a pod as this one likes it to come. */
const REQUIRED_WEIGHT = 1;

export const interPodAffinity: SchedulerPlugin = {
  name: 'InterPodAffinity',
  wakesOn: ['nodeAdded', 'nodeChanged', 'podRemoved', 'podPlaced', 'podChanged'],
  prepare: ({ pod }, snapshot) => prepare(pod, snapshot),
  filter(_pod, node, prepared) {
    const { near, nearPods, isOwnNeighbour, away, awayPods, repelling } = prepared as Prepared;
    if (near.some(({ topologyKey }) => domainOf(node, topologyKey) === undefined)) {
      return incurable("node(s) didn't match pod affinity rules");
    }
    const isAlone = near.some(({ topologyKey }) => nearPods.at(node, topologyKey) === 0);
    if (isAlone && !(nearPods.isEmpty && isOwnNeighbour)) return incurable("node(s) didn't match pod affinity rules");
    if (away.some(({ topologyKey }) => awayPods.at(node, topologyKey) > 0)) {
      return curable("node(s) didn't match pod anti-affinity rules");
    }
    return repelling.sumAt(node) > 0 ? curable("node(s) didn't satisfy existing pods anti-affinity rules") : undefined;
  },
  score: (_pod, node, prepared) => (prepared as Prepared).liking.sumAt(node),
  ranks: 'range',
  weight: 2,
};

function prepare(pod: Pod, snapshot: Snapshot): Prepared {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  const near = podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const away = podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  const isOneOf = (other: Pod, terms: readonly PodAffinityTerm[]) =>
    terms.every(term => matchesTerm(pod, term, other, snapshot));
  const prepared = {
    near,
    nearPods: new DomainCounts(),
    isOwnNeighbour: isOneOf(pod, near),
    away,
    awayPods: new DomainCounts(),
    repelling: new DomainCounts(),
    liking: new DomainCounts(),
  };
  const preferences = preferencesOf(pod);
  const hasWishes = near.length + away.length + preferences.length > 0;
  for (const node of snapshot.nodes) {
    for (const other of node.affine.values()) weighNeighbour(prepared, { pod, other, node, snapshot });
    if (!hasWishes) continue;
    for (const { pod: other } of node.pods.values()) {
      if (near.length > 0 && isOneOf(other, near)) {
        for (const { topologyKey } of near) prepared.nearPods.add(node, topologyKey, 1);
      }
      for (const term of away) {
        if (matchesTerm(pod, term, other, snapshot)) prepared.awayPods.add(node, term.topologyKey, 1);
      }
      for (const { term, weight } of preferences) {
        if (matchesTerm(pod, term, other, snapshot)) prepared.liking.add(node, term.topologyKey, weight);
      }
    }
  }
  return prepared;
}

interface Neighbour {
  readonly pod: Pod;
  readonly other: PodInfo;
  readonly node: NodeInfo;
  readonly snapshot: Snapshot;
}

/** What a pod in place thinks of the one that comes. */
function weighNeighbour(
  { repelling, liking }: Pick<Prepared, 'repelling' | 'liking'>,
  { pod, other: { pod: other }, node, snapshot }: Neighbour,
): void {
  const { podAffinity, podAntiAffinity } = other.spec?.affinity ?? {};
  for (const term of podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
    if (matchesTerm(other, term, pod, snapshot)) repelling.add(node, term.topologyKey, 1);
  }
  for (const term of podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
    if (matchesTerm(other, term, pod, snapshot)) liking.add(node, term.topologyKey, REQUIRED_WEIGHT);
  }
  for (const { term, weight } of preferencesOf(other)) {
    if (matchesTerm(other, term, pod, snapshot)) liking.add(node, term.topologyKey, weight);
  }
}

interface Preference {
  readonly term: PodAffinityTerm;
  /** Below 0: would rather not. */
  readonly weight: number;
}

function preferencesOf({ spec }: Pod): Preference[] {
  const { podAffinity, podAntiAffinity } = spec?.affinity ?? {};
  const likes = podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const dislikes = podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return [
    ...likes.map(({ podAffinityTerm, weight }) => ({ term: podAffinityTerm, weight })),
    ...dislikes.map(({ podAffinityTerm, weight }) => ({ term: podAffinityTerm, weight: -weight })),
  ];
}
