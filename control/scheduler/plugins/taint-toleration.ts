/** Taints keep away pods that do not tolerate them; PreferNoSchedule only makes a node less welcome. */
import { REPELLING_EFFECTS, tolerates, untoleratedTaint } from '../../client/taints.ts';
import { incurable, type SchedulerPlugin } from '../plugin.ts';

export const taintToleration: SchedulerPlugin = {
  name: 'TaintToleration',
  wakesOn: ['nodeAdded', 'nodeChanged', 'podChanged'],
  filter({ pod }, { node }) {
    const taint = untoleratedTaint(node.spec?.taints ?? [], pod.spec?.tolerations ?? [], REPELLING_EFFECTS);
    return taint && incurable(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`);
  },
  score({ pod }, { node }) {
    const tolerations = pod.spec?.tolerations ?? [];
    return (node.spec?.taints ?? []).filter(
      taint => taint.effect === 'PreferNoSchedule' && !tolerations.some(toleration => tolerates(toleration, taint)),
    ).length;
  },
  ranks: 'lowest',
  weight: 3,
};
