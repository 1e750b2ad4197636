/** Two pods on a node cannot listen on the same host port. */
import { curable, type SchedulerPlugin } from '../plugin.ts';
import type { HostPort } from '../snapshot.ts';

export const nodePorts: SchedulerPlugin = {
  name: 'NodePorts',
  wakesOn: ['nodeAdded', 'podRemoved'],
  filter({ hostPorts }, node) {
    if (hostPorts.length === 0) return undefined;
    for (const other of node.pods.values()) {
      if (other.hostPorts.some(taken => hostPorts.some(wanted => collide(taken, wanted)))) {
        return curable("node(s) didn't have free ports for the requested pod ports");
      }
    }
    return undefined;
  },
};

const ANY = '0.0.0.0';
const collide = (a: HostPort, b: HostPort) =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === ANY || b.ip === ANY);
