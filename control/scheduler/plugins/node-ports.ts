/** Two pods on a node cannot listen on the same host port. */
import { collide } from '../node-info.ts';
import { curable, type SchedulerPlugin } from '../plugin.ts';

const TAKEN = curable("node(s) didn't have free ports for the requested pod ports");

export const nodePorts: SchedulerPlugin = {
  name: 'NodePorts',
  filter({ hostPorts }) {
    if (hostPorts.length === 0) return undefined;
    return { refuse: node => (hostPorts.every(port => node.isPortFree(port)) ? undefined : TAKEN) };
  },
  helpedBy: ['node', 'podRemoved'],
  mayHelp(event, { hostPorts }) {
    if (event.kind === 'node') return event.old === undefined;
    if (event.kind !== 'podRemoved') return false;
    return event.pod.hostPorts.some(freed => hostPorts.some(own => collide(own, freed)));
  },
};
