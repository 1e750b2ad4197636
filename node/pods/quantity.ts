/** Quantities (`100m`, `64Mi`, `1e3`) as numbers, and what requests and limits mean for a container. Pure. */
import type { Container, Pod, Quantity } from '../api.ts';

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The number that a quantity stands for; undefined if it is none. */
export function quantityValue(quantity: Quantity | undefined): number | undefined {
  if (typeof quantity === 'number') return quantity;
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?$/.exec(quantity ?? '');
  if (!match) return undefined;
  const value = Number(match[1]) * (FACTORS[match[2] ?? ''] ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/** Thousandths, rounded up: how CPU is counted. */
export function milliValue(quantity: Quantity | undefined): number | undefined {
  const value = quantityValue(quantity);
  // Sums such as 0.1 + 0.2 must not be rounded up by what floating point adds.
  return value === undefined ? undefined : Math.ceil(Number((value * 1000).toFixed(6)));
}

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

/** The quality of service class, by Kubernetes' rules on CPU and memory of all containers. */
export function qosClassOf(pod: Pod): QosClass {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const used = (values: Record<string, Quantity> | undefined, name: string) => quantityValue(values?.[name]) ?? 0;
  const amounts = containers.flatMap(({ resources }) =>
    ['cpu', 'memory'].map(name => ({
      request: used(resources?.requests, name) || used(resources?.limits, name),
      limit: used(resources?.limits, name),
    })),
  );
  if (amounts.every(({ request, limit }) => request === 0 && limit === 0)) return 'BestEffort';
  return amounts.every(({ request, limit }) => limit > 0 && request === limit) ? 'Guaranteed' : 'Burstable';
}

/** CPU shares as cgroups v1 have them: 1024 a core, at least 2. */
export function cpuShares(milli: number): number {
  return milli <= 0 ? 2 : Math.min(Math.max(Math.floor((milli * 1024) / 1000), 2), 262_144);
}

/**
 * How ready the kernel is to kill a container when memory runs out (kubelet's `GetContainerOOMScoreAdjust`): guaranteed
 * pods last, pods without requests first, the others by how little of the node's memory they asked for.
 */
export function oomScoreAdjustment(pod: Pod, container: Container, nodeMemoryBytes: number): number {
  const qos = qosClassOf(pod);
  // What the node itself cannot do without; what the cluster cannot is no exception (k/k: qos/policy.go).
  if ((pod.spec?.priority ?? 0) >= 2_000_000_000 && pod.spec?.priorityClassName === 'system-node-critical') return -997;
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const requestOf = ({ resources }: Container) => quantityValue(resources?.requests?.memory) ?? 0;
  const isSidecar = container.restartPolicy === 'Always';
  // A sidecar goes no sooner than any of those that it serves.
  const others = isSidecar ? (pod.spec?.containers ?? []).map(requestOf) : [];
  const request = Math.max(requestOf(container), others.length > 0 ? Math.min(...others) : 0);
  const adjustment = 1000 - Math.floor((1000 * request) / Math.max(nodeMemoryBytes, 1));
  return Math.min(Math.max(adjustment, 3), 999);
}
