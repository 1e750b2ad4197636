/** From Services and EndpointSlices to what the service proxy makes rules of. Pure. */
import type { EndpointSlice, Service } from './api.ts';
import type { ServicePort } from './proxy/proxy.ts';

type Endpoint = ServicePort['endpoints'][number];
const AFFINITY_SECONDS_DEFAULT = 10_800;

/**
 * One entry for each port of each service with a cluster address. Ready endpoints count; where none is ready, those that
 * still serve while they terminate do, so that a rolling update loses no connection. Endpoints that are meant for other zones
 * are left out (KEP-2433, KEP-4444).
 *
 * @param zone of this node, as its label says; undefined if it has none
 */
export function planServicePorts(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  nodeName: string,
  zone?: string,
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
      const localOnly = spec?.externalTrafficPolicy === 'Local';
      result.push({
        id: `${metadata?.namespace}/${metadata?.name}:${portName}`,
        protocol,
        clusterIPs,
        port: port.port,
        nodePort: port.nodePort ?? 0,
        externalIPs: [...(spec?.externalIPs ?? []), ...ingressIPs(service)],
        affinitySeconds: affinityOf(service),
        localOnly,
        endpoints: endpointsOf(
          own,
          { portName, protocol },
          { nodeName, zone, onlyLocal: spec?.internalTrafficPolicy === 'Local', keepsLocal: localOnly },
        ),
      });
    }
  }
  return result.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Which of a port's endpoints one node is to use. */
export interface EndpointChoice {
  readonly nodeName: string;
  readonly zone?: string | undefined;
  /** Those of other nodes do not count. */
  readonly onlyLocal?: boolean;
  /** Those of this node count whichever zone they are meant for. */
  readonly keepsLocal?: boolean;
}

/**
 * Ready endpoints of one port, or those that still serve while they terminate where none is ready; by address. Each family is
 * looked at by itself, since no packet changes its family.
 */
export function endpointsOf(
  slices: readonly EndpointSlice[],
  port: { readonly portName: string; readonly protocol: string },
  choice: EndpointChoice,
): Endpoint[] {
  return ['IPv4', 'IPv6'].flatMap(family =>
    endpointsOfFamily(
      slices.filter(({ addressType }) => addressType === family),
      port,
      choice,
    ),
  );
}

interface Candidate extends Endpoint {
  /** The zones that it is meant for. */
  readonly zones: readonly string[];
}

function endpointsOfFamily(
  slices: readonly EndpointSlice[],
  { portName, protocol }: { readonly portName: string; readonly protocol: string },
  choice: EndpointChoice,
): Endpoint[] {
  const { nodeName } = choice;
  const ready = new Map<string, Candidate>();
  const serving = new Map<string, Candidate>();
  for (const { ports, endpoints } of slices) {
    const port = ports?.find(({ name = '', protocol: other = 'TCP' }) => name === portName && other === protocol)?.port;
    if (port === undefined) continue;
    for (const { addresses, conditions, nodeName: at, hints } of endpoints ?? []) {
      const [address] = addresses;
      if (address === undefined || (choice.onlyLocal && at !== nodeName)) continue;
      const zones = (hints?.forZones ?? []).map(({ name }) => name);
      const endpoint = { address, port, local: at === nodeName, zones };
      const key = `${address}:${port}`;
      if (conditions?.ready !== false) ready.set(key, endpoint);
      else if (conditions.serving && conditions.terminating) serving.set(key, endpoint);
    }
  }
  const chosen = ready.size > 0 ? nearEndpoints([...ready.values()], choice) : [...serving.values()];
  return chosen
    .map(({ address, port, local }) => ({ address, port, local }))
    .sort((a, b) => (`${a.address}:${a.port}` < `${b.address}:${b.port}` ? -1 : 1));
}

/** Those that are meant for the node's zone. Where one is not told what it is meant for, or none is for this zone, all of them. */
function nearEndpoints(ready: readonly Candidate[], { zone, onlyLocal, keepsLocal }: EndpointChoice): Candidate[] {
  const isNear = ({ zones }: Candidate) => zone !== undefined && zones.includes(zone);
  if (onlyLocal || !ready.every(({ zones }) => zones.length > 0) || !ready.some(isNear)) return [...ready];
  return ready.filter(endpoint => isNear(endpoint) || (keepsLocal && endpoint.local));
}

function affinityOf({ spec }: Service): number {
  if (spec?.sessionAffinity !== 'ClientIP') return 0;
  return spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS_DEFAULT;
}

function ingressIPs({ status }: Service): string[] {
  // Traffic that a balancer sends on in its own name does not come to its address here.
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) => (ip && ipMode !== 'Proxy' ? [ip] : []));
}
