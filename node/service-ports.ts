/** From Services and EndpointSlices to what the service proxy makes rules of. Pure. */
import type { EndpointSlice, Service } from './api.ts';
import { isProxied } from './proxy/proxied.ts';
import type { ServicePort } from './proxy/proxy.ts';

type Endpoint = ServicePort['endpoints'][number];
const AFFINITY_SECONDS_DEFAULT = 10_800;

/**
 * One entry for each port of each service with a cluster address that is not left to another proxy. Ready endpoints count; where none is ready, those that
 * still serve while they terminate do, so that a rolling update loses no connection (KEP-1669). Endpoints that are meant for
 * other zones are left out (KEP-2433, KEP-4444). Traffic that has to stay on the node is judged by itself: it goes to this
 * node's endpoints whichever zone they are meant for, and where none of those is ready, to those that still serve.
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
    slices.filter(isProxied),
    ({ metadata }) => `${metadata?.namespace}/${metadata?.labels?.['kubernetes.io/service-name'] ?? ''}`,
  );
  const result: ServicePort[] = [];
  for (const service of services.filter(isProxied)) {
    const { metadata, spec } = service;
    const clusterIPs = (spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : [])).filter(
      ip => ip !== '' && ip !== 'None',
    );
    if (clusterIPs.length === 0 || spec?.type === 'ExternalName') continue;
    const own = byService.get(`${metadata?.namespace}/${metadata?.name}`) ?? [];
    for (const port of spec?.ports ?? []) {
      const protocol = port.protocol ?? 'TCP';
      if (protocol !== 'TCP' && protocol !== 'UDP' && protocol !== 'SCTP') continue;
      const portName = port.name ?? '';
      const localOnly = spec?.externalTrafficPolicy === 'Local';
      const internalLocalOnly = spec?.internalTrafficPolicy === 'Local';
      result.push({
        id: `${metadata?.namespace}/${metadata?.name}:${portName}`,
        protocol,
        clusterIPs,
        port: port.port,
        nodePort: port.nodePort ?? 0,
        externalIPs: [...(spec?.externalIPs ?? []), ...ingressIPs(service)],
        ...limitOf(service),
        affinitySeconds: affinityOf(service),
        localOnly,
        internalLocalOnly,
        ...chosen(own, { portName, protocol }, { nodeName, zone, keepsLocal: localOnly || internalLocalOnly }),
      });
    }
  }
  return result.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function chosen(
  slices: readonly EndpointSlice[],
  port: { readonly portName: string; readonly protocol: string },
  choice: EndpointChoice,
): Pick<ServicePort, 'endpoints' | 'draining'> {
  const endpoints = endpointsOf(slices, port, choice);
  if (port.protocol !== 'UDP') return { endpoints };
  const serving = new Set(candidates(slices, port, choice.nodeName).map(({ address }) => address));
  for (const { address } of endpoints) serving.delete(address);
  return { endpoints, ...(serving.size > 0 && { draining: [...serving].sort() }) };
}

/** Which of a port's endpoints one node is to use. */
export interface EndpointChoice {
  readonly nodeName: string;
  readonly zone?: string | undefined;
  /** There is traffic that has to stay on the node: its endpoints are among them, too. */
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

interface Candidate {
  readonly address: string;
  readonly port: number;
  readonly isHere: boolean;
  /** Otherwise it serves while it terminates. */
  readonly isReady: boolean;
  /** The zones that it is meant for. */
  readonly zones: readonly string[];
}

function endpointsOfFamily(
  slices: readonly EndpointSlice[],
  port: { readonly portName: string; readonly protocol: string },
  { nodeName, zone, keepsLocal = false }: EndpointChoice,
): Endpoint[] {
  const all = candidates(slices, port, nodeName);
  const here = all.filter(({ isHere }) => isHere);
  const forCluster = new Set(nearEndpoints(readyOrLeaving(all), zone));
  const forLocal = new Set(keepsLocal ? readyOrLeaving(here) : here.filter(one => forCluster.has(one)));
  return all
    .filter(one => forCluster.has(one) || forLocal.has(one))
    .map(one => ({ address: one.address, port: one.port, local: forLocal.has(one), cluster: forCluster.has(one) }))
    .sort((a, b) => (`${a.address}:${a.port}` < `${b.address}:${b.port}` ? -1 : 1));
}

/** What could be sent to, each address and port once. */
function candidates(
  slices: readonly EndpointSlice[],
  { portName, protocol }: { readonly portName: string; readonly protocol: string },
  nodeName: string,
): Candidate[] {
  const found = new Map<string, Candidate>();
  for (const { ports, endpoints } of slices) {
    const port = ports?.find(({ name = '', protocol: other = 'TCP' }) => name === portName && other === protocol)?.port;
    if (port === undefined) continue;
    for (const { addresses, conditions, nodeName: at, hints } of endpoints ?? []) {
      const [address] = addresses;
      const isReady = conditions?.ready !== false;
      const isLeaving = conditions?.serving !== false && conditions?.terminating === true;
      if (address === undefined || !(isReady || isLeaving)) continue;
      const key = `${address}:${port}`;
      if (found.get(key)?.isReady && !isReady) continue;
      const zones = (hints?.forZones ?? []).map(({ name }) => name);
      found.set(key, { address, port, isHere: at === nodeName, isReady, zones });
    }
  }
  return [...found.values()];
}

function readyOrLeaving(all: readonly Candidate[]): readonly Candidate[] {
  const ready = all.filter(({ isReady }) => isReady);
  return ready.length > 0 ? ready : all;
}

/** Those that are meant for the node's zone. Where one is not told what it is meant for, or none is for this zone, all of them. */
function nearEndpoints(some: readonly Candidate[], zone: string | undefined): readonly Candidate[] {
  const isNear = ({ zones }: Candidate) => zone !== undefined && zones.includes(zone);
  const isHinted = some.every(({ isReady, zones }) => isReady && zones.length > 0);
  return isHinted && some.some(isNear) ? some.filter(isNear) : some;
}

function affinityOf({ spec }: Service): number {
  if (spec?.sessionAffinity !== 'ClientIP') return 0;
  return spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS_DEFAULT;
}

function limitOf(service: Service): Pick<ServicePort, 'limit'> {
  const { loadBalancerSourceRanges: sources = [] } = service.spec ?? {};
  const addresses = ingressIPs(service);
  return sources.length > 0 && addresses.length > 0 ? { limit: { addresses, sources } } : {};
}

function ingressIPs({ status }: Service): string[] {
  // Traffic that a balancer sends on in its own name does not come to its address here.
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) => (ip && ipMode !== 'Proxy' ? [ip] : []));
}
