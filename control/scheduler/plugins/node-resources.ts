/** A pod's requests must fit into what the node has left; among nodes, the emptier and the more evenly used are better. */
import { SCORE_MAX } from '../limits.ts';
import { curable, type SchedulerPlugin } from '../plugin.ts';
import type { NodeInfo, PodInfo } from '../snapshot.ts';

export const nodeResourcesFit: SchedulerPlugin = {
  name: 'NodeResourcesFit',
  wakesOn: ['nodeAdded', 'nodeChanged', 'podRemoved', 'podChanged'],
  filter({ requests }, node) {
    const reasons: string[] = [];
    if (node.pods.size + 1 > (node.allocatable.pods ?? 0)) reasons.push('Too many pods');
    for (const name in requests) {
      const wanted = requests[name] ?? 0;
      if (wanted > 0 && wanted > (node.allocatable[name] ?? 0) - (node.requested[name] ?? 0))
        reasons.push(`Insufficient ${name}`);
    }
    return reasons.length > 0 ? curable(...reasons) : undefined;
  },
  /** Least allocated: the mean share of cpu and memory that stays free. */
  score(pod, node) {
    const { cpu, memory } = usedShares(pod, node);
    return ((1 - cpu + (1 - memory)) / 2) * SCORE_MAX;
  },
  ranks: 'plain',
  weight: 1,
};

export const nodeResourcesBalanced: SchedulerPlugin = {
  name: 'NodeResourcesBalancedAllocation',
  wakesOn: [],
  /** The less the used shares of cpu and memory differ, the better: neither runs out with the other left over. */
  score(pod, node) {
    const { cpu, memory } = usedShares(pod, node);
    return (1 - Math.abs(cpu - memory) / 2) * SCORE_MAX;
  },
  ranks: 'plain',
  weight: 1,
};

function usedShares({ weighed }: PodInfo, node: NodeInfo): { readonly cpu: number; readonly memory: number } {
  return {
    cpu: share(node.weighed.cpu + weighed.cpu, node.allocatable.cpu),
    memory: share(node.weighed.memory + weighed.memory, node.allocatable.memory),
  };
}

const share = (used: number, capacity: number | undefined) => (capacity ? Math.min(1, used / capacity) : 1);
