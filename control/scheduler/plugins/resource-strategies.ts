/** How well a node's resources would be used with a pod on it (k/k noderesources). All scores are 0 to 100. */
import { SCORE_MAX } from '../limits.ts';
import type { NodeInfo } from '../node-info.ts';
import type { NodeScorer, SchedulerPlugin } from '../plugin.ts';
import type { PodInfo } from '../pod-info.ts';

export interface ResourceWeight {
  readonly name: string;
  readonly weight: number;
}
/** `utilization` in percent, `score` from 0 to 10. */
export interface ShapePoint {
  readonly utilization: number;
  readonly score: number;
}
export type FitStrategy =
  | { readonly type: 'LeastAllocated'; readonly resources: readonly ResourceWeight[] }
  | { readonly type: 'MostAllocated'; readonly resources: readonly ResourceWeight[] }
  | {
      readonly type: 'RequestedToCapacityRatio';
      readonly resources: readonly ResourceWeight[];
      readonly shape: readonly ShapePoint[];
    };

const CPU_AND_MEMORY: readonly ResourceWeight[] = [
  { name: 'cpu', weight: 1 },
  { name: 'memory', weight: 1 },
];
export const LEAST_ALLOCATED: FitStrategy = { type: 'LeastAllocated', resources: CPU_AND_MEMORY };
const CUSTOM_SCORE_MAX = 10;

/** How a share of a resource, with its capacity, becomes a score. */
type Rate = (requested: number, capacity: number) => number;

export function strategyScorer(strategy: FitStrategy, pod: PodInfo): NodeScorer {
  const rate = rateOf(strategy);
  const ratio = strategy.type === 'RequestedToCapacityRatio';
  const readers = strategy.resources.flatMap(({ name, weight }) => {
    const reader = readerOf(name, pod, true);
    return reader ? [{ reader, weight }] : [];
  });
  return {
    score(node) {
      let sum = 0;
      let weights = 0;
      for (const { reader, weight } of readers) {
        const capacity = capacityOf(reader, node);
        if (capacity === 0) continue;
        const score = rate(usedOn(reader, node), capacity);
        // The ratio strategy leaves out what is worth nothing.
        if (ratio && score <= 0) continue;
        sum += score * weight;
        weights += weight;
      }
      if (weights === 0) return 0;
      return ratio ? Math.round(sum / weights) : Math.floor(sum / weights);
    },
  };
}

function rateOf(strategy: FitStrategy): Rate {
  if (strategy.type === 'LeastAllocated') {
    return (requested, capacity) =>
      requested > capacity ? 0 : Math.floor(((capacity - requested) * SCORE_MAX) / capacity);
  }
  if (strategy.type === 'MostAllocated') {
    return (requested, capacity) => Math.floor((Math.min(requested, capacity) * SCORE_MAX) / capacity);
  }
  const { shape } = strategy;
  return (requested, capacity) =>
    interpolate(shape, requested > capacity ? 100 : Math.floor((requested * 100) / capacity));
}

/** Straight lines between the points, level before the first and after the last. */
function interpolate(shape: readonly ShapePoint[], utilization: number): number {
  const scaled = (score: number) => score * (SCORE_MAX / CUSTOM_SCORE_MAX);
  for (const [index, point] of shape.entries()) {
    if (utilization > point.utilization) continue;
    const before = shape[index - 1];
    if (!before) return scaled(point.score);
    const rise = (scaled(point.score) - scaled(before.score)) * (utilization - before.utilization);
    // Whole numbers as long as may be: what is left over is cut off towards the point before, as in Kubernetes.
    return scaled(before.score) + Math.trunc(rise / (point.utilization - before.utilization));
  }
  return scaled(shape.at(-1)?.score ?? 0);
}

type Kind = 'cpu' | 'memory' | 'storage' | 'scalar';

/** How a resource is read from a node, the pod counted in. */
interface Reader {
  readonly kind: Kind;
  readonly name: string;
  /** What the pod adds. */
  readonly own: number;
  /** With defaults for what does not ask. */
  readonly isWeighed: boolean;
}

/** Undefined for an extended resource that the pod does not ask for. */
function readerOf(name: string, { requests, weighed }: PodInfo, isWeighed: boolean): Reader | undefined {
  if (name === 'cpu' || name === 'memory') {
    return { kind: name, name, own: isWeighed ? weighed[name] : requests[name], isWeighed };
  }
  if (name === 'ephemeral-storage') return { kind: 'storage', name, own: requests.ephemeralStorage, isWeighed };
  const own = requests.scalars.get(name) ?? 0;
  return own > 0 ? { kind: 'scalar', name, own, isWeighed } : undefined;
}

/** One shape for all resources and no closures: this is asked for each node and each pod. */
function capacityOf({ kind, name }: Reader, { allocatable }: NodeInfo): number {
  if (kind === 'cpu') return allocatable.cpu;
  if (kind === 'memory') return allocatable.memory;
  return kind === 'storage' ? allocatable.ephemeralStorage : (allocatable.scalars.get(name) ?? 0);
}

function usedOn({ kind, name, own, isWeighed }: Reader, { requested, weighed }: NodeInfo): number {
  if (kind === 'cpu') return own + (isWeighed ? weighed.cpu : requested.cpu);
  if (kind === 'memory') return own + (isWeighed ? weighed.memory : requested.memory);
  return own + (kind === 'storage' ? requested.ephemeralStorage : (requested.scalars.get(name) ?? 0));
}

/** The less the used shares of the resources differ, the better: none runs out with another left over. */
export function nodeResourcesBalanced(resources: readonly ResourceWeight[] = CPU_AND_MEMORY): SchedulerPlugin {
  return {
    name: 'NodeResourcesBalancedAllocation',
    score(pod) {
      const readers = resources.flatMap(({ name }) => readerOf(name, pod, false) ?? []);
      // Pods that ask for nothing would all heap up where the shares happen to be even (kubernetes#129138).
      if (!resources.some(({ name }) => asksFor(pod, name))) return undefined;
      return { score: node => Math.floor((1 - deviation(readers, node)) * SCORE_MAX) };
    },
  };
}

function asksFor({ requests }: PodInfo, name: string): boolean {
  if (name === 'cpu' || name === 'memory') return requests[name] > 0;
  return name === 'ephemeral-storage' ? requests.ephemeralStorage > 0 : (requests.scalars.get(name) ?? 0) > 0;
}

/** The standard deviation of the used shares; computed step by step as Kubernetes does, since the last digit counts. */
function deviation(readers: readonly Reader[], node: NodeInfo): number {
  let count = 0;
  let first = 0;
  let last = 0;
  let sum = 0;
  for (const reader of readers) {
    const share = shareOf(reader, node);
    if (share === undefined) continue;
    if (count === 0) first = share;
    last = share;
    count++;
    sum += share;
  }
  if (count < 2) return 0;
  if (count === 2) return Math.abs((first - last) / 2);
  const mean = sum / count;
  let squares = 0;
  for (const reader of readers) {
    const share = shareOf(reader, node);
    if (share !== undefined) squares += (share - mean) * (share - mean);
  }
  return Math.sqrt(squares / count);
}

/** From 0 to 1; undefined if the node has none of the resource. */
function shareOf(reader: Reader, node: NodeInfo): number | undefined {
  const capacity = capacityOf(reader, node);
  return capacity === 0 ? undefined : Math.min(1, usedOn(reader, node) / capacity);
}
