/** Names of what the network makes on a machine: short (the kernel takes 15 characters), stable, different per node. Pure. */
import { createHash } from 'node:crypto';
import { routeMetricCount, routeMetricMin } from './limits.ts';

export interface NetworkNames {
  readonly bridge: string;
  readonly bridgeMac: string;
  readonly table: string;
  readonly routeMetric: number;
  /** Nodes of one cluster share it on a machine. */
  readonly vxlan: string;
  /** The number of the cluster's overlay (24 bits, not 0). */
  readonly vxlanId: number;
  readonly wireguard: string;
  /** The hardware address of the VXLAN link of the machine with this address. */
  vxlanMacOf(address: string): string;
  /** The machine's end of a pod's wire. */
  vethOf(podUid: string): string;
}

export function networkNames(clusterId: string, nodeName: string): NetworkNames {
  const node = digest(clusterId, nodeName);
  const cluster = digest(clusterId);
  return {
    bridge: `rsm${node.slice(0, 10)}`,
    // Locally administered, so that it does not change with the pods that come and go.
    bridgeMac: macOf(node),
    table: `raftsman-net-${node.slice(0, 10)}`,
    routeMetric: routeMetricMin + (Number.parseInt(node.slice(0, 8), 16) % routeMetricCount),
    vxlan: `rsx${cluster.slice(0, 10)}`,
    vxlanId: (Number.parseInt(cluster.slice(0, 8), 16) % (2 ** 24 - 1)) + 1,
    wireguard: `rsg${node.slice(0, 10)}`,
    vxlanMacOf: address => macOf(digest(clusterId, 'vxlan', address)),
    vethOf: podUid => `rsv${digest(clusterId, nodeName, podUid).slice(0, 11)}`,
  };
}

function macOf(hash: string): string {
  return ['02', ...(hash.slice(0, 10).match(/../g) ?? [])].join(':');
}

function digest(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex');
}
