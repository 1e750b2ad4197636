/** Names of what the network makes on a machine: short (the kernel takes 15 characters), stable, different per node. Pure. */
import { createHash } from 'node:crypto';
import { routeMetricCount, routeMetricMin } from './limits.ts';

export interface NetworkNames {
  readonly bridge: string;
  readonly bridgeMac: string;
  readonly table: string;
  readonly routeMetric: number;
  /** The machine's end of a pod's wire. */
  vethOf(podUid: string): string;
}

export function networkNames(clusterId: string, nodeName: string): NetworkNames {
  const node = digest(clusterId, nodeName);
  return {
    bridge: `rsm${node.slice(0, 10)}`,
    // Locally administered, so that it does not change with the pods that come and go.
    bridgeMac: ['02', ...(node.slice(0, 10).match(/../g) ?? [])].join(':'),
    table: `raftsman-net-${node.slice(0, 10)}`,
    routeMetric: routeMetricMin + (Number.parseInt(node.slice(0, 8), 16) % routeMetricCount),
    vethOf: podUid => `rsv${digest(clusterId, nodeName, podUid).slice(0, 11)}`,
  };
}

function digest(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex');
}
