/**
 * Limits and usage through cgroups, version 1 and 2, each container in a group of its own. Where groups cannot be
 * written (a container without the right to) there are no limits and no figures, and all else works.
 */
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ContainerSpec, ContainerUsage } from '../runtime.ts';

export interface Hierarchy {
  readonly version: 1 | 2;
  /** For version 1 by controller, for version 2 one under `unified`. */
  readonly roots: ReadonlyMap<string, string>;
}

const parentName = 'raftsman';
const controllersOfV1 = ['cpu', 'cpuacct', 'memory', 'pids'];
/** Processor, memory, its details, its limit, processes, swap. */
const usageFilesOfV1 = [
  ['cpuacct', 'cpuacct.usage'],
  ['memory', 'memory.usage_in_bytes'],
  ['memory', 'memory.stat'],
  ['memory', 'memory.limit_in_bytes'],
  ['pids', 'pids.current'],
] as const;
const usageFilesOfV2 = [
  ['unified', 'cpu.stat'],
  ['unified', 'memory.current'],
  ['unified', 'memory.stat'],
  ['unified', 'memory.max'],
  ['unified', 'pids.current'],
  ['unified', 'memory.swap.current'],
] as const;
/** A limit of more is none. */
const memoryBytesMax = 2 ** 62;
const cpuPeriodMicroseconds = 100_000;
const cpuQuotaMicrosecondsMin = 1_000;

/** Reads `/proc/mounts`. Version 2 counts only if it has the controllers, not beside those of version 1. Pure. */
function hierarchyIn(mounts: string): Hierarchy | undefined {
  const entries = mounts.split('\n').map(line => line.split(' '));
  const v1 = new Map<string, string>();
  let v2: string | undefined;
  for (const [, directory, type, options] of entries) {
    if (directory === undefined) continue;
    if (type === 'cgroup2') v2 ??= directory;
    if (type !== 'cgroup') continue;
    for (const option of options?.split(',') ?? []) if (controllersOfV1.includes(option)) v1.set(option, directory);
  }
  if (v1.has('memory') || v1.has('cpu')) return { version: 1, roots: v1 };
  return v2 === undefined ? undefined : { version: 2, roots: new Map([['unified', v2]]) };
}

/** Files and what goes into them, in order. Pure. */
function limitWrites(version: 1 | 2, resources: ContainerSpec['resources']): [string, string, string][] {
  const { cpuShares, cpuLimitMilli, memoryLimitBytes } = resources;
  const quota =
    cpuLimitMilli === undefined
      ? undefined
      : Math.max(cpuQuotaMicrosecondsMin, Math.ceil((cpuLimitMilli * cpuPeriodMicroseconds) / 1000));
  const writes: [string, string, string][] = [];
  if (version === 1) {
    if (cpuShares !== undefined) writes.push(['cpu', 'cpu.shares', String(cpuShares)]);
    if (quota !== undefined) {
      writes.push(['cpu', 'cpu.cfs_period_us', String(cpuPeriodMicroseconds)]);
      writes.push(['cpu', 'cpu.cfs_quota_us', String(quota)]);
    }
    if (memoryLimitBytes !== undefined) {
      writes.push(['memory', 'memory.limit_in_bytes', String(memoryLimitBytes)]);
      writes.push(['memory', 'memory.memsw.limit_in_bytes', String(memoryLimitBytes)]);
    }
    return writes;
  }
  if (cpuShares !== undefined) writes.push(['unified', 'cpu.weight', String(weightOf(cpuShares))]);
  if (quota !== undefined) writes.push(['unified', 'cpu.max', `${quota} ${cpuPeriodMicroseconds}`]);
  if (memoryLimitBytes !== undefined) {
    writes.push(['unified', 'memory.max', String(memoryLimitBytes)]);
    writes.push(['unified', 'memory.swap.max', '0']);
    // All processes of the container go together, as on every node with this version.
    writes.push(['unified', 'memory.oom.group', '1']);
  }
  return writes;
}

/** Shares of version 1 (2 to 262144) to weights of version 2 (1 to 10000), linearly (runc, KEP-2254). */
function weightOf(shares: number): number {
  return Math.max(1, Math.min(10_000, Math.round(1 + ((shares - 2) * 9_999) / 262_142)));
}

export class Cgroups {
  readonly #hierarchy: Hierarchy | undefined;

  private constructor(hierarchy: Hierarchy | undefined) {
    this.#hierarchy = hierarchy;
  }

  static async detect(): Promise<Cgroups> {
    return new Cgroups(hierarchyIn(await readFile('/proc/mounts', 'utf8').catch(() => '')));
  }

  /** Makes the container's groups and sets its limits; gives the files to write a process into. */
  async create(id: string, resources: ContainerSpec['resources']): Promise<string[]> {
    const hierarchy = this.#hierarchy;
    if (hierarchy === undefined) return [];
    const made = new Map<string, string>();
    for (const [controller, root] of hierarchy.roots) {
      const parent = path.join(root, parentName);
      const directory = path.join(parent, id);
      try {
        await mkdir(parent, { recursive: true });
        if (hierarchy.version === 2) {
          for (const group of [root, parent]) await enableControllers(group);
        }
        await mkdir(directory, { recursive: true });
        made.set(controller, directory);
      } catch {
        // Not writable: this container goes without.
      }
    }
    for (const [controller, file, value] of limitWrites(hierarchy.version, resources)) {
      const directory = made.get(controller);
      // A file that is absent (no swap accounting, no such controller) is a limit that this kernel cannot set.
      if (directory !== undefined) await writeFile(path.join(directory, file), value).catch(() => undefined);
    }
    return [...new Set(made.values())].map(directory => path.join(directory, 'cgroup.procs'));
  }

