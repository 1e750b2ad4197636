/** What the runtime says of a container's memory. Pure. */
import type { MemoryDetails } from '../runtime.ts';

type Value = { readonly value: number } | undefined;
interface Memory {
  readonly workingSetBytes?: Value;
  readonly availableBytes?: Value;
  readonly usageBytes?: Value;
  readonly rssBytes?: Value;
  readonly pageFaults?: Value;
  readonly majorPageFaults?: Value;
}

/** Limits of at least this are none: the kernel rounds them, and some runtimes tell its largest number. */
const LIMIT_BYTES_MAX = 2 ** 62;

/** What is available is what a limit leaves beyond the working set; without a limit it is 0, or beyond all measure. */
export function memoryDetails(
  memory: Memory | undefined,
  swap: { readonly swapUsageBytes?: Value } | undefined,
): MemoryDetails {
  const { workingSetBytes, availableBytes, usageBytes, rssBytes, pageFaults, majorPageFaults } = memory ?? {};
  const limitBytes = (availableBytes?.value ?? 0) + (workingSetBytes?.value ?? 0);
  const isLimited = availableBytes !== undefined && availableBytes.value > 0 && limitBytes < LIMIT_BYTES_MAX;
  return {
    ...(usageBytes && { usageBytes: usageBytes.value }),
    ...(rssBytes && { rssBytes: rssBytes.value }),
    ...(pageFaults && { pageFaults: pageFaults.value }),
    ...(majorPageFaults && { majorPageFaults: majorPageFaults.value }),
    ...(isLimited && { limitBytes }),
    ...(swap?.swapUsageBytes && { swapBytes: swap.swapUsageBytes.value }),
  };
}
