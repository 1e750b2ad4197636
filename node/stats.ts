/**
 * `/stats/summary`: what pods and node use, in the shape that metrics collectors read (stats.k8s.io v1alpha1). What is not
 * known is left out, as a kubelet does.
 */
import { timeText } from './clock.ts';
import type { InterfaceCounts } from './metrics/interfaces.ts';
import type { DiskUsage, NodeUsage, UsedContainer, UsedPod, UsedVolume } from './metrics/usage.ts';
import type { MemoryDetails } from './runtime/runtime.ts';

interface Sample {
  readonly at: number;
  readonly cpuNanoseconds: number;
}

/** A rate needs two looks; younger ones than this would measure noise. */
const SAMPLE_AGE_MS_MIN = 1000;
/** The node and its agent among the samples; no container has such an id. */
const NODE = '';
const AGENT = 'kubelet';
/** The interface that collectors look at first. */
const FIRST_INTERFACE = 'eth0';

export interface SummaryInput {
  readonly nodeName: string;
  readonly now: number;
  readonly node: NodeUsage;
  readonly pods: readonly UsedPod[];
  readonly volumes?: readonly UsedVolume[];
}

interface Amounts {
  readonly rate: number;
  readonly cpuNanoseconds: number;
  readonly memoryBytes: number;
  readonly memory: MemoryDetails;
}

/** Makes summaries; the one before is remembered, for rates. */
export class Summaries {
  #before = new Map<string, Sample>();

  make({ nodeName, now, node, pods, volumes = [] }: SummaryInput): object {
    const next = new Map<string, Sample>();
    const rated = <T extends { id: string; cpuNanoseconds: number }>(used: T) => ({
      ...used,
      rate: this.#rate(used, now, next),
    });
    const all: Amounts[] = [];
    const podStats = pods.map(pod => {
      const containers = pod.containers.map(one => ({ ...one, amounts: amountsOf(rated(one.usage)) }));
      all.push(...containers.map(({ amounts }) => amounts));
      const volume = volumes.filter(({ podUid }) => podUid === pod.uid).map(volumeStats);
      const { name, namespace, uid, startedAt, interfaces } = pod;
      return {
        podRef: { name, namespace, uid },
        startTime: timeText(startedAt),
        containers: containers.map(one => ({ ...started(one), ...stats(one.amounts, now) })),
        ...stats(sum(containers.map(({ amounts }) => amounts)), now),
        ...(interfaces && { network: networkStats(interfaces, now) }),
        ...(volume.length > 0 && { volume }),
        ...processStats(pod.containers),
      };
    });
    const own = rated({ ...node, id: NODE });
    const agent = rated({ ...node.agent, id: AGENT });
    this.#before = next;
    return {
      node: {
        nodeName,
        systemContainers: [
          { name: 'kubelet', startTime: timeText(node.agent.startedAt), ...stats(amountsOf(agent), now) },
          { name: 'pods', startTime: timeText(node.startedAt), ...stats(sum(all), now) },
        ],
        startTime: timeText(node.startedAt),
        ...nodeStats(node, own.rate, now),
      },
      pods: podStats,
    };
  }

  #rate({ id, cpuNanoseconds }: { id: string; cpuNanoseconds: number }, now: number, next: Map<string, Sample>) {
    const before = this.#before.get(id);
    const tooYoung = before !== undefined && now - before.at < SAMPLE_AGE_MS_MIN;
    next.set(id, tooYoung ? before : { at: now, cpuNanoseconds });
    const seconds = before ? (now - before.at) / 1000 : 0;
    return before && seconds > 0 ? Math.max(0, Math.round((cpuNanoseconds - before.cpuNanoseconds) / seconds)) : 0;
  }
}

const started = ({ name, startedAt }: UsedContainer) => ({ name, startTime: timeText(startedAt) });

function amountsOf({
  rate,
  cpuNanoseconds,
  memoryBytes,
  memory = {},
}: Omit<Amounts, 'memory'> & Partial<Amounts>): Amounts {
  return { rate, cpuNanoseconds, memoryBytes, memory: { usageBytes: memoryBytes, ...memory } };
}

