/** From pods with host ports to what the service proxy makes rules of. Pure. */
import type { Pod } from './api.ts';
import type { ServicePort } from './proxy/proxy.ts';

/**
 * One entry for each host port of this node's pods: on all addresses of the machine, or on the one that `hostIP` names. As with
 * Kubernetes' portmap plugin, readiness plays no part, and clients keep their address but for those on the node itself.
 *
 * @param pods of this node, with their addresses as the API has them; those of the host's network listen by themselves
 */
export function planHostPorts(pods: readonly Pod[]): ServicePort[] {
  return pods.flatMap(({ metadata, spec, status }) => {
    const addresses = status?.podIPs?.map(({ ip }) => ip) ?? (status?.podIP ? [status.podIP] : []);
    const isOver = status?.phase === 'Succeeded' || status?.phase === 'Failed';
    if (addresses.length === 0 || isOver || spec?.hostNetwork) return [];
    const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
    return [...sidecars, ...(spec?.containers ?? [])].flatMap(({ ports = [] }) =>
      ports.flatMap(({ hostPort, containerPort, protocol = 'TCP', hostIP = '' }): ServicePort[] => {
        if (!hostPort || (protocol !== 'TCP' && protocol !== 'UDP' && protocol !== 'SCTP')) return [];
        const isAnywhere = hostIP === '' || hostIP === '0.0.0.0' || hostIP === '::';
        return [
          {
            // No Service has a name with a space.
            id: `host-port ${metadata?.namespace}/${metadata?.name}:${hostIP}:${hostPort}`,
            protocol,
            clusterIPs: [],
            port: hostPort,
            nodePort: isAnywhere ? hostPort : 0,
            ...(isAnywhere && { everyAddress: true }),
            externalIPs: isAnywhere ? [] : [hostIP],
            affinitySeconds: 0,
            localOnly: true,
            internalLocalOnly: false,
            endpoints: addresses.map(address => ({ address, port: containerPort, local: true, cluster: true })),
          },
        ];
      }),
    );
  });
}
