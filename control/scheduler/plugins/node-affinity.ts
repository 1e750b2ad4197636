/** nodeSelector and node affinity: what the pod demands of a node's labels and name, and what it would like. */
import { matchesNodeTerm, matchesRequiredNode } from '../../client/node-selectors.ts';
import { incurable, type SchedulerPlugin } from '../plugin.ts';

export const nodeAffinity: SchedulerPlugin = {
  name: 'NodeAffinity',
  wakesOn: ['nodeAdded', 'nodeChanged'],
  filter({ pod }, { node }) {
    return matchesRequiredNode(pod.spec, node)
      ? undefined
      : incurable("node(s) didn't match Pod's node affinity/selector");
  },
  score({ pod }, { node }) {
    const preferred = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    return preferred.reduce((sum, { weight, preference }) => sum + (matchesNodeTerm(preference, node) ? weight : 0), 0);
  },
  ranks: 'highest',
  weight: 2,
};
