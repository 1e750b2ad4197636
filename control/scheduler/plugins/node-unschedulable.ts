/** Cordoned nodes take only pods that tolerate it. */
import type { Pod } from '../../api/generated/types.ts';
import { TAINT_UNSCHEDULABLE, tolerates } from '../../client/taints.ts';
import { incurable, type SchedulerPlugin } from '../plugin.ts';

const TAINT = { key: TAINT_UNSCHEDULABLE, effect: 'NoSchedule' };
const CORDONED = incurable('node(s) were unschedulable');

export const nodeUnschedulable: SchedulerPlugin = {
  name: 'NodeUnschedulable',
  filter({ pod }, { hasUnschedulable }) {
    if (!hasUnschedulable || toleratesIt(pod)) return undefined;
    return { refuse: ({ node }) => (node.spec?.unschedulable ? CORDONED : undefined) };
  },
  helpedBy: ['node', 'ownChange'],
  mayHelp(event, { pod }) {
    if (event.kind === 'ownChange') return toleratesIt(pod);
    if (event.kind !== 'node' || event.node.spec?.unschedulable) return false;
    return event.old === undefined || Boolean(event.old.spec?.unschedulable);
  },
};

const toleratesIt = (pod: Pod) => (pod.spec?.tolerations ?? []).some(toleration => tolerates(toleration, TAINT));