function stats({ rate, cpuNanoseconds, memoryBytes, memory }: Amounts, now: number) {
  const time = timeText(now);
  const { limitBytes, swapBytes, ...details } = memory;
  const availableBytes = limitBytes === undefined ? undefined : Math.max(0, limitBytes - memoryBytes);
  return {
    cpu: { time, usageNanoCores: rate, usageCoreNanoSeconds: cpuNanoseconds },
    memory: { time, ...(availableBytes !== undefined && { availableBytes }), workingSetBytes: memoryBytes, ...details },
    ...(swapBytes !== undefined && { swap: { time, swapUsageBytes: swapBytes } }),
  };
}

function nodeStats(node: NodeUsage, rate: number, now: number): object {
  const { cpu, memory, swap } = stats(amountsOf({ ...node, rate }), now);
  const { disk, imageDisk, interfaces, threads, swapFreeBytes, memoryAvailableBytes } = node;
  const time = timeText(now);
  const fs = disk && fileSystem(disk, now);
  const imageFs = imageDisk ? { ...fileSystem(imageDisk, now), usedBytes: imageDisk.imageBytes } : fs;
  return {
    cpu,
    memory: { ...memory, availableBytes: memoryAvailableBytes },
    ...(interfaces.length > 0 && { network: networkStats(interfaces, now) }),
    ...(fs && { fs }),
    // What containers write lies where their images do.
    ...(imageFs && { runtime: { imageFs, containerFs: imageFs } }),
    ...(threads && { rlimit: { time, maxpid: threads.max, curproc: threads.count } }),
    ...(swap && swapFreeBytes !== undefined && { swap: { ...swap, swapAvailableBytes: swapFreeBytes } }),
  };
}

function fileSystem({ capacityBytes, availableBytes, inodes, inodesFree }: DiskUsage, now: number): object {
  const usedBytes = capacityBytes - availableBytes;
  const inodesUsed = inodes - inodesFree;
  return { time: timeText(now), availableBytes, capacityBytes, usedBytes, inodesFree, inodes, inodesUsed };
}

function networkStats(interfaces: readonly InterfaceCounts[], now: number): object {
  const all = interfaces.map(({ name, receivedBytes, receiveErrors, sentBytes, sendErrors }) => ({
    ...{ name, rxBytes: receivedBytes, rxErrors: receiveErrors, txBytes: sentBytes, txErrors: sendErrors },
  }));
  const first = all.find(({ name }) => name === FIRST_INTERFACE);
  return { time: timeText(now), ...(first ?? { name: '' }), interfaces: all };
}

function volumeStats({ namespace, name, claim, figures: { at, ...amounts } }: UsedVolume): object {
  return { time: timeText(at), ...amounts, name, ...(claim && { pvcRef: { name: claim, namespace } }) };
}

function processStats(containers: readonly UsedContainer[]): object {
  const counts = containers.flatMap(({ usage: { processes } }) => processes ?? []);
  if (counts.length === 0) return {};
  return { process_stats: { process_count: counts.reduce((total, count) => total + count, 0) } };
}

/** What only some tell is told of the rest; a limit holds together only if each has one. */
function sum(parts: readonly Amounts[]): Amounts {
  const total = (read: (part: Amounts) => number | undefined) =>
    parts.reduce((all, part) => all + (read(part) ?? 0), 0);
  const names = ['usageBytes', 'rssBytes', 'pageFaults', 'majorPageFaults', 'swapBytes'] as const;
  const known = names.filter(name => name === 'usageBytes' || parts.some(({ memory }) => memory[name] !== undefined));
  const isLimited = parts.length > 0 && parts.every(({ memory }) => memory.limitBytes !== undefined);
  return {
    rate: total(part => part.rate),
    cpuNanoseconds: total(part => part.cpuNanoseconds),
    memoryBytes: total(part => part.memoryBytes),
    memory: {
      ...Object.fromEntries(known.map(name => [name, total(({ memory }) => memory[name])])),
      ...(isLimited && { limitBytes: total(({ memory }) => memory.limitBytes) }),
    },
  };
}
