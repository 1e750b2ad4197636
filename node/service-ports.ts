/** From Services and EndpointSlices to what the service proxy makes rules of. Pure. */
import type { EndpointSlice, Service } from './api.ts';
import type { ServicePort } from './proxy/proxy.ts';

type Endpoint = ServicePort['endpoints'][number];
const AFFINITY_SECONDS_DEFAULT = 10_800;

/**
 * One entry for each port of each service with a cluster address. Ready endpoints count; where none is ready, those that
 * still serve while they terminate do, so that a rolling update loses no connection.
 */
export function planServicePorts(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  nodeName: string,
): ServicePort[] {
  const byService = Map.groupBy(
    slices,
    ({ metadata }) => `${metadata?.namespace}/${metadata?.labels?.['kubernetes.io/service-name'] ?? ''}`,
  );
  const result: ServicePort[] = [];
  for (const service of services) {
    const { metadata, spec } = service;
    const clusterIPs = (spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : [])).filter(
      ip => ip !== '' && ip !== 'None',
    );
    if (clusterIPs.length === 0 || spec?.type === 'ExternalName') continue;
    const own = byService.get(`${metadata?.namespace}/${metadata?.name}`) ?? [];
    for (const port of spec?.ports ?? []) {
      const protocol = port.protocol ?? 'TCP';
      if (protocol !== 'TCP' && protocol !== 'UDP') continue;
      const portName = port.name ?? '';
      result.push({
        id: `${metadata?.namespace}/${metadata?.name}:${portName}`,
        protocol,
        clusterIPs,
        port: port.port,
        nodePort: port.nodePort ?? 0,
        externalIPs: [...(spec?.externalIPs ?? []), ...ingressIPs(service)],
        affinitySeconds: affinityOf(service),
        localOnly: spec?.externalTrafficPolicy === 'Local',
        endpoints: endpointsOf(own, { portName, protocol }, nodeName, spec?.internalTrafficPolicy === 'Local'),
      });
    }
  }
  return result.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * Ready endpoints of one port, or those that still serve while they terminate where none is ready; by address. Each family is
 * looked at by itself, since no packet changes its family.
 */
export function endpointsOf(
  slices: readonly EndpointSlice[],
  port: { readonly portName: string; readonly protocol: string },
  nodeName: string,
  onlyLocal: boolean,
): Endpoint[] {
  return ['IPv4', 'IPv6'].flatMap(family =>
    endpointsOfFamily(
      slices.filter(({ addressType }) => addressType === family),
      port,
      { nodeName, onlyLocal },
    ),
  );
}

function endpointsOfFamily(
  slices: readonly EndpointSlice[],
  { portName, protocol }: { readonly portName: string; readonly protocol: string },
  { nodeName, onlyLocal }: { readonly nodeName: string; readonly onlyLocal: boolean },
): Endpoint[] {
  const ready = new Map<string, Endpoint>();
  const serving = new Map<string, Endpoint>();
  for (const { ports, endpoints } of slices) {
    const port = ports?.find(({ name = '', protocol: other = 'TCP' }) => name === portName && other === protocol)?.port;
    if (port === undefined) continue;
    for (const { addresses, conditions, nodeName: at } of endpoints ?? []) {
      const [address] = addresses;
      if (address === undefined || (onlyLocal && at !== nodeName)) continue;
      const endpoint = { address, port, local: at === nodeName };
      const key = `${address}:${port}`;
      if (conditions?.ready !== false) ready.set(key, endpoint);
      else if (conditions.serving && conditions.terminating) serving.set(key, endpoint);
    }
  }
  const chosen = ready.size > 0 ? ready : serving;
  return [...chosen].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}
function affinityOf({ spec }: Service): number {
  if (spec?.sessionAffinity !== 'ClientIP') return 0;
  return spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS_DEFAULT;
}

function ingressIPs({ status }: Service): string[] {
  // Traffic that a balancer sends on in its own name does not come to its address here.
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) => (ip && ipMode !== 'Proxy' ? [ip] : []));
}
