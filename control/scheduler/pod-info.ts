/** A pod with what the scheduler needs of it, computed once. Pure. */
import type {
  Container,
  ContainerPort,
  ContainerStatus,
  OwnerReference,
  PersistentVolumeClaim,
  Pod,
  PodSpec,
} from '../api/generated/types.ts';
import { parseQuantity } from '../client/quantities.ts';
import { DEFAULT_CPU_MILLICORES, DEFAULT_MEMORY_BYTES } from './limits.ts';
import { type AffinityTerms, affinityTermsOf } from './pod-terms.ts';

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

/** Amounts of resources: cpu in thousandths, all else in bytes or pieces. */
export interface Resources {
  cpu: number;
  memory: number;
  ephemeralStorage: number;
  /** Extended resources, huge pages and whatever else has a name. */
  scalars: Map<string, number>;
}

export interface PodInfo {
  readonly pod: Pod;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly requests: Readonly<Resources>;
  /** With defaults for containers that ask for nothing: for comparing nodes. */
  readonly weighed: { readonly cpu: number; readonly memory: number };
  readonly hostPorts: readonly HostPort[];
  /** Undefined for a pod that does not care who is near it. */
  readonly terms: AffinityTerms | undefined;
  /** Names of the claims that its volumes use. */
  readonly claims: readonly string[];
  readonly isTerminating: boolean;
}

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});
const NO_PORTS: readonly HostPort[] = Object.freeze([]);
/** Shared: the requests of a pod are only read. */
const NO_SCALARS = new Map<string, number>();
const NO_NAMES: readonly string[] = Object.freeze([]);

export function describePod(pod: Pod): PodInfo {
  const { metadata, spec } = pod;
  return {
    pod,
    uid: metadata?.uid ?? '',
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    labels: metadata?.labels ?? NO_LABELS,
    priority: spec?.priority ?? 0,
    ...resourcesOf(pod),
    hostPorts: hostPortsOf(spec),
    terms: affinityTermsOf(pod),
    claims: claimsOf(pod),
    isTerminating: metadata?.deletionTimestamp !== undefined,
  };
}

export function emptyResources(): Resources {
  return { cpu: 0, memory: 0, ephemeralStorage: 0, scalars: new Map() };
}

/** Reads `status.allocatable` of a node or the requests of a container. */
export function addQuantities(
  total: Resources,
  quantities: Readonly<Record<string, string | number>> | undefined,
): void {
  for (const name in quantities) {
    const value = parseQuantity(quantities[name]);
    if (name === 'cpu') total.cpu += Math.ceil(value * 1000 - 1e-6);
    else if (name === 'memory') total.memory += Math.ceil(value);
    else if (name === 'ephemeral-storage') total.ephemeralStorage += Math.ceil(value);
    else total.scalars.set(name, (total.scalars.get(name) ?? 0) + Math.ceil(value));
  }
}

export function sameResources(a: Readonly<Resources>, b: Readonly<Resources>): boolean {
  if (a.cpu !== b.cpu || a.memory !== b.memory || a.ephemeralStorage !== b.ephemeralStorage) return false;
  return a.scalars.size === b.scalars.size && [...a.scalars].every(([name, amount]) => b.scalars.get(name) === amount);
}

/** True if nothing at all is asked for. */
export function isEmpty({ cpu, memory, ephemeralStorage, scalars }: Readonly<Resources>): boolean {
  return cpu === 0 && memory === 0 && ephemeralStorage === 0 && scalars.size === 0;
}

interface Sums {
  readonly requests: Resources;
  weighedCpu: number;
  weighedMemory: number;
}

/**
 * What a pod takes of its node (k/k PodRequests, KEP-753): its containers and sidecars together, or its hungriest moment of
 * initialisation if that is more, and the overhead of its sandbox. A pod that is being resized counts for the larger of what
 * it wants and what it has.
 */
function resourcesOf(pod: Pod): Pick<PodInfo, 'requests' | 'weighed'> {
  const { spec, status } = pod;
  const running = noSums();
  const isInfeasible = Boolean(
    status?.conditions?.some(({ type, reason }) => type === 'PodResizePending' && reason === 'Infeasible'),
  );
  const heldBy = (container: Container, statuses: readonly ContainerStatus[] | undefined): Held | undefined => {
    const found = statuses?.find(({ name }) => name === container.name);
    if (!found?.resources) return undefined;
    return { amounts: [found.resources.requests, found.allocatedResources], isInfeasible };
  };
  for (const container of spec?.containers ?? []) {
    addContainer(running, container, heldBy(container, status?.containerStatuses));
  }
  if (spec?.initContainers?.length) {
    addInitialisation(running, spec.initContainers, each => heldBy(each, status?.initContainerStatuses));
  }
  if (spec?.overhead) {
    const overhead = emptyResources();
    addQuantities(overhead, spec.overhead);
    addSums(running, { requests: overhead, weighedCpu: overhead.cpu, weighedMemory: overhead.memory });
  }
  const { requests, weighedCpu, weighedMemory } = running;
  // Most pods have none; a map for each of a hundred thousand pods would be felt.
  if (requests.scalars.size === 0) requests.scalars = NO_SCALARS;
  return { requests, weighed: { cpu: weighedCpu, memory: weighedMemory } };
}

