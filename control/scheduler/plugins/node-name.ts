/** A pod that names its node goes nowhere else. */
import { incurable, type SchedulerPlugin } from '../plugin.ts';

export const nodeName: SchedulerPlugin = {
  name: 'NodeName',
  wakesOn: ['nodeAdded'],
  filter({ pod }, node) {
    const wanted = pod.spec?.nodeName;
    return wanted && wanted !== node.name ? incurable("node(s) didn't match the requested node name") : undefined;
  },
};
