/** How much an emptyDir in memory may hold. Pure. */
import type { Container, Pod, Volume } from '../api.ts';
import { quantityValue } from '../pods/quantity.ts';
import { podRequests } from '../pods/requests.ts';

/**
 * The least of what the volume is given, what all containers of the pod may use together, and what the node has for pods, in
 * bytes; undefined if none of them is known (k/k: emptydir/empty_dir.go, calculateEmptyDirMemorySize).
 */
export function memoryVolumeBytes(pod: Pod, { emptyDir }: Volume, nodeMemoryBytes: number): number | undefined {
  const bounds = [nodeMemoryBytes, podMemoryLimit(pod), quantityValue(emptyDir?.sizeLimit)];
  const known = bounds.flatMap(bytes => (bytes !== undefined && bytes > 0 ? [bytes] : []));
  return known.length === 0 ? undefined : Math.ceil(Math.min(...known));
}

/** Undefined where a container has no limit. */
function podMemoryLimit({ spec }: Pod): number | undefined {
  const { containers = [], initContainers = [] } = spec ?? {};
  const limitOf = ({ resources }: Container) => resources?.limits?.memory;
  if ([...containers, ...initContainers].some(container => !quantityValue(limitOf(container)))) return undefined;
  const asRequest = (container: Container): Container => {
    const memory = limitOf(container);
    return { ...container, resources: memory === undefined ? {} : { requests: { memory } } };
  };
  const limits = { ...spec, containers: containers.map(asRequest), initContainers: initContainers.map(asRequest) };
  return podRequests({ spec: limits }).memoryBytes;
}
