/** Reads what the whole machine and this process use. */
import { readFile, statfs } from 'node:fs/promises';
import process from 'node:process';
import type { Runtime } from '../runtime/runtime.ts';
import { interfacesOf } from './interfaces.ts';
import type { DiskUsage, NodeUsage } from './usage.ts';

/** The kernel counts in hundredths of a second on every machine that Node runs on. */
const NANOSECONDS_PER_TICK = 1e7;

export interface MachineQuestion {
  /** The node's own. */
  readonly folder: string;
  /** Where images are, if that is on this machine, and how much they are; undefined if the runtime did not say. */
  readonly images: { readonly folder: string | undefined; readonly imageBytes: number } | undefined;
  /** Only to tell when the machine and this process were started. */
  readonly now: number;
}

/** Never rejects: what cannot be read is 0 or absent. */
export async function machineUsage({ folder, images, now }: MachineQuestion): Promise<NodeUsage> {
  const [stat, memory, uptime, faults = '', load = '', max] = await Promise.all(
    ['stat', 'meminfo', 'uptime', 'vmstat', 'loadavg', 'sys/kernel/pid_max'].map(readProc),
  );
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    /^cpu\s+(.*)$/m
      .exec(stat ?? '')?.[1]
      ?.split(/\s+/)
      .map(Number) ?? [];
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(memory ?? '')?.[1] ?? 0);
  const count = (name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(faults)?.[1] ?? 0);
  const memoryAvailableBytes = kilobytes('MemAvailable') * 1024;
  const [swapTotalBytes, swapFreeBytes] = [kilobytes('SwapTotal') * 1024, kilobytes('SwapFree') * 1024];
  const [threads, threadsMax] = [Number(/\d+\/(\d+)/.exec(load)?.[1]), Number.parseInt(max ?? '', 10)];
  const [disk, imageDisk, interfaces, own] = [
    await diskUsage(folder),
    images?.folder === undefined ? undefined : await diskUsage(images.folder),
    await interfacesOf('self'),
    processUsage(now),
  ];
  const imagesOn = imageDisk ?? disk;
  return {
    cpuNanoseconds: (user + nice + system + irq + softirq + steal) * NANOSECONDS_PER_TICK,
    memoryBytes: kilobytes('MemTotal') * 1024 - memoryAvailableBytes,
    memoryAvailableBytes,
    startedAt: now - Number.parseFloat(uptime ?? '0') * 1000,
    memory: {
      usageBytes: (kilobytes('MemTotal') - kilobytes('MemFree')) * 1024,
      rssBytes: kilobytes('AnonPages') * 1024,
      pageFaults: count('pgfault'),
      majorPageFaults: count('pgmajfault'),
      swapBytes: swapTotalBytes - swapFreeBytes,
    },
    swapFreeBytes,
    ...(!Number.isNaN(threads) && !Number.isNaN(threadsMax) && { threads: { count: threads, max: threadsMax } }),
    interfaces: interfaces ?? [],
    disk,
    imageDisk: imagesOn && images && { ...imagesOn, imageBytes: images.imageBytes },
    agent: {
      cpuNanoseconds: Math.round(own.cpuSeconds * 1e9),
      memoryBytes: own.residentBytes,
      startedAt: own.startedAt,
    },
  };
}

async function diskUsage(folder: string): Promise<DiskUsage | undefined> {
  const found = await statfs(folder).catch(() => undefined);
  if (!found) return undefined;
  const { blocks, bavail, bsize, files, ffree } = found;
  return { capacityBytes: blocks * bsize, availableBytes: bavail * bsize, inodes: files, inodesFree: ffree };
}

/** What the agent's own process uses. */
export function processUsage(now: number) {
  const { user, system } = process.cpuUsage();
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    startedAt: now - process.uptime() * 1000,
  };
}

const readProc = (name: string) => readFile(`/proc/${name}`, 'utf8').catch(() => undefined);

/** Where a runtime keeps its images, and how much those are together. Rejects if it cannot be asked. */
export async function usedImages(
  runtime: Pick<Runtime, 'imageFolder' | 'listImages'>,
): Promise<NonNullable<MachineQuestion['images']>> {
  const [folder, images] = await Promise.all([runtime.imageFolder(), runtime.listImages()]);
  return { folder, imageBytes: images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}
