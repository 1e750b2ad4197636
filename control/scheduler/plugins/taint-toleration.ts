/** Taints keep away pods that do not tolerate them; PreferNoSchedule only makes a node less welcome. */
import type { Node, Pod, Taint } from '../../api/generated/types.ts';
import { REPELLING_EFFECTS, tolerates, untoleratedTaint } from '../../client/taints.ts';
import { differs } from '../cluster-events.ts';
import { incurable, type Refusal, type SchedulerPlugin, stretch } from '../plugin.ts';

export const taintToleration: SchedulerPlugin = {
  name: 'TaintToleration',
  filter({ pod }, { hasTaints }) {
    if (!hasTaints) return undefined;
    return {
      refuse({ node }) {
        const taint = repellingTaint(pod, node);
        return taint && refusalFor(taint);
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

/** By key and value: thousands of nodes that are starting have the same taint. */
const refusals = new Map<string, Map<string, Refusal>>();
const REFUSALS_MAX = 1_000;

function refusalFor({ key, value = '' }: Taint): Refusal {
  const known = refusals.get(key)?.get(value);
  if (known) return known;
  if (refusals.size >= REFUSALS_MAX) refusals.clear();
  const ofKey = refusals.get(key) ?? new Map<string, Refusal>();
  if (ofKey.size >= REFUSALS_MAX) ofKey.clear();
  const refusal = incurable(`node(s) had untolerated taint {${key}: ${value}}`);
  refusals.set(key, ofKey.set(value, refusal));
  return refusal;
}

const repellingTaint = (pod: Pod, node: Node) =>
  node.spec?.taints?.length
    ? untoleratedTaint(node.spec.taints, pod.spec?.tolerations ?? [], REPELLING_EFFECTS)
    : undefined;