  /** What to mount so that a container sees its groups: one entry a hierarchy. */
  mounts(): readonly { readonly name: string; readonly type: string; readonly options: string }[] {
    const hierarchy = this.#hierarchy;
    if (hierarchy === undefined) return [];
    if (hierarchy.version === 2) return [{ name: '', type: 'cgroup2', options: '' }];
    const byRoot = new Map<string, string[]>();
    for (const [controller, root] of hierarchy.roots) byRoot.set(root, [...(byRoot.get(root) ?? []), controller]);
    return [...byRoot].map(([root, controllers]) => ({
      name: path.basename(root),
      type: 'cgroup',
      options: controllers.join(','),
    }));
  }

  /** Sets other limits; what a group does not take stays as it was. */
  async update(id: string, resources: ContainerSpec['resources']): Promise<void> {
    const hierarchy = this.#hierarchy;
    if (hierarchy === undefined) return;
    const writes = limitWrites(hierarchy.version, resources);
    // Memory and swap bound each other: which one may be written first depends on the direction.
    for (const [controller, file, value] of [...writes, ...writes]) {
      const root = hierarchy.roots.get(controller);
      if (root !== undefined) await writeFile(path.join(root, parentName, id, file), value).catch(() => undefined);
    }
  }

  /** All processes in the container's groups. */
  async processes(id: string): Promise<number[]> {
    const lists = await Promise.all(
      this.#directories(id).map(directory => readFile(path.join(directory, 'cgroup.procs'), 'utf8').catch(() => '')),
    );
    return [...new Set(lists.flatMap(list => list.split('\n').filter(Boolean).map(Number)))];
  }

  /** Undefined where there is nothing to read. */
  async usage(id: string): Promise<Omit<ContainerUsage, 'id'> | undefined> {
    const isV1 = this.#hierarchy?.version === 1;
    const [cpu, current, stat = '', limit, processes, swap] = await Promise.all(
      (isV1 ? usageFilesOfV1 : usageFilesOfV2).map(([controller, file]) => this.#read(id, controller, file)),
    );
    if (cpu === undefined || current === undefined) return undefined;
    const [usageBytes, limitBytes] = [Number(current), Number(limit ?? 'max')];
    const swapBytes = isV1 ? counter(stat, 'total_swap') : Number(swap ?? 0);
    // Hierarchical, where the two differ.
    const total = (name: string) => counter(stat, isV1 ? `total_${name}` : name);
    return {
      cpuNanoseconds: isV1 ? Number(cpu) : counter(cpu, 'usage_usec') * 1000,
      // What could be dropped at once does not count.
      memoryBytes: Math.max(0, usageBytes - total('inactive_file')),
      memory: {
        usageBytes,
        rssBytes: total(isV1 ? 'rss' : 'anon'),
        pageFaults: total('pgfault'),
        majorPageFaults: total('pgmajfault'),
        // Version 2 says `max` for none, version 1 a number that no machine has.
        ...(limitBytes < memoryBytesMax && { limitBytes }),
        swapBytes,
      },
      ...(processes !== undefined && { processes: Number(processes) }),
    };
  }

  async oomKilled(id: string): Promise<boolean> {
    const text =
      this.#hierarchy?.version === 1
        ? await this.#read(id, 'memory', 'memory.oom_control')
        : await this.#read(id, 'unified', 'memory.events');
    return counter(text ?? '', 'oom_kill') > 0;
  }

  /** Succeeds if they are gone; throws while a process is in one. */
  async remove(id: string): Promise<void> {
    for (const directory of this.#directories(id)) {
      await rmdir(directory).catch((error: unknown) => {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
      });
      // The last container takes the parent along; while there are others the kernel refuses.
      await rmdir(path.dirname(directory)).catch(() => undefined);
    }
  }

  #directories(id: string): string[] {
    return [...new Set(this.#hierarchy?.roots.values())].map(root => path.join(root, parentName, id));
  }

  async #read(id: string, controller: string, file: string): Promise<string | undefined> {
    const root = this.#hierarchy?.roots.get(controller);
    if (root === undefined) return undefined;
    return await readFile(path.join(root, parentName, id, file), 'utf8').catch(() => undefined);
  }
}

async function enableControllers(group: string): Promise<void> {
  for (const controller of ['cpu', 'memory', 'pids']) {
    // One that the kernel does not offer is done without.
    await writeFile(path.join(group, 'cgroup.subtree_control'), `+${controller}`).catch(() => undefined);
  }
}

/** The value behind a name in a file of `name value` lines; 0 without. */
function counter(text: string, name: string): number {
  const line = text.split('\n').find(one => one.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}
