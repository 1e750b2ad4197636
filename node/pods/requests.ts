/** What a whole pod asks of the node: its containers and sidecars together, or the hungriest moment of its start. Pure. */
import type { Container, Pod, Quantity } from '../api.ts';
import { milliValue, quantityValue } from './quantity.ts';

export interface Amounts {
  readonly cpuMilli: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
}

export const NO_AMOUNTS: Amounts = { cpuMilli: 0, memoryBytes: 0, storageBytes: 0 };

export function podRequests(pod: Pod): Amounts {
  const running = (pod.spec?.containers ?? []).map(requestsOf).reduce(plus, NO_AMOUNTS);
  let sidecars = NO_AMOUNTS;
  let peak = NO_AMOUNTS;
  for (const container of pod.spec?.initContainers ?? []) {
    const own = requestsOf(container);
    if (isSidecar(container)) {
      sidecars = plus(sidecars, own);
      peak = larger(peak, sidecars);
    } else peak = larger(peak, plus(sidecars, own));
  }
  return plus(larger(plus(running, sidecars), peak), amountsOf(pod.spec?.overhead));
}

export function plus(a: Amounts, b: Amounts): Amounts {
  return {
    cpuMilli: a.cpuMilli + b.cpuMilli,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    storageBytes: a.storageBytes + b.storageBytes,
  };
}

function larger(a: Amounts, b: Amounts): Amounts {
  return {
    cpuMilli: Math.max(a.cpuMilli, b.cpuMilli),
    memoryBytes: Math.max(a.memoryBytes, b.memoryBytes),
    storageBytes: Math.max(a.storageBytes, b.storageBytes),
  };
}

/** True for an init container that keeps running beside the others: a sidecar. */
export function isSidecar(container: { restartPolicy?: string }): boolean {
  return container.restartPolicy === 'Always';
}

function requestsOf({ resources }: Container): Amounts {
  return amountsOf({ ...resources?.limits, ...resources?.requests });
}

function amountsOf(values: Record<string, Quantity> | undefined): Amounts {
  return {
    cpuMilli: milliValue(values?.cpu) ?? 0,
    memoryBytes: quantityValue(values?.memory) ?? 0,
    storageBytes: quantityValue(values?.['ephemeral-storage']) ?? 0,
  };
}
