/**
 * Which EndpointSlices a Service should have. Slices are changed as little as possible: every proxy in the cluster reads each
 * change. Endpoints stay in their slice, new ones fill what is written anyway, and slices are used again rather than replaced.
 * Pure.
 */
import { services as servicesKind } from '../api/generated/kinds.ts';
import type { DiscoveryV1EndpointPort, Endpoint, EndpointSlice, Node, Pod, Service } from '../api/generated/types.ts';
import type { HintPlanner } from './endpoint-slices-hints.ts';
import { isEqual } from './equal.ts';
import { ENDPOINTS_PER_SLICE_MAX } from './limits.ts';
import { controllerReference } from './owners.ts';
import { isPodReady } from './pods.ts';
import {
  addressOfFamily,
  hostnameIn,
  isHeadless,
  type PortNumber,
  portsOf,
  referenceToPod,
  servingPods,
} from './service-pods.ts';

export const SERVICE_NAME = 'kubernetes.io/service-name';
export const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
export const OUR_NAME = 'endpointslice-controller.k8s.io';
const HEADLESS = 'service.kubernetes.io/headless';
export const ZONE = 'topology.kubernetes.io/zone';

export interface SliceState {
  readonly service: Service;
  readonly pods: readonly Pod[];
  readonly slices: readonly EndpointSlice[];
  /** For zones. Pods of a node that does not exist are no endpoints. */
  nodeOf(name: string): Node | undefined;
  /** Whose clients each endpoint is for; nobody's in particular where it is not given. */
  readonly hints?: HintPlanner['assign'];
}

