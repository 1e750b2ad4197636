/** Reads what the whole machine and this process use. */
import { readFile, statfs } from 'node:fs/promises';
import process from 'node:process';
import type { DiskUsage, NodeUsage } from './usage.ts';

/** The kernel counts in hundredths of a second on every machine that Node runs on. */
const NANOSECONDS_PER_TICK = 1e7;

/** `now` is asked for only to tell when the machine was started. */
export async function machineUsage(folder: string, now: number): Promise<NodeUsage> {
  const [stat, memory, uptime] = await Promise.all(['stat', 'meminfo', 'uptime'].map(readProc));
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    /^cpu\s+(.*)$/m
      .exec(stat ?? '')?.[1]
      ?.split(/\s+/)
      .map(Number) ?? [];
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(memory ?? '')?.[1] ?? 0);
  const memoryAvailableBytes = kilobytes('MemAvailable') * 1024;
  return {
    cpuNanoseconds: (user + nice + system + irq + softirq + steal) * NANOSECONDS_PER_TICK,
    memoryBytes: kilobytes('MemTotal') * 1024 - memoryAvailableBytes,
    memoryAvailableBytes,
    startedAt: now - Number.parseFloat(uptime ?? '0') * 1000,
    disk: await diskUsage(folder),
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
