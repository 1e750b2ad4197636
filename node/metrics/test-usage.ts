/** For tests: a node and a pod that use something. */
import type { PageInput } from './pages.ts';
import type { NodeUsage, UsedContainer } from './usage.ts';

export const counts = (name: string, first: number) => ({
  ...{ name, receivedBytes: first, receivedPackets: first + 1, receiveErrors: first + 2, receiveDrops: first + 3 },
  ...{ sentBytes: first + 4, sentPackets: first + 5, sendErrors: first + 6, sendDrops: first + 7 },
});

const container = (name: string, change: Partial<UsedContainer['usage']> = {}): UsedContainer => ({
  ...{ name, id: `id-${name}`, image: 'app:1', startedAt: 2_000 },
  usage: {
    ...{ id: `id-${name}`, cpuNanoseconds: 3e9, memoryBytes: 100, processes: 2 },
    memory: { usageBytes: 150, rssBytes: 80, pageFaults: 7, majorPageFaults: 1, limitBytes: 400, swapBytes: 5 },
    ...change,
  },
});

const node: NodeUsage = {
  ...{ cpuNanoseconds: 9e9, memoryBytes: 1_000, memoryAvailableBytes: 3_000, startedAt: 1_000 },
  memory: { usageBytes: 2_000, rssBytes: 700, pageFaults: 70, majorPageFaults: 3, swapBytes: 50 },
  ...{ swapFreeBytes: 60, threads: { count: 90, max: 4_096 }, interfaces: [counts('ens3', 10)] },
  disk: { capacityBytes: 100, availableBytes: 40, inodes: 20, inodesFree: 15 },
  imageDisk: { capacityBytes: 200, availableBytes: 90, inodes: 30, inodesFree: 25, imageBytes: 12 },
  agent: { cpuNanoseconds: 1e9, memoryBytes: 77, startedAt: 1_500 },
};

/** Two containers, of which one has no limit, and a runtime that tells all of both. */
export const sampleUsage: PageInput = {
  now: 10_000,
  node,
  pods: [
    {
      ...{ name: 'web', namespace: 'ns', uid: 'u1', startedAt: 1_800, interfaces: [counts('eth0', 20)] },
      containers: [
        container('app'),
        container('side', { memory: { usageBytes: 1, rssBytes: 2, pageFaults: 3, majorPageFaults: 4, swapBytes: 0 } }),
      ],
    },
  ],
};
/** A runtime that tells processor time and working set alone, on a machine that says little. */
export const bareUsage: PageInput = {
  now: 10_000,
  node: {
    ...{ cpuNanoseconds: 9e9, memoryBytes: 1_000, memoryAvailableBytes: 3_000, startedAt: 1_000 },
    ...{ memory: {}, interfaces: [], agent: node.agent },
  },
  pods: [
    {
      ...{ name: 'web', namespace: 'ns', uid: 'u1', startedAt: 1_800, interfaces: undefined },
      containers: [
        {
          ...{ name: 'app', id: 'c', image: 'i', startedAt: 2_000 },
          usage: { id: 'c', cpuNanoseconds: 1, memoryBytes: 2 },
        },
      ],
    },
  ],
};
