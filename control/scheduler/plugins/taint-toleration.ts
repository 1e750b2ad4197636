/** Taints keep away pods that do not tolerate them; PreferNoSchedule only makes a node less welcome. */
import type { Node, Pod } from '../../api/generated/types.ts';
import { REPELLING_EFFECTS, tolerates, untoleratedTaint } from '../../client/taints.ts';
import { differs } from '../cluster-events.ts';
import { incurable, type SchedulerPlugin, stretch } from '../plugin.ts';

export const taintToleration: SchedulerPlugin = {
  name: 'TaintToleration',
  filter({ pod }, { hasTaints }) {
    if (!hasTaints) return undefined;
    return {
      refuse({ node }) {
        const taint = repellingTaint(pod, node);
        return taint && incurable(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`);
      },
    };
  },
  score({ pod }, { hasTaints }) {
    if (!hasTaints) return undefined;
    // A toleration with another effect says nothing about how welcome a node is.
    const tolerations = (pod.spec?.tolerations ?? []).filter(({ effect }) => !effect || effect === 'PreferNoSchedule');
    return {
      score: ({ node }) =>
        (node.spec?.taints ?? []).filter(
          taint => taint.effect === 'PreferNoSchedule' && !tolerations.some(each => tolerates(each, taint)),
        ).length,
      normalize: scores => stretch(scores, true),
    };
  },
  helpedBy: ['node', 'ownChange'],
  mayHelp(event, { pod }) {
    if (event.kind === 'ownChange') return differs(event.pod, event.old, ({ pod: { spec } }) => spec?.tolerations);
    if (event.kind !== 'node' || repellingTaint(pod, event.node)) return false;
    return event.old === undefined || repellingTaint(pod, event.old) !== undefined;
  },
};

const repellingTaint = (pod: Pod, node: Node) =>
  node.spec?.taints?.length
    ? untoleratedTaint(node.spec.taints, pod.spec?.tolerations ?? [], REPELLING_EFFECTS)
    : undefined;