export interface SlicePlan {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

/** Endpoints that belong together: of one address family, with equal ports. */
interface Group {
  readonly addressType: string;
  readonly ports: readonly PortNumber[];
  /** By UID of the pod. */
  readonly endpoints: Map<string, Endpoint>;
}

export function planSlices(state: SliceState): SlicePlan {
  const { service } = state;
  const families = service.spec?.ipFamilies?.length ? service.spec.ipFamilies : ['IPv4'];
  const plan = { create: [] as EndpointSlice[], update: [] as EndpointSlice[], remove: [] as EndpointSlice[] };
  for (const family of families) planFamily(state, family, plan);
  plan.remove.push(...state.slices.filter(({ addressType }) => !families.includes(addressType)));
  return plan;
}

type MutablePlan = { readonly [Key in keyof SlicePlan]: EndpointSlice[] };

function planFamily(state: SliceState, addressType: string, plan: MutablePlan): void {
  const { service } = state;
  const inFamily = state.slices.filter(slice => slice.addressType === addressType);
  // Those of an earlier Service of this name are on their way out with it.
  const [present, foreign] = [inFamily.filter(isOf(service)), inFamily.filter(slice => !isOf(service)(slice))];
  const left = new Set(present);
  const own: MutablePlan = { create: [], update: [], remove: [] };
  for (const group of groupEndpoints(state, addressType)) {
    const matching = present.filter(slice => isEqual(slice.ports ?? [], wirePorts(group.ports)));
    for (const slice of matching) left.delete(slice);
    fill(service, group, matching, own);
  }
  own.remove.push(...left);
  // Without any endpoint one empty slice remains, so that watchers can tell "none" from "not yet".
  if (own.create.length === 0 && own.remove.length === present.length) {
    own.create.push(newSlice(service, addressType, undefined, []));
  }
  reuse(own);
  plan.create.push(...own.create);
  plan.update.push(...own.update);
  plan.remove.push(...own.remove, ...foreign);
}

/** Slices that would go become those that would be made: one write instead of two, and no moment without either. */
function reuse({ create, update, remove }: MutablePlan): void {
  while (create.length > 0 && remove.length > 0) {
    const [made, gone] = [create.pop(), remove.pop()];
    if (!made || !gone) return;
    const next = {
      ...gone,
      metadata: { ...gone.metadata, labels: made.metadata?.labels ?? {} },
      endpoints: made.endpoints,
      ...(made.ports !== undefined && { ports: made.ports }),
    };
    if (!isSameSlice(next, gone)) update.push(next);
  }
}

const isOf =
  ({ metadata }: Service) =>
  (slice: EndpointSlice): boolean =>
    (slice.metadata?.ownerReferences ?? []).some(
      ({ uid, kind, apiVersion }) => uid === metadata?.uid && kind === 'Service' && apiVersion === 'v1',
    );

/**
 * Puts a group's endpoints into its slices. Endpoints stay where they are; new ones go where something is written anyway, the
 * fullest first. What is left then goes into the one slice that it would fill best, or into new ones: to spread it over many
 * would be many writes (k/k endpointslice: reconcileByPortMapping).
 */
function fill(service: Service, group: Group, slices: readonly EndpointSlice[], plan: MutablePlan): void {
  const waiting = new Map(group.endpoints);
  const labels = labelsFor(service);
  const kept = slices.map(slice => {
    const endpoints = (slice.endpoints ?? []).flatMap(({ targetRef }) => {
      const endpoint = waiting.get(targetRef?.uid ?? '');
      if (!endpoint) return [];
      waiting.delete(targetRef?.uid ?? '');
      return [endpoint];
    });
    const isWritten = !isEqual(endpoints, slice.endpoints ?? []) || !isEqual(labels, slice.metadata?.labels);
    return { slice, endpoints, isWritten };
  });
  const rest = [...waiting.values()];
  const put = ({ endpoints }: Filling) =>
    endpoints.push(...rest.splice(0, Math.max(0, ENDPOINTS_PER_SLICE_MAX - endpoints.length)));
  const byLength = kept.toSorted((a, b) => b.endpoints.length - a.endpoints.length);
  for (const each of byLength) if (each.isWritten && each.endpoints.length > 0) put(each);
  while (rest.length > 0) {
    const isLast = rest.length < ENDPOINTS_PER_SLICE_MAX;
    const room = (each: Filling) => ENDPOINTS_PER_SLICE_MAX - each.endpoints.length;
    const best = isLast ? byLength.find(each => !each.isWritten && room(each) >= rest.length) : undefined;
    if (best) put(best);
    else plan.create.push(newSlice(service, group.addressType, group.ports, rest.splice(0, ENDPOINTS_PER_SLICE_MAX)));
  }
  for (const { slice, endpoints } of pack(kept)) {
    if (endpoints.length === 0) plan.remove.push(slice);
    else changeSlice(service, slice, group.ports, endpoints, plan);
  }
}

interface Filling {
  readonly slice: EndpointSlice;
  readonly endpoints: Endpoint[];
}

/** Two slices that are less than half full become one, if there are such: many deletions must not leave many slices. */
function pack(fillings: readonly Filling[]): readonly Filling[] {
  const sparse = fillings
    .filter(({ endpoints }) => endpoints.length > 0 && endpoints.length * 2 < ENDPOINTS_PER_SLICE_MAX)
    .toSorted((a, b) => b.endpoints.length - a.endpoints.length);
  while (sparse.length > 1) {
    const least = sparse.pop();
    const target = sparse.find(
      ({ endpoints }) => endpoints.length + (least?.endpoints.length ?? 0) <= ENDPOINTS_PER_SLICE_MAX,
    );
    if (!least || !target) break;
    target.endpoints.push(...least.endpoints.splice(0));
    if (target.endpoints.length * 2 >= ENDPOINTS_PER_SLICE_MAX) sparse.splice(sparse.indexOf(target), 1);
  }
  return fillings;
}

function groupEndpoints({ service, pods, nodeOf, hints }: SliceState, addressType: string): Group[] {
  const groups = new Map<string, Group>();
  for (const pod of servingPods(service, pods, true)) {
    const address = addressOfFamily(pod, addressType);
    if (!address) continue;
    // What is left of a node that is gone serves nobody, but to those who want whatever there is.
    const { nodeName } = pod.spec ?? {};
    if (nodeName && !nodeOf(nodeName) && !service.spec?.publishNotReadyAddresses) continue;
    // In an order of their own: to reorder the Service's ports must not rewrite its slices.
    const ports = portsOf(service, pod).toSorted(byNumber);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { addressType, ports, endpoints: new Map() };
    groups.set(key, group);
    group.endpoints.set(pod.metadata?.uid ?? '', endpointOf(service, pod, address, nodeOf));
  }
  const all = [...groups.values()];
  const assigned = hints?.(
    all.flatMap(({ endpoints }) => [...endpoints.values()]),
    addressType,
  );
  for (const { endpoints } of assigned?.size ? all : []) {
    for (const [uid, endpoint] of endpoints) {
      const zone = assigned?.get(uid);
      if (zone !== undefined) endpoints.set(uid, { ...endpoint, hints: { forZones: [{ name: zone }] } });
    }
  }
  return all;
}

const byNumber = (a: PortNumber, b: PortNumber) => a.port - b.port || (a.name < b.name ? -1 : 1);

function endpointOf(service: Service, pod: Pod, address: string, nodeOf: SliceState['nodeOf']): Endpoint {
  const isServing = isPodReady(pod);
  const isLeaving = pod.metadata?.deletionTimestamp !== undefined;
  const hostname = hostnameIn(service, pod);
  const nodeName = pod.spec?.nodeName;
  const zone = nodeName && nodeOf(nodeName)?.metadata?.labels?.[ZONE];
  return {
    addresses: [address],
    conditions: {
      ready: (service.spec?.publishNotReadyAddresses ?? false) || (isServing && !isLeaving),
      serving: isServing,
      terminating: isLeaving,
    },
    ...(hostname && { hostname }),
    targetRef: referenceToPod(pod),
    ...(nodeName && { nodeName }),
    ...(zone && { zone }),
  };
}

function newSlice(
  service: Service,
  addressType: string,
  ports: readonly PortNumber[] | undefined,
  endpoints: readonly Endpoint[],
): EndpointSlice {
  const { name = '', namespace = '' } = service.metadata ?? {};
  return {
    metadata: {
      generateName: `${name}-`,
      namespace,
      labels: labelsFor(service),
      ownerReferences: [controllerReference(servicesKind, service)],
    },
    addressType,
    ...content(ports, endpoints),
  };
}

function changeSlice(
  service: Service,
  slice: EndpointSlice,
  ports: readonly PortNumber[] | undefined,
  endpoints: readonly Endpoint[],
  plan: MutablePlan,
): void {
  const next = { ...slice, metadata: { ...slice.metadata, labels: labelsFor(service) }, ...content(ports, endpoints) };
  if (!isSameSlice(next, slice)) plan.update.push(next);
}

const isSameSlice = (a: EndpointSlice, b: EndpointSlice): boolean =>
  isEqual(a.endpoints ?? [], b.endpoints ?? []) &&
  isEqual(a.ports ?? [], b.ports ?? []) &&
  isEqual(a.metadata?.labels, b.metadata?.labels);

/** Kubernetes writes null, not [], into a slice without endpoints, and clients print it. */
function content(
  ports: readonly PortNumber[] | undefined,
  endpoints: readonly Endpoint[],
): Pick<EndpointSlice, 'endpoints' | 'ports'> {
  const none = null as unknown as [];
  return {
    endpoints: endpoints.length > 0 ? [...endpoints] : none,
    ports: ports ? wirePorts(ports) : none,
  };
}

const wirePorts = (ports: readonly PortNumber[]): DiscoveryV1EndpointPort[] => ports.map(port => ({ ...port }));

/** The Service's own, but for those by which slices are known. */
function labelsFor(service: Service): Record<string, string> {
  const { [HEADLESS]: _, ...labels } = service.metadata?.labels ?? {};
  return {
    ...labels,
    [MANAGED_BY]: OUR_NAME,
    [SERVICE_NAME]: service.metadata?.name ?? '',
    ...(isHeadless(service) && { [HEADLESS]: '' }),
  };
}
