/**
 * In-place resize (KEP-1287 as of 1.33): what a pod was given stays apart from what its spec now wants. A change is taken
 * if the node has room for it, waits if other pods have the room, and is refused if no node of this size ever could. Pure.
 */
import type { Container, Pod, ResourceRequirements } from '../api.ts';
import type { Allocatable } from './admission.ts';
import { milliValue, quantityValue } from './quantity.ts';
import { isSidecar, NO_AMOUNTS, plus, podRequests } from './requests.ts';

/** By container name: what the pod was given. */
export type Allocation = ReadonlyMap<string, ResourceRequirements>;

export interface ResizeJudgement {
  /** What is given from now on, if that changes. */
  readonly allocation?: Allocation;
  /** Why what is wanted is not given. */
  readonly pending?: { readonly reason: 'Deferred' | 'Infeasible'; readonly message: string };
}

/** Everything as the spec has it: what a pod gets that is taken by the node. */
export function allocationOf(pod: Pod): Map<string, ResourceRequirements> {
  return new Map(resizable(pod).map(({ name, resources }) => [name, resources ?? {}]));
}

/** What the pod was given by an earlier agent, as its status tells; the spec's where that is silent. */
export function adoptedAllocation(pod: Pod): Map<string, ResourceRequirements> {
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  return new Map(
    resizable(pod).map(({ name, resources = {} }) => {
      const known = statuses.find(status => status.name === name);
      return [name, known?.resources && known.allocatedResources ? known.resources : resources];
    }),
  );
}

/** The pod with what it was given in place of what it asks for. */
export function withAllocation(pod: Pod, allocation: Allocation): Pod {
  if (!pod.spec) return pod;
  const given = (container: Container): Container => {
    const resources = allocation.get(container.name);
    return resources ? { ...container, resources: { ...container.resources, ...resources } } : container;
  };
  const { containers, initContainers } = pod.spec;
  return {
    ...pod,
    spec: {
      ...pod.spec,
      containers: containers.map(given),
      ...(initContainers && { initContainers: initContainers.map(given) }),
    },
  };
}

export interface ResizeInput {
  readonly pod: Pod;
  readonly allocation: Allocation;
  readonly allocatable: Allocatable;
  /** Other pods of this node, with what they were given; asked only when there is something to judge. */
  readonly others: () => readonly Pod[];
}

/** What becomes of a spec that may want other amounts than were given. */
export function judgeResize({ pod, allocation, allocatable, others }: ResizeInput): ResizeJudgement {
  const changes = resizable(pod).some(({ name, resources }) => !sameResources(resources, allocation.get(name)));
  if (!changes) return {};
  const wanted = podRequests(pod);
  const before = podRequests(withAllocation(pod, allocation));
  const used = others().map(podRequests).reduce(plus, NO_AMOUNTS);
  const names = { cpu: 'cpuMilli', memory: 'memoryBytes' } as const;
  for (const [name, key] of Object.entries(names)) {
    if (wanted[key] <= allocatable[key]) continue;
    const message = `Node didn't have enough capacity: ${name}, requested: ${wanted[key]}, capacity: ${allocatable[key]}`;
    return { pending: { reason: 'Infeasible', message } };
  }
  for (const [name, key] of Object.entries(names)) {
    if (wanted[key] <= before[key] || wanted[key] + used[key] <= allocatable[key]) continue;
    const message = `Node didn't have enough resource: ${name}, requested: ${wanted[key]}, used: ${used[key]}, capacity: ${allocatable[key]}`;
    return { pending: { reason: 'Deferred', message } };
  }
  return { allocation: allocationOf(pod) };
}

/** True if a container with `actual` has to be started anew to have `wanted`. */
export function needsRestart(
  container: Container,
  actual: ResourceRequirements,
  wanted: ResourceRequirements,
): boolean {
  return (container.resizePolicy ?? []).some(
    ({ resourceName, restartPolicy }) =>
      restartPolicy === 'RestartContainer' && !sameAmount(resourceName, actual, wanted),
  );
}

/** Equal in CPU and memory; nothing else can be resized. */
export function sameResources(a: ResourceRequirements | undefined, b: ResourceRequirements | undefined): boolean {
  return sameAmount('cpu', a, b) && sameAmount('memory', a, b);
}

function sameAmount(name: string, a: ResourceRequirements | undefined, b: ResourceRequirements | undefined): boolean {
  const read = name === 'cpu' ? milliValue : quantityValue;
  return (['requests', 'limits'] as const).every(side => read(a?.[side]?.[name]) === read(b?.[side]?.[name]));
}

function resizable(pod: Pod): readonly Container[] {
  return [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? []).filter(isSidecar)];
}
