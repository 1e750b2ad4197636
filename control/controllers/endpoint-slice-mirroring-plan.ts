/**
 * Endpoints that somebody keeps by hand, as the EndpointSlices that proxies read: one slice for each set of ports and address
 * family (k/k pkg/controller/endpointslicemirroring). Slices that would go are used for what would be made. Pure.
 */
import { canonicalIp } from '../api/families.ts';
import { endpoints as endpointsKind } from '../api/generated/kinds.ts';
import type {
  DiscoveryV1EndpointPort,
  Endpoint,
  EndpointAddress,
  EndpointSlice,
  EndpointSubset,
  Endpoints,
} from '../api/generated/types.ts';
import { parseIp } from '../api/validation/addresses.ts';
import { isEqual } from './equal.ts';
import { MIRRORED_ENDPOINTS_MAX } from './limits.ts';
import { controllerReference } from './owners.ts';

export const MIRRORED_BY = 'endpointslicemirroring-controller.k8s.io';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const SERVICE_NAME = 'kubernetes.io/service-name';
const SKIP_MIRROR = 'endpointslice.kubernetes.io/skip-mirror';
const LEADER = 'control-plane.alpha.kubernetes.io/leader';
/** What says something of the Endpoints object alone. */
const OWN_ANNOTATIONS = new Set([
  'endpoints.kubernetes.io/last-change-trigger-time',
  'kubectl.kubernetes.io/last-applied-configuration',
]);

export interface MirrorPlan {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
  /** Addresses that are none. */
  readonly invalid: number;
  /** Addresses above what one slice may hold. */
  readonly skipped: number;
}

/** True if the object is anybody's but a controller's, and not the record of an election. */
export function isMirrored({ metadata }: Endpoints): boolean {
  return metadata?.labels?.[SKIP_MIRROR] !== 'true' && metadata?.annotations?.[LEADER] === undefined;
}

interface Group {
  readonly addressType: string;
  readonly ports: readonly DiscoveryV1EndpointPort[];
  /** By address, host name and target: each once. */
  readonly endpoints: Map<string, Endpoint>;
}

export function planMirror(object: Endpoints, slices: readonly EndpointSlice[]): MirrorPlan {
  const { groups, invalid, skipped } = groupsOf(object);
  const plan = { create: [] as EndpointSlice[], update: [] as EndpointSlice[], remove: [] as EndpointSlice[] };
  const left = new Set(slices);
  const missing: EndpointSlice[] = [];
  for (const group of groups) {
    const matching = slices
      .filter(slice => slice.addressType === group.addressType && isEqual(slice.ports ?? [], group.ports))
      .toSorted((a, b) => ((a.metadata?.creationTimestamp ?? '') < (b.metadata?.creationTimestamp ?? '') ? -1 : 1));
    const wanted = sliceOf(object, group);
    const [kept] = matching;
    if (!kept) {
      missing.push(wanted);
      continue;
    }
    left.delete(kept);
    if (!isSame(kept, wanted)) plan.update.push(renew(kept, wanted));
  }
  for (const wanted of missing) {
    const reused = [...left].find(({ addressType }) => addressType === wanted.addressType);
    if (reused) left.delete(reused);
    if (reused) plan.update.push(renew(reused, wanted));
    else plan.create.push(wanted);
  }
  plan.remove.push(...left);
  return { ...plan, invalid, skipped };
}

function groupsOf({ subsets = [] }: Endpoints) {
  const groups = new Map<string, Group>();
  let invalid = 0;
  let skipped = 0;
  for (const subset of subsets) {
    const ports = portsOf(subset);
    let count = 0;
    const add = (address: EndpointAddress, ready: boolean) => {
      const family = parseIp(address.ip)?.family;
      if (!family) {
        invalid++;
        return;
      }
      if (count >= MIRRORED_ENDPOINTS_MAX) {
        skipped++;
        return;
      }
      const key = `${family} ${JSON.stringify(ports)}`;
      const group = groups.get(key) ?? { addressType: family, ports, endpoints: new Map() };
      groups.set(key, group);
      const endpoint = endpointOf(address, ready);
      const identity = JSON.stringify([address.ip, address.hostname, address.targetRef?.uid]);
      if (!group.endpoints.has(identity)) count++;
      group.endpoints.set(identity, endpoint);
    };
    for (const address of subset.addresses ?? []) add(address, true);
    for (const address of subset.notReadyAddresses ?? []) add(address, false);
  }
  return { groups: [...groups.values()], invalid, skipped };
}

function portsOf({ ports = [] }: EndpointSubset): DiscoveryV1EndpointPort[] {
  return ports.map(({ name = '', port, protocol = 'TCP', appProtocol }) => ({
    name,
    port,
    protocol,
    ...(appProtocol !== undefined && { appProtocol }),
  }));
}

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    // In the one way in which it is usually written.
    addresses: [canonicalIp(ip)],
    conditions: { ready },
    ...(hostname && { hostname }),
    ...(nodeName && { nodeName }),
    ...(targetRef && { targetRef }),
  };
}

function sliceOf(object: Endpoints, { addressType, ports, endpoints }: Group): EndpointSlice {
  const { name = '', namespace = '', labels, annotations = {} } = object.metadata ?? {};
  const kept = Object.entries(annotations).filter(([key]) => !OWN_ANNOTATIONS.has(key));
  return {
    metadata: {
      generateName: `${name}-`,
      namespace,
      labels: { ...labels, [SERVICE_NAME]: name, [MANAGED_BY]: MIRRORED_BY },
      ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }),
      ownerReferences: [controllerReference(endpointsKind, object)],
    },
    addressType,
    endpoints: [...endpoints.values()],
    ports: [...ports],
  };
}

const isSame = (present: EndpointSlice, wanted: EndpointSlice): boolean =>
  isEqual(present.endpoints ?? [], wanted.endpoints ?? []) &&
  isEqual(present.ports ?? [], wanted.ports ?? []) &&
  isEqual(present.metadata?.labels ?? {}, wanted.metadata?.labels ?? {}) &&
  isEqual(present.metadata?.annotations ?? {}, wanted.metadata?.annotations ?? {});

/** What is there, with what is wanted of it. */
function renew(present: EndpointSlice, wanted: EndpointSlice): EndpointSlice {
  const { annotations: _, ...metadata } = present.metadata ?? {};
  const { labels, annotations, ownerReferences } = wanted.metadata ?? {};
  return {
    ...present,
    metadata: {
      ...metadata,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(ownerReferences && { ownerReferences }),
    },
    endpoints: wanted.endpoints,
    ports: wanted.ports ?? [],
  };
}
