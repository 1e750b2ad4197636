/** From Nodes to the routes of the pod network. Pure. */
import type { Node, NodeAddress } from './api.ts';
import type { NodeRoute } from './network/network.ts';
import { modeAnnotation, readAnnouncement } from './network/way.ts';

/** How the pods of other nodes are reached. Pure. */
export function planRoutes(all: readonly Node[], ownName: string): NodeRoute[] {
  return all.flatMap(({ metadata, spec, status }) => {
    const nodeAddress = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
    const nodeName = metadata?.name ?? '';
    if (nodeName === ownName || !spec?.podCIDR || !nodeAddress) return [];
    const range = spec.podCIDRs?.find(cidr => cidr.includes(':'));
    const address6 = status?.addresses?.find(isInternalIpv6)?.address;
    const ipv6 = range && { podCIDR: range, ...(address6 && { nodeAddress: address6 }) };
    const announces = metadata?.annotations?.[modeAnnotation] !== undefined;
    const announcement = announces ? { announcement: readAnnouncement(metadata?.annotations) } : {};
    return [{ nodeName, podCIDR: spec.podCIDR, nodeAddress, ...(ipv6 && { ipv6 }), ...announcement }];
  });
}

const isInternalIpv6 = ({ type, address }: NodeAddress) => type === 'InternalIP' && address.includes(':');