const noSums = (): Sums => ({ requests: emptyResources(), weighedCpu: 0, weighedMemory: 0 });

function addInitialisation(
  running: Sums,
  initContainers: readonly Container[],
  heldBy: (sidecar: Container) => Held | undefined,
): void {
  const peak = noSums();
  const sidecars = noSums();
  for (const container of initContainers) {
    const moment = noSums();
    const isSidecar = container.restartPolicy === 'Always';
    addContainer(moment, container, isSidecar ? heldBy(container) : undefined);
    // A sidecar stays: it counts beside everything that comes after it.
    if (isSidecar) {
      addSums(sidecars, moment);
      raiseSums(peak, sidecars);
    } else {
      addSums(moment, sidecars);
      raiseSums(peak, moment);
    }
  }
  addSums(running, sidecars);
  raiseSums(running, peak);
}

type Quantities = Readonly<Record<string, string | number>> | undefined;

/** What a container has at present, by its status. */
interface Held {
  readonly amounts: readonly Quantities[];
  /** The node can never give it what it wants, so that does not count. */
  readonly isInfeasible: boolean;
}

function addContainer(sums: Sums, { resources }: Container, held: Held | undefined): void {
  const wanted = emptyResources();
  if (!held?.isInfeasible) addQuantities(wanted, { ...resources?.limits, ...resources?.requests });
  for (const quantities of held?.amounts ?? []) {
    if (!quantities) continue;
    const other = emptyResources();
    addQuantities(other, quantities);
    raiseResources(wanted, other);
  }
  const asks = (name: string) => resources?.requests?.[name] !== undefined || resources?.limits?.[name] !== undefined;
  addSums(sums, {
    requests: wanted,
    weighedCpu: asks('cpu') ? wanted.cpu : DEFAULT_CPU_MILLICORES,
    weighedMemory: asks('memory') ? wanted.memory : DEFAULT_MEMORY_BYTES,
  });
}

function addSums(total: Sums, more: Readonly<Sums>): void {
  addResources(total.requests, more.requests, 1);
  total.weighedCpu += more.weighedCpu;
  total.weighedMemory += more.weighedMemory;
}

function raiseSums(total: Sums, floor: Readonly<Sums>): void {
  raiseResources(total.requests, floor.requests);
  total.weighedCpu = Math.max(total.weighedCpu, floor.weighedCpu);
  total.weighedMemory = Math.max(total.weighedMemory, floor.weighedMemory);
}

export function addResources(total: Resources, more: Readonly<Resources>, sign: 1 | -1): void {
  total.cpu += sign * more.cpu;
  total.memory += sign * more.memory;
  total.ephemeralStorage += sign * more.ephemeralStorage;
  for (const [name, amount] of more.scalars) total.scalars.set(name, (total.scalars.get(name) ?? 0) + sign * amount);
}

function raiseResources(total: Resources, floor: Readonly<Resources>): void {
  total.cpu = Math.max(total.cpu, floor.cpu);
  total.memory = Math.max(total.memory, floor.memory);
  total.ephemeralStorage = Math.max(total.ephemeralStorage, floor.ephemeralStorage);
  for (const [name, amount] of floor.scalars) total.scalars.set(name, Math.max(total.scalars.get(name) ?? 0, amount));
}

/** Of containers and sidecars: whatever runs beside others. */
function hostPortsOf(spec: PodSpec | undefined): readonly HostPort[] {
  const running = [
    ...(spec?.containers ?? []),
    ...(spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always'),
  ];
  if (!running.some(({ ports }) => ports?.some(({ hostPort }) => hostPort))) return NO_PORTS;
  return running.flatMap(({ ports = [] }) => ports.flatMap(hostPortOf));
}

function hostPortOf({ hostIP, hostPort: port, protocol }: ContainerPort): HostPort[] {
  return port ? [{ ip: hostIP || '0.0.0.0', protocol: protocol || 'TCP', port }] : [];
}

/** A generic ephemeral volume has a claim named after the pod and the volume. */
function claimsOf({ metadata, spec }: Pod): readonly string[] {
  if (!spec?.volumes?.length) return NO_NAMES;
  return spec.volumes.flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    if (persistentVolumeClaim) return [persistentVolumeClaim.claimName];
    return ephemeral ? [`${metadata?.name ?? ''}-${name}`] : [];
  });
}

/** True if one of the pod's volumes uses the claim. */
export function isOwnClaim({ namespace, claims }: PodInfo, { metadata }: PersistentVolumeClaim): boolean {
  return metadata?.namespace === namespace && claims.includes(metadata.name ?? '');
}

export function controllerOf(pod: Pod): OwnerReference | undefined {
  return pod.metadata?.ownerReferences?.find(({ controller }) => controller);
}
