/** `/stats/summary`: what pods and node use, in the shape that metrics collectors read (stats.k8s.io v1alpha1). */
import { timeText } from './clock.ts';
import type { DiskUsage, NodeUsage, UsedContainer, UsedPod, UsedVolume } from './metrics/usage.ts';

interface Sample {
  readonly at: number;
  readonly cpuNanoseconds: number;
}

/** A rate needs two looks; younger ones than this would measure noise. */
const SAMPLE_AGE_MS_MIN = 1000;
/** The node among the samples; no container has such an id. */
const NODE = '';

export interface SummaryInput {
  readonly nodeName: string;
  readonly now: number;
  readonly node: NodeUsage;
  readonly pods: readonly UsedPod[];
  readonly volumes?: readonly UsedVolume[];
}

/** Makes summaries; the one before is remembered, for rates. */
export class Summaries {
  #before = new Map<string, Sample>();

  make({ nodeName, now, node, pods, volumes = [] }: SummaryInput): object {
    const next = new Map<string, Sample>();
    const container = ({ name, startedAt, usage }: UsedContainer) => ({
      name,
      startTime: timeText(startedAt),
      ...this.#amounts(usage, now, next),
    });
    const podStats = pods.map(({ name, namespace, uid, startedAt, containers: all }) => {
      const containers = all.map(container);
      const volume = volumes.filter(({ podUid }) => podUid === uid).map(volumeStats);
      return {
        podRef: { name, namespace, uid },
        startTime: timeText(startedAt),
        ...sum(containers, now),
        ...(volume.length > 0 && { volume }),
        containers,
      };
    });
    const own = this.#amounts({ ...node, id: NODE }, now, next);
    this.#before = next;
    const fs = node.disk && fileSystem(node.disk, now);
    return {
      node: {
        nodeName,
        startTime: timeText(node.startedAt),
        ...own,
        memory: { ...own.memory, availableBytes: node.memoryAvailableBytes },
        ...(fs && { fs, runtime: { imageFs: fs } }),
      },
      pods: podStats,
    };
  }

  #amounts(
    { id, cpuNanoseconds, memoryBytes }: { id: string; cpuNanoseconds: number; memoryBytes: number },
    now: number,
    next: Map<string, Sample>,
  ): Amounts {
    const before = this.#before.get(id);
    const tooYoung = before !== undefined && now - before.at < SAMPLE_AGE_MS_MIN;
    next.set(id, tooYoung ? before : { at: now, cpuNanoseconds });
    const seconds = before ? (now - before.at) / 1000 : 0;
    const rate =
      before && seconds > 0 ? Math.max(0, Math.round((cpuNanoseconds - before.cpuNanoseconds) / seconds)) : 0;
    return amountsOf({ rate, cpuNanoseconds, memoryBytes }, now);
  }
}

interface Amounts {
  readonly cpu: { readonly time: string; readonly usageNanoCores: number; readonly usageCoreNanoSeconds: number };
  readonly memory: { readonly time: string; readonly usageBytes: number; readonly workingSetBytes: number };
}

function amountsOf(amounts: { rate: number; cpuNanoseconds: number; memoryBytes: number }, now: number): Amounts {
  const time = timeText(now);
  return {
    cpu: { time, usageNanoCores: amounts.rate, usageCoreNanoSeconds: amounts.cpuNanoseconds },
    memory: { time, usageBytes: amounts.memoryBytes, workingSetBytes: amounts.memoryBytes },
  };
}

function fileSystem({ capacityBytes, availableBytes, inodes, inodesFree }: DiskUsage, now: number): object {
  const usedBytes = capacityBytes - availableBytes;
  return { time: timeText(now), capacityBytes, availableBytes, usedBytes, inodes, inodesFree };
}

function volumeStats({ namespace, name, claim, figures: { at, ...amounts } }: UsedVolume): object {
  return { time: timeText(at), ...amounts, name, ...(claim && { pvcRef: { name: claim, namespace } }) };
}

function sum(parts: readonly Amounts[], now: number): Amounts {
  const total = { rate: 0, cpuNanoseconds: 0, memoryBytes: 0 };
  for (const { cpu, memory } of parts) {
    total.rate += cpu.usageNanoCores;
    total.cpuNanoseconds += cpu.usageCoreNanoSeconds;
    total.memoryBytes += memory.usageBytes;
  }
  return amountsOf(total, now);
}
