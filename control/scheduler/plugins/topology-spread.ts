/**
 * Pods that are to be spread evenly over the domains of a topology: no domain may have (or had better have) more than
 * `maxSkew` of them above the emptiest (k/k plugins/podtopologyspread).
 */
import type { Pod, TopologySpreadConstraint } from '../../api/generated/types.ts';
import { matchesRequiredNode } from '../../client/node-selectors.ts';
import { REPELLING_EFFECTS, untoleratedTaint } from '../../client/taints.ts';
import { curable, incurable, type SchedulerPlugin } from '../plugin.ts';
import type { NodeInfo, Snapshot } from '../snapshot.ts';
import { domainOf, matchesLabelsOf } from './pod-terms.ts';

const UNEVEN = "node(s) didn't match pod topology spread constraints";

interface Spread {
  readonly constraint: TopologySpreadConstraint;
  /** Pods that count, by domain; every domain that may take the pod is in it. */
  readonly counts: ReadonlyMap<string, number>;
  /** Of the emptiest domain. */
  readonly fewest: number;
  /** 1 if the pod itself counts. */
  readonly self: number;
}

interface Prepared {
  readonly hard: readonly Spread[];
  readonly soft: readonly Spread[];
}

export const topologySpread: SchedulerPlugin = {
  name: 'PodTopologySpread',
  wakesOn: ['nodeAdded', 'nodeChanged', 'podRemoved', 'podPlaced', 'podChanged'],
  prepare: ({ pod }, snapshot) => prepare(pod, snapshot),
  filter(_pod, node, prepared) {
    for (const { constraint, counts, fewest, self } of (prepared as Prepared).hard) {
      const domain = domainOf(node, constraint.topologyKey);
      if (domain === undefined) return incurable(`${UNEVEN} (missing required label)`);
      if ((counts.get(domain) ?? 0) + self - fewest > constraint.maxSkew) return curable(UNEVEN);
    }
    return undefined;
  },
  /** Pods that would be together; a node outside of all domains is as full as can be. */
  score(_pod, node, prepared) {
    return (prepared as Prepared).soft.reduce((sum, { constraint, counts }) => {
      const domain = domainOf(node, constraint.topologyKey);
      return sum + (domain === undefined ? Math.max(0, ...counts.values()) + 1 : (counts.get(domain) ?? 0));
    }, 0);
  },
  ranks: 'lowest',
  weight: 2,
};

const NOTHING: Prepared = { hard: [], soft: [] };

function prepare(pod: Pod, snapshot: Snapshot): Prepared {
  const constraints = pod.spec?.topologySpreadConstraints ?? [];
  if (constraints.length === 0) return NOTHING;
  const isHard = ({ whenUnsatisfiable }: TopologySpreadConstraint) => whenUnsatisfiable === 'DoNotSchedule';
  const spreads = (chosen: readonly TopologySpreadConstraint[]) => {
    const keys = chosen.map(({ topologyKey }) => topologyKey);
    // A node that lacks one of the labels is in no domain of the others either.
    const nodes = snapshot.nodes.filter(node => keys.every(key => domainOf(node, key) !== undefined));
    return chosen.map(constraint => spreadOf(pod, constraint, nodes));
  };
  return { hard: spreads(constraints.filter(isHard)), soft: spreads(constraints.filter(each => !isHard(each))) };
}

function spreadOf(pod: Pod, constraint: TopologySpreadConstraint, nodes: readonly NodeInfo[]): Spread {
  const counts = new Map<string, number>();
  for (const node of nodes) {
    const domain = domainOf(node, constraint.topologyKey);
    if (domain === undefined || !countsNode(pod, constraint, node)) continue;
    let count = counts.get(domain) ?? 0;
    for (const { pod: other } of node.pods.values()) if (countsPod(pod, constraint, other)) count++;
    counts.set(domain, count);
  }
  const hasDomains = counts.size >= (constraint.minDomains ?? 1);
  return {
    constraint,
    counts,
    fewest: hasDomains ? Math.min(...counts.values()) : 0,
    self: matchesLabelsOf(pod, constraint, pod) ? 1 : 0,
  };
}

/** Nodes where the pod could not run say nothing about how even its pods are. */
function countsNode(pod: Pod, { nodeAffinityPolicy, nodeTaintsPolicy }: TopologySpreadConstraint, { node }: NodeInfo) {
  if (nodeAffinityPolicy !== 'Ignore' && !matchesRequiredNode(pod.spec, node)) return false;
  if (nodeTaintsPolicy !== 'Honor') return true;
  return untoleratedTaint(node.spec?.taints ?? [], pod.spec?.tolerations ?? [], REPELLING_EFFECTS) === undefined;
}

function countsPod(pod: Pod, constraint: TopologySpreadConstraint, other: Pod): boolean {
  return (
    other.metadata?.namespace === pod.metadata?.namespace &&
    !other.metadata?.deletionTimestamp &&
    matchesLabelsOf(pod, constraint, other)
  );
}
