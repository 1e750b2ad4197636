/** What a pod takes of a quota: itself, and what its containers ask for and are limited to. */
import type { Container, Pod } from '../generated/types.ts';
import type { Evaluator } from './evaluators.ts';
import { podResources } from './pod-resources.ts';
import { ONE, type ResourceAmounts, readAmounts } from './resource-lists.ts';
import { podMeetsScope } from './scopes.ts';

const COUNT = 'count/pods';
const COMPUTE = ['cpu', 'memory', 'ephemeral-storage'];
const POD_RESOURCES = new Set([
  COUNT,
  'pods',
  ...COMPUTE.flatMap(name => [name, `requests.${name}`, `limits.${name}`]),
]);
const HUGE_PAGES = 'hugepages-';
const REQUESTS = 'requests.';
/** Where a quota has one of these, every container must say how much it takes. Of no others, for this was a mistake. */
const DEMANDED = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'];

export const PODS: Evaluator<Pod> = {
  counts: name =>
    POD_RESOURCES.has(name) ||
    name.startsWith(HUGE_PAGES) ||
    name.startsWith(REQUESTS + HUGE_PAGES) ||
    (name.startsWith(REQUESTS) && !isNative(name)),
  usage(pod, nowMs) {
    if (isOver(pod, nowMs)) return new Map([[COUNT, ONE]]);
    const compute = computeUsage(podResources(pod, 'requests'), podResources(pod, 'limits'));
    return new Map([[COUNT, ONE], ...compute]);
  },
  meetsScope: podMeetsScope,
  refusal: refusePod,
  chargesUpdatesOf: ['resize'],
  frees: (pod, old) =>
    (isFinished(pod) && !isFinished(old)) || JSON.stringify(resourcesIn(pod)) !== JSON.stringify(resourcesIn(old)),
};

const resourcesIn = ({ spec, status }: Pod) => [
  (spec?.containers ?? []).map(each => each.resources),
  (status?.containerStatuses ?? []).map(each => [each.resources, each.allocatedResources]),
];

const isFinished = ({ status }: Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';

/**
 * When a pod that is being deleted stops to count, in milliseconds since the epoch: its node may have been lost. Its time to
 * leave counts once more after its end (k/k pkg/quota/v1/evaluator/core: QuotaV1Pod).
 */
export function podEndMs({ metadata }: Pod): number | undefined {
  const { deletionTimestamp, deletionGracePeriodSeconds } = metadata ?? {};
  if (!deletionTimestamp || deletionGracePeriodSeconds === undefined) return undefined;
  return Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1_000;
}

/** True for a pod that runs no more: it has ended, or should have. */
function isOver(pod: Pod, nowMs: number): boolean {
  const endMs = podEndMs(pod);
  return isFinished(pod) || (endMs !== undefined && nowMs > endMs);
}

/** A name without a domain, or one of Kubernetes' own domains. */
const isNative = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/');
const isExtended = (name: string): boolean => !isNative(name) && !name.startsWith(REQUESTS);

function computeUsage(requests: ResourceAmounts, limits: ResourceAmounts): ResourceAmounts {
  const usage = new Map([['pods', ONE]]);
  for (const name of COMPUTE) {
    const request = requests.get(name);
    if (request) usage.set(name, request).set(REQUESTS + name, request);
    const limit = limits.get(name);
    if (limit) usage.set(`limits.${name}`, limit);
  }
  for (const [name, request] of requests) {
    if (name.startsWith(HUGE_PAGES)) usage.set(name, request).set(REQUESTS + name, request);
    if (isExtended(name)) usage.set(REQUESTS + name, request);
  }
  return usage;
}

/** What containers do not say though the quota counts it: `must specify cpu for: a,b; memory for: a`. */
function refusePod(resources: ReadonlySet<string>, { spec }: Pod): string | undefined {
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  const missing = DEMANDED.filter(name => resources.has(name))
    .sort()
    .flatMap(name => {
      const silent = containers.filter(each => !saidBy(each).has(name)).map(each => each.name);
      return silent.length > 0 ? [`${name} for: ${[...new Set(silent)].sort().join(',')}`] : [];
    });
  return missing.length > 0 ? `must specify ${missing.join('; ')}` : undefined;
}

const saidBy = ({ resources }: Container): ResourceAmounts =>
  computeUsage(readAmounts(resources?.requests), readAmounts(resources?.limits));
