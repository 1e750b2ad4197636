/** What pods and the node use, read once for one answer, whatever its format. */
import type { Pod, PodStatus } from '../api.ts';
import type { ContainerUsage, MemoryDetails } from '../runtime/runtime.ts';
import type { InterfaceCounts } from './interfaces.ts';

/** What the machine under the node uses. */
export interface NodeUsage {
  readonly cpuNanoseconds: number;
  readonly memoryBytes: number;
  readonly memoryAvailableBytes: number;
  readonly startedAt: number;
  readonly memory: MemoryDetails;
  /** Of the whole machine; undefined where it has none. */
  readonly swapFreeBytes?: number;
  /** Threads, and how many there may be; undefined where the kernel does not say. */
  readonly threads?: { readonly count: number; readonly max: number };
  readonly interfaces: readonly InterfaceCounts[];
  readonly disk?: DiskUsage | undefined;
  /** What holds images and what containers write. */
  readonly imageDisk?: (DiskUsage & { readonly imageBytes: number }) | undefined;
  /** This process. */
  readonly agent: { readonly cpuNanoseconds: number; readonly memoryBytes: number; readonly startedAt: number };
}
export interface DiskUsage {
  readonly capacityBytes: number;
  readonly availableBytes: number;
  readonly inodes: number;
  readonly inodesFree: number;
}

export interface UsedContainer {
  readonly name: string;
  readonly id: string;
  readonly image: string;
  readonly startedAt: number;
  readonly usage: ContainerUsage;
}
export interface UsedPod {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly startedAt: number;
  readonly containers: readonly UsedContainer[];
  /** Undefined for a pod of the machine's own network, and while it has none. */
  readonly interfaces: readonly InterfaceCounts[] | undefined;
}

/** A pod's volume whose driver counts what it holds. */
export interface UsedVolume {
  readonly podUid: string;
  readonly namespace: string;
  /** In the pod. */
  readonly name: string;
  /** Undefined for a volume of the pod's own. */
  readonly claim: string | undefined;
  readonly figures: VolumeFigures;
}
/** What a driver does not tell is absent. */
export interface VolumeFigures {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly capacityBytes?: number;
  readonly availableBytes?: number;
  readonly usedBytes?: number;
  readonly inodes?: number;
  readonly inodesFree?: number;
  readonly inodesUsed?: number;
}

/** Containers that run and whose figures are known, by pod; `interfaces` by the pod's uid. Pure. */
export function usedPods(
  pods: readonly { readonly pod: Pod; readonly status: PodStatus | undefined }[],
  usages: readonly ContainerUsage[],
  interfaces: ReadonlyMap<string, readonly InterfaceCounts[]> = new Map(),
): UsedPod[] {
  const byId = new Map(usages.map(usage => [usage.id, usage]));
  return pods.map(({ pod, status }) => {
    const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
    const statuses = [
      ...(status?.initContainerStatuses ?? []),
      ...(status?.containerStatuses ?? []),
      ...(status?.ephemeralContainerStatuses ?? []),
    ];
    const containers = statuses.flatMap(({ name: container, containerID, image, state }) => {
      const id = containerID?.split('://')[1] ?? '';
      const usage = byId.get(id);
      const startedAt = Date.parse(state?.running?.startedAt ?? '') || 0;
      return usage && state?.running ? [{ name: container, id, image, startedAt, usage }] : [];
    });
    const startedAt = Date.parse(status?.startTime ?? '') || 0;
    return { name, namespace, uid, startedAt, containers, interfaces: interfaces.get(uid) };
  });
}
