/** Measures what the node has left, and what folders hold. */
import type { StatsFs } from 'node:fs';
import { lstat, opendir, readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { MEASURED_ENTRIES_MAX } from '../limits.ts';
import type { Observations, Supply } from './signals.ts';

/** Memory and process ids of the machine, and the file systems that hold the node's folder and the runtime's images. */
export async function observe(folder: string, imageFolder?: string): Promise<Observations> {
  const [memory, disk, imageDisk, processes] = await Promise.all([
    memorySupply(),
    statfs(folder).catch(() => undefined),
    imageFolder === undefined ? undefined : statfs(imageFolder).catch(() => undefined),
    pidSupply(),
  ]);
  return {
    ...(memory && { 'memory.available': memory }),
    ...(disk && { 'nodefs.available': bytesOf(disk) }),
    ...(disk && hasInodes(disk) && { 'nodefs.inodesFree': inodesOf(disk) }),
    ...(imageDisk && { 'imagefs.available': bytesOf(imageDisk) }),
    ...(imageDisk && hasInodes(imageDisk) && { 'imagefs.inodesFree': inodesOf(imageDisk) }),
    ...(processes && { 'pid.available': processes }),
  };
}

/** The file system that holds the folder; undefined if there is no such folder. */
export async function diskSupply(folder: string): Promise<Supply | undefined> {
  const disk = await statfs(folder).catch(() => undefined);
  return disk && bytesOf(disk);
}

const bytesOf = ({ blocks, bavail, bsize }: StatsFs): Supply => ({
  capacity: blocks * bsize,
  available: bavail * bsize,
});

/** File systems without inodes say that they have none. */
const hasInodes = ({ files }: StatsFs): boolean => files > 0;
const inodesOf = ({ files, ffree }: StatsFs): Supply => ({ capacity: files, available: ffree });

async function memorySupply(): Promise<Supply | undefined> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
  const [capacity, available] = [read('MemTotal'), read('MemAvailable')];
  return Number.isNaN(capacity) || Number.isNaN(available) ? undefined : { capacity, available };
}

async function pidSupply(): Promise<Supply | undefined> {
  const [max, load] = await Promise.all([
    readFile('/proc/sys/kernel/pid_max', 'utf8').catch(() => ''),
    readFile('/proc/loadavg', 'utf8').catch(() => ''),
  ]);
  const capacity = Number.parseInt(max, 10);
  const used = Number(/\d+\/(\d+)/.exec(load)?.[1]);
  return Number.isNaN(capacity) || Number.isNaN(used) ? undefined : { capacity, available: capacity - used };
}

/**
 * Bytes that the files below a folder take on the disk; links are not followed. A tree of more than the bound is counted as
 * far as the bound goes.
 */
export async function folderBytes(folder: string): Promise<number> {
  let total = 0;
  let left = MEASURED_ENTRIES_MAX;
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined && left > 0; next = waiting.pop()) {
    const entries = await opendir(next).catch(() => undefined);
    if (!entries) continue;
    try {
      for await (const entry of entries) {
        if (--left <= 0) break;
        const path = join(next, entry.name);
        if (entry.isDirectory()) waiting.push(path);
        else total += ((await lstat(path).catch(() => undefined))?.blocks ?? 0) * 512;
      }
    } catch {
      // The container removed it while it was read.
    }
  }
  return total;
}
