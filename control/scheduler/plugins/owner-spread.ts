/** Pods of one owner go to different nodes where they can, so that a node's loss costs each workload little. */
import type { SchedulerPlugin } from '../plugin.ts';
import { ownerUid } from '../snapshot.ts';

export const ownerSpread: SchedulerPlugin = {
  name: 'OwnerSpread',
  wakesOn: [],
  prepare: ({ pod }) => ownerUid(pod),
  score(_pod, node, owner) {
    return typeof owner === 'string' ? (node.perOwner.get(owner) ?? 0) : 0;
  },
  ranks: 'lowest',
  weight: 2,
};
