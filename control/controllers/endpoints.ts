/** Endpoints objects, the older form of what serves a Service; each Service with a selector has one of its own name. */
import { endpoints as endpointsKind } from '../api/generated/kinds.ts';
import type { EndpointAddress, EndpointSubset, Endpoints, Pod, Service } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { messageOf } from '../client/body.ts';
import type { Client } from '../client/client.ts';
import { keyOf, parseKey } from '../client/keys.ts';
import { matchesLabels } from '../client/labels.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isEqual } from './equal.ts';
import { ADDRESSES_PER_ENDPOINTS_MAX } from './limits.ts';
import { NAMESPACE_INDEX } from './owners.ts';
import { isNamespaceTerminating } from './pod-control.ts';
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
import { TriggerTimes, withTriggerTime } from './trigger-times.ts';

const MANAGED_BY = 'endpoints.kubernetes.io/managed-by';
const HEADLESS = 'service.kubernetes.io/headless';
const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity';

export function endpointsController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const recorder = context.recorder('endpoint-controller');
  const queue = newQueue(context);
  const { services, pods } = followServices(informers, queue);
  const objects = informers.for(endpointsKind);
  const times = new TriggerTimes();
  /** Keys of Services that went; each until it has been looked at. */
  const gone = new Set<string>();
  services.addHandler({
    deleted: service => {
      times.forget(keyOf(service));
      gone.add(keyOf(service));
    },
  });
  const enqueue = (object: Endpoints) => queue.add(keyOf(object));
  objects.addHandler({
    // What we made may have lost its Service while nobody was there to see it.
    added: object => {
      if (isOurs(object)) enqueue(object);
    },
    updated: enqueue,
    deleted: enqueue,
  });

  /** A Service takes its Endpoints along, whoever made them; those that never had one are somebody else's. */
  const release = async (key: string, current: Endpoints | undefined) => {
    if (current && (isOurs(current) || gone.has(key))) await remove(client, current);
    gone.delete(key);
    return undefined;
  };
  const write = async (wanted: Endpoints, isThere: boolean) => {
    try {
      if (isThere) await client.update(endpointsKind, wanted);
      else await client.create(endpointsKind, wanted);
    } catch (error) {
      if (!isThere && isNamespaceTerminating(error)) return;
      // A conflict is over with the next look.
      if (!hasReason(error, 'Conflict')) {
        const { namespace, name } = wanted.metadata ?? {};
        const [reason, what] = isThere
          ? ['FailedToUpdateEndpoint', 'update endpoint']
          : ['FailedToCreateEndpoint', 'create endpoint for service'];
        const message = `Failed to ${what} ${namespace}/${name}: ${messageOf(error)}`;
        recorder.record({ ...wanted, apiVersion: 'v1', kind: 'Endpoints' }, { type: 'Warning', reason, message });
      }
      throw error;
    }
  };

  const reconcile = async (key: string) => {
    const service = services.get(key);
    const current = objects.get(key);
    if (!service) return release(key, current);
    gone.delete(key);
    if (!hasSelector(service) || service.metadata?.deletionTimestamp) return undefined;
    const selector = service.spec?.selector ?? {};
    const selected = pods
      .byIndex(NAMESPACE_INDEX, service.metadata?.namespace ?? '')
      .filter(({ metadata }) => matchesLabels(selector, metadata?.labels));
    // Asked at each look, so that what is no change now is none at the next one.
    const time = times.next(service, selected);
    const wanted = planEndpoints(service, selected, current);
    if (!current || !isEqual(wanted, current)) await write(withTriggerTime(wanted, time), current !== undefined);
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
  const { [HEADLESS]: ____, ...labels } = service.metadata?.labels ?? {};
  return {
    ...(current?.apiVersion && { apiVersion: current.apiVersion, kind: 'Endpoints' }),
    metadata: {
      ...metadata,
      name: service.metadata?.name ?? '',
      namespace: service.metadata?.namespace ?? '',
      labels: {
        ...labels,
        [MANAGED_BY]: 'endpoint-controller',
        ...(isHeadless(service) && { [HEADLESS]: '' }),
      },
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    ...(subsets.length > 0 && { subsets: isTooMany ? truncate(subsets) : subsets }),
  };
}

interface Subset {
  readonly ports: PortNumber[];
  readonly ready: EndpointAddress[];
  readonly notReady: EndpointAddress[];
}

/** Ports that the very same pods have share a subset; a pod that lacks one of them still shares the others. */
function planSubsets(service: Service, pods: readonly Pod[]): EndpointSubset[] {
  const publishesAll = service.spec?.publishNotReadyAddresses ?? false;
  const serving = servingPods(service, pods, publishesAll)
    .map(pod => ({ pod, address: addressOf(service, pod, ipOf(service, pod)) }))
    .filter(({ address }) => address.ip !== '')
    .toSorted((a, b) => compare(a.address.ip, b.address.ip) || compare(uidOf(a.pod), uidOf(b.pod)));
  const byPort = new Map<string, { readonly ports: PortNumber[]; readonly pods: number[] }>();
  for (const [at, { pod }] of serving.entries()) {
    const add = (key: string, ports: PortNumber[]) => {
      const entry = byPort.get(key) ?? { ports, pods: [] };
      byPort.set(key, entry);
      entry.pods.push(at);
    };
    if (isHeadless(service) && (service.spec?.ports ?? []).length === 0) add('', []);
    for (const port of portsOf(service, pod)) add(JSON.stringify(port), [port]);
  }
  const subsets = new Map<string, Subset>();
  for (const { ports, pods: at } of byPort.values()) {
    const known = subsets.get(at.join());
    known?.ports.push(...ports);
    if (known) continue;
    const isReady = (index: number) => publishesAll || isPodReady(serving[index]?.pod ?? {});
    const addresses = (indexes: readonly number[]) => indexes.flatMap(index => serving[index]?.address ?? []);
    subsets.set(at.join(), {
      ports,
      ready: addresses(at.filter(isReady)),
      notReady: addresses(at.filter(index => !isReady(index))),
    });
  }
  return [...subsets.values()].map(({ ports, ready, notReady }) => ({
    ...(ready.length > 0 && { addresses: ready }),
    ...(notReady.length > 0 && { notReadyAddresses: notReady }),
    ...(ports.length > 0 && { ports: ports.map(({ name, ...port }) => ({ ...(name && { name }), ...port })) }),
  }));
}

const uidOf = ({ metadata }: Pod) => metadata?.uid ?? '';
const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));

