/** Cordoned nodes take only pods that tolerate it. */
import { TAINT_UNSCHEDULABLE, tolerates } from '../../client/taints.ts';
import { incurable, type SchedulerPlugin } from '../plugin.ts';

const TAINT = { key: TAINT_UNSCHEDULABLE, effect: 'NoSchedule' };

export const nodeUnschedulable: SchedulerPlugin = {
  name: 'NodeUnschedulable',
  wakesOn: ['nodeAdded', 'nodeChanged', 'podChanged'],
  filter({ pod }, { node }) {
    if (!node.spec?.unschedulable) return undefined;
    const isTolerated = (pod.spec?.tolerations ?? []).some(toleration => tolerates(toleration, TAINT));
    return isTolerated ? undefined : incurable('node(s) were unschedulable');
  },
};
