/** Measures what the node has left. */
import type { StatsFs } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
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