/** Endpoints have one family, the Service's first. '' where the pod has no address of it. */
function ipOf({ spec }: Service, pod: Pod): string {
  const family = spec?.ipFamilies?.[0];
  return (family === undefined ? pod.status?.podIP : addressOfFamily(pod, family)) ?? '';
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

/** Keeps ready addresses rather than others, and of each subset in proportion to its size. */
function truncate(subsets: readonly EndpointSubset[]): EndpointSubset[] {
  const sum = (lists: readonly (readonly EndpointAddress[] | undefined)[]) =>
    lists.reduce((count, list) => count + (list?.length ?? 0), 0);
  const readyCount = sum(subsets.map(({ addresses }) => addresses));
  const isReadyCut = readyCount > ADDRESSES_PER_ENDPOINTS_MAX;
  const total = isReadyCut ? readyCount : sum(subsets.map(({ notReadyAddresses }) => notReadyAddresses));
  const room = isReadyCut ? ADDRESSES_PER_ENDPOINTS_MAX : ADDRESSES_PER_ENDPOINTS_MAX - readyCount;
  let left = room;
  const cut = (list: readonly EndpointAddress[] = []) => {
    const kept = list.slice(0, Math.min(left, Math.ceil((list.length / total) * room)));
    left -= kept.length;
    return kept;
  };
  return subsets.flatMap(({ addresses = [], notReadyAddresses = [], ports }) => {
    const ready = isReadyCut ? cut(addresses) : addresses;
    const notReady = isReadyCut ? [] : cut(notReadyAddresses);
    if (ready.length + notReady.length === 0) return [];
    return [
      {
        ...(ready.length > 0 && { addresses: ready }),
        ...(notReady.length > 0 && { notReadyAddresses: notReady }),
        ...(ports && { ports }),
      },
    ];
  });
}

const isOurs = ({ metadata }: Endpoints) => metadata?.labels?.[MANAGED_BY] === 'endpoint-controller';

async function remove(client: Client, object: Endpoints): Promise<void> {
  try {
    await client.delete(endpointsKind, parseKey(keyOf(object)), { uid: object.metadata?.uid ?? '' });
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error;
  }
}
