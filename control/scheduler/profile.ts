/** Which plugins decide, in the order in which they are asked: cheap and final ones first, as kube-scheduler has them. */
import type { SchedulerPlugin } from './plugin.ts';
import { imageLocality } from './plugins/image-locality.ts';
import { interPodAffinity } from './plugins/inter-pod-affinity.ts';
import { nodeAffinity } from './plugins/node-affinity.ts';
import { nodeName } from './plugins/node-name.ts';
import { nodePorts } from './plugins/node-ports.ts';
import { nodeResourcesBalanced, nodeResourcesFit } from './plugins/node-resources.ts';
import { nodeUnschedulable } from './plugins/node-unschedulable.ts';
import { ownerSpread } from './plugins/owner-spread.ts';
import { taintToleration } from './plugins/taint-toleration.ts';
import { topologySpread } from './plugins/topology-spread.ts';

export interface Profile {
  /** The `schedulerName` of pods that it is for. */
  readonly schedulerName: string;
  readonly plugins: readonly SchedulerPlugin[];
}

export const DEFAULT_PROFILE: Profile = {
  schedulerName: 'default-scheduler',
  plugins: [
    nodeUnschedulable,
    nodeName,
    taintToleration,
    nodeAffinity,
    nodePorts,
    nodeResourcesFit,
    topologySpread,
    interPodAffinity,
    nodeResourcesBalanced,
    ownerSpread,
    imageLocality,
  ],
};
