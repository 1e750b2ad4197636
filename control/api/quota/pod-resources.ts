/**
 * What a whole pod asks for, and what it is limited to: its containers and sidecars together, or its hungriest moment of
 * initialisation if that is more (k8s.io/component-helpers/resource, PodRequests and PodLimits). Exact.
 */
import type { Container, ContainerStatus, Pod, PodSpec } from '../generated/types.ts';
import { addAmounts, maxAmounts, NOTHING, type ResourceAmounts, readAmounts } from './resource-lists.ts';

export type ResourceSide = 'requests' | 'limits';

/** From the spec alone, without the overhead of the sandbox. */
export function specResources(spec: PodSpec | undefined, side: ResourceSide): ResourceAmounts {
  return sumOf(spec, container => readAmounts(container.resources?.[side]));
}

/**
 * What counts for a quota: while a resize is under way the larger of what is wanted and what is in effect, and the overhead
 * on top (of limits only where there are any).
 */
export function podResources({ spec, status }: Pod, side: ResourceSide): ResourceAmounts {
  const statuses = new Map(
    [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])].map(each => [each.name, each]),
  );
  const isInfeasible = (status?.conditions ?? []).some(
    ({ type, reason }) => type === 'PodResizePending' && reason === 'Infeasible',
  );
  const total = sumOf(spec, container => {
    const wanted = readAmounts(container.resources?.[side]);
    const present = statuses.get(container.name);
    return present ? withStatus(wanted, present, { side, isInfeasible }) : wanted;
  });
  const overhead = readAmounts(spec?.overhead);
  if (side === 'requests') return addAmounts(total, overhead);
  return addAmounts(total, new Map([...overhead].filter(([name]) => total.has(name))));
}

function withStatus(
  wanted: ResourceAmounts,
  { resources, allocatedResources }: ContainerStatus,
  { side, isInfeasible }: { readonly side: ResourceSide; readonly isInfeasible: boolean },
): ResourceAmounts {
  if (!resources) return wanted;
  const actual = readAmounts(resources[side]);
  const allocated = side === 'requests' ? readAmounts(allocatedResources) : NOTHING;
  return isInfeasible ? maxAmounts(actual, allocated) : maxAmounts(wanted, maxAmounts(actual, allocated));
}

function sumOf(spec: PodSpec | undefined, read: (container: Container) => ResourceAmounts): ResourceAmounts {
  let running: ResourceAmounts = NOTHING;
  for (const container of spec?.containers ?? []) running = addAmounts(running, read(container));
  let sidecars: ResourceAmounts = NOTHING;
  let peak: ResourceAmounts = NOTHING;
  for (const container of spec?.initContainers ?? []) {
    const own = read(container);
    if (container.restartPolicy === 'Always') {
      sidecars = addAmounts(sidecars, own);
      peak = maxAmounts(peak, sidecars);
    } else peak = maxAmounts(peak, addAmounts(sidecars, own));
  }
  return maxAmounts(addAmounts(running, sidecars), peak);
}
