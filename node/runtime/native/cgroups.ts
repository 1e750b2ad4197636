/**
 * Limits and usage through cgroups, version 1 and 2, each container in a group of its own. Where groups cannot be
 * written (a container without the right to) there are no limits and no figures, and all else works.
 */
import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ContainerSpec, ContainerUsage } from '../runtime.ts';

export interface Hierarchy {
  readonly version: 1 | 2;
  /** For version 1 by controller, for version 2 one under `unified`. */
  readonly roots: ReadonlyMap<string, string>;
}

const parentName = 'raftsman';
/** Where processes go that are in the way, see {@link makeRoom}. */
const othersName = 'raftsman-others';
/** They may fork while they are moved. */
const movePassesMax = 8;
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
export function hierarchyIn(mounts: string): Hierarchy | undefined {
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
export function limitWrites(version: 1 | 2, resources: ContainerSpec['resources']): [string, string, string][] {
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

/** Shares of version 1 (2 to 262144) to weights of version 2 (1 to 10000), linearly and rounded down (runc, KEP-2254). */
function weightOf(shares: number): number {
  return Math.max(1, Math.min(10_000, Math.floor(1 + ((shares - 2) * 9_999) / 262_142)));
}

/**
 * The group of version 2, by its path below the hierarchy, that takes a further process of a container: its own, or where
 * that hands controllers on to groups that the container made (it then may hold no process itself) that of the first process.
 * Pure.
 */
export function groupToJoin(id: string, own: { readonly handsOn: string; readonly firstProcess: string }): string {
  const group = `/${parentName}/${id}`;
  const first = /^0::(.*)$/m.exec(own.firstProcess)?.[1] ?? '';
  return own.handsOn.trim() !== '' && first.startsWith(`${group}/`) ? first : group;
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
          if (await handOnControllers(root)) {
            await makeRoom(root);
            await handOnControllers(root);
          }
          await handOnControllers(parent);
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

  /** The files to write a further process of a running container into. */
  async filesToJoin(id: string, firstPid: number): Promise<string[]> {
    const unified = this.#hierarchy?.roots.get('unified');
    const [handsOn = '', firstProcess] = await Promise.all([
      this.#read(id, 'unified', 'cgroup.subtree_control'),
      readFile(`/proc/${firstPid}/cgroup`, 'utf8').catch(() => ''),
    ]);
    const groups =
      unified === undefined ? this.#directories(id) : [path.join(unified, groupToJoin(id, { handsOn, firstProcess }))];
    const files = groups.map(group => path.join(group, 'cgroup.procs'));
    // Where groups cannot be written there is none.
    const isThere = await Promise.all(
      files.map(file =>
        access(file).then(
          () => true,
          () => false,
        ),
      ),
    );
    return files.filter((_, index) => isThere[index]);
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

  /** All processes in the container's groups, and in those that it made in them. */
  async processes(id: string): Promise<number[]> {
    const groups = (await Promise.all(this.#directories(id).map(withInner))).flat();
    return [...new Set((await Promise.all(groups.map(processesOf))).flat())];
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
      for (const group of await withInner(directory)) {
        await rmdir(group).catch((error: unknown) => {
          if (codeOf(error) !== 'ENOENT') throw error;
        });
      }
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

/**
 * Whether there are processes in the way: a group of version 2 either has processes or hands controllers on, but for the topmost.
 * Memory is the first: the others may be handed on beside processes, for threads, and the kernel would then refuse memory and
 * any group below.
 */
async function handOnControllers(group: string): Promise<boolean> {
  const file = path.join(group, 'cgroup.subtree_control');
  const present = (await readFile(file, 'utf8').catch(() => '')).split(/\s+/);
  for (const controller of ['memory', 'cpu', 'pids'].filter(one => !present.includes(one))) {
    const refusal = await writeFile(file, `+${controller}`).then(() => undefined, codeOf);
    // One that the kernel does not offer is done without.
    if (refusal === 'EBUSY' || refusal === 'ENOTSUP') return true;
  }
  return false;
}

/**
 * Puts a group's processes into one below it. What looks like the topmost group is that of a container where the agent runs in
 * one, with all that runs there, the agent included.
 */
async function makeRoom(group: string): Promise<void> {
  const others = path.join(group, othersName);
  await mkdir(others, { recursive: true });
  for (const controller of ['cpu', 'pids']) {
    await writeFile(path.join(group, 'cgroup.subtree_control'), `-${controller}`).catch(() => undefined);
  }
  for (let pass = 0; pass < movePassesMax; pass += 1) {
    // Those of outside show as 0, which would be this process.
    const pids = (await processesOf(group)).filter(pid => pid > 0);
    if (pids.length === 0) return;
    // One that has ended meanwhile needs no place.
    for (const pid of pids) await writeFile(path.join(others, 'cgroup.procs'), String(pid)).catch(() => undefined);
  }
}

async function processesOf(group: string): Promise<number[]> {
  const list = await readFile(path.join(group, 'cgroup.procs'), 'utf8').catch(() => '');
  return list.split('\n').filter(Boolean).map(Number);
}

/** A group and all groups in it, inner ones first: so they can be removed. */
async function withInner(group: string): Promise<string[]> {
  const entries = await readdir(group, { withFileTypes: true }).catch(() => []);
  const inner = entries.filter(entry => entry.isDirectory()).map(entry => withInner(path.join(group, entry.name)));
  return [...(await Promise.all(inner)).flat(), group];
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** The value behind a name in a file of `name value` lines; 0 without. */
function counter(text: string, name: string): number {
  const line = text.split('\n').find(one => one.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}
