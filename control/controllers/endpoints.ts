/** Endpoints objects, the older form of what serves a Service; each Service with a selector has one of its own name. */
import { endpoints as endpointsKind } from '../api/generated/kinds.ts';
import type { EndpointAddress, EndpointSubset, Endpoints, Pod, Service } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import { keyOf, parseKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isEqual } from './equal.ts';
import { ADDRESSES_PER_ENDPOINTS_MAX } from './limits.ts';
import { NAMESPACE_INDEX } from './owners.ts';
import { isPodReady } from './pods.ts';
import {
  addressOfFamily,
  followServices,
  hasSelector,
  hostnameIn,
  isHeadless,
  type PortNumber,
  portsOf,
  referenceToPod,
  servingPods,
} from './service-pods.ts';

const MANAGED_BY = 'endpoints.kubernetes.io/managed-by';
const HEADLESS = 'service.kubernetes.io/headless';
const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity';

export function endpointsController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const { services, pods } = followServices(informers, queue);
  const objects = informers.for(endpointsKind);
  const enqueue = (object: Endpoints) => queue.add(keyOf(object));
  objects.addHandler({ updated: enqueue, deleted: enqueue });
  const reconcile = async (key: string) => {
    const service = services.get(key);
    const current = objects.get(key);
    if (!service) {
      if (current && isOurs(current)) await remove(client, current);
      return undefined;
    }
    if (!hasSelector(service) || service.metadata?.deletionTimestamp) return undefined;
    const wanted = planEndpoints(service, pods.byIndex(NAMESPACE_INDEX, service.metadata?.namespace ?? ''), current);
    if (!current) await client.create(endpointsKind, wanted);
    else if (!isEqual(wanted, current)) await client.update(endpointsKind, wanted);
    return undefined;
  };
  return queueController(context, { name: 'endpoint-controller', queue, reconcile });
}

/** The Endpoints as they should be. Equal to `current` if nothing has to change. Pure. */
export function planEndpoints(service: Service, pods: readonly Pod[], current: Endpoints | undefined): Endpoints {
  const subsets = planSubsets(service, pods);
  const { [OVER_CAPACITY]: _, ...annotations } = current?.metadata?.annotations ?? {};
  const count = (list: readonly EndpointSubset[]) =>
    list.reduce(
      (sum, { addresses = [], notReadyAddresses = [] }) => sum + addresses.length + notReadyAddresses.length,
      0,
    );
  const isTooMany = count(subsets) > ADDRESSES_PER_ENDPOINTS_MAX;
  if (isTooMany) annotations[OVER_CAPACITY] = 'truncated';
  const { labels: __, annotations: ___, ...metadata } = current?.metadata ?? {};
  return {
    ...(current?.apiVersion && { apiVersion: current.apiVersion, kind: 'Endpoints' }),
    metadata: {
      ...metadata,
      name: service.metadata?.name ?? '',
      namespace: service.metadata?.namespace ?? '',
      labels: {
        ...service.metadata?.labels,
        [MANAGED_BY]: 'endpoint-controller',
        ...(isHeadless(service) && { [HEADLESS]: '' }),
      },
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    ...(subsets.length > 0 && { subsets: isTooMany ? truncate(subsets) : subsets }),
  };
}

/** Pods with the same ports share a subset. */
function planSubsets(service: Service, pods: readonly Pod[]): EndpointSubset[] {
  const publishesAll = service.spec?.publishNotReadyAddresses ?? false;
  const groups = new Map<string, { ports: PortNumber[]; ready: EndpointAddress[]; notReady: EndpointAddress[] }>();
  const serving = servingPods(service, pods, publishesAll)
    .map(pod => ({ pod, ip: ipOf(service, pod) }))
    .filter(({ ip }) => ip !== '')
    .toSorted((a, b) => compareAddresses(a.ip, b.ip));
  for (const { pod, ip } of serving) {
    const ports = portsOf(service, pod);
    if (ports.length === 0 && !(isHeadless(service) && (service.spec?.ports ?? []).length === 0)) continue;
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, ready: [], notReady: [] };
    groups.set(key, group);
    (publishesAll || isPodReady(pod) ? group.ready : group.notReady).push(addressOf(service, pod, ip));
  }
  return [...groups.values()].map(({ ports, ready, notReady }) => ({
    ...(ready.length > 0 && { addresses: ready }),
    ...(notReady.length > 0 && { notReadyAddresses: notReady }),
    ...(ports.length > 0 && { ports: ports.map(({ name, ...port }) => ({ ...(name && { name }), ...port })) }),
  }));
}

/** Endpoints have one family, the Service's first. '' where the pod has no address of it. */
function ipOf({ spec }: Service, pod: Pod): string {
  return (spec?.ipFamilies?.[0] === 'IPv6' ? addressOfFamily(pod, 'IPv6') : pod.status?.podIP) ?? '';
}

function addressOf(service: Service, pod: Pod, ip: string): EndpointAddress {
  const hostname = hostnameIn(service, pod);
  return {
    ip,
    ...(hostname && { hostname }),
    ...(pod.spec?.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: referenceToPod(pod),
  };
}

/** Keeps ready addresses rather than others. */
function truncate(subsets: readonly EndpointSubset[]): EndpointSubset[] {
  let room = ADDRESSES_PER_ENDPOINTS_MAX;
  const take = (list: readonly EndpointAddress[] = []) => {
    const taken = list.slice(0, room);
    room -= taken.length;
    return taken;
  };
  const ready = subsets.map(({ addresses }) => take(addresses));
  const notReady = subsets.map(({ notReadyAddresses }) => take(notReadyAddresses));
  return subsets.flatMap(({ ports }, index) => {
    const [addresses = [], notReadyAddresses = []] = [ready[index], notReady[index]];
    if (addresses.length + notReadyAddresses.length === 0) return [];
    return [
      {
        ...(addresses.length > 0 && { addresses }),
        ...(notReadyAddresses.length > 0 && { notReadyAddresses }),
        ...(ports && { ports }),
      },
    ];
  });
}

const isOurs = ({ metadata }: Endpoints) => metadata?.labels?.[MANAGED_BY] === 'endpoint-controller';

/** In the order of their numbers, where they are IPv4. */
export function compareAddresses(a = '', b = ''): number {
  const rank = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + (Number(part) || 0), 0);
  return rank(a) - rank(b) || (a < b ? -1 : Number(a > b));
}

async function remove(client: Client, object: Endpoints): Promise<void> {
  try {
    await client.delete(endpointsKind, parseKey(keyOf(object)), { uid: object.metadata?.uid ?? '' });
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error;
  }
}
