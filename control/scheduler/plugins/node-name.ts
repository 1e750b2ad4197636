/** A pod that names its node goes nowhere else. */
import { incurable, type SchedulerPlugin } from '../plugin.ts';

const ELSEWHERE = incurable("node(s) didn't match the requested node name");

export const nodeName: SchedulerPlugin = {
  name: 'NodeName',
  filter({ pod }) {
    const wanted = pod.spec?.nodeName;
    return wanted ? { refuse: node => (node.name === wanted ? undefined : ELSEWHERE) } : undefined;
  },
  helpedBy: ['node'],
  mayHelp: (event, { pod }) => event.kind === 'node' && !event.old && event.node.metadata?.name === pod.spec?.nodeName,
};
