/** What a container of the engine uses: processor, memory, disk. */
import { totalmem } from 'node:os';
import type Dockerode from 'dockerode';
import { logBytes } from '../folder-bytes.ts';
import type { ContainerStorage, ContainerUsage, MemoryDetails } from '../runtime.ts';
import { isNotFound } from './engine.ts';

/** The library's types know neither the option nor what it brings. */
const sized: Dockerode.ContainerInspectOptions & { readonly size: boolean } = { size: true };
type SizedInfo = Dockerode.ContainerInspectInfo & { readonly SizeRw?: number };

/** Undefined if it ended meanwhile. */
export async function usageOf(docker: Dockerode, id: string): Promise<ContainerUsage | undefined> {
  try {
    const stats = await docker.getContainer(id).stats({ stream: false, 'one-shot': true });
    const { usage, stats: details } = stats.memory_stats;
    if (usage === undefined) return undefined;
    // The working set: what could be dropped at once does not count (the same as the kubelet's).
    const inactiveFile = details?.total_inactive_file ?? details?.inactive_file ?? 0;
    const memoryBytes = Math.max(0, usage - inactiveFile);
    return {
      id,
      cpuNanoseconds: stats.cpu_stats.cpu_usage.total_usage,
      memoryBytes,
      memory: memoryDetails(stats.memory_stats),
      ...(stats.pids_stats?.current !== undefined && { processes: stats.pids_stats.current }),
    };
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** As far as the engine says it: the names are those of the machine's version of control groups. */
function memoryDetails({ usage, limit, stats }: Dockerode.MemoryStats): MemoryDetails {
  const figures: Readonly<Record<string, number | undefined>> = { ...stats };
  const read = (v2: string, v1: string) => figures[v1] ?? figures[v2];
  const [rssBytes, pageFaults, majorPageFaults] = [
    read('anon', 'total_rss'),
    read('pgfault', 'total_pgfault'),
    read('pgmajfault', 'total_pgmajfault'),
  ];
  return {
    usageBytes: usage,
    ...(rssBytes !== undefined && { rssBytes }),
    ...(pageFaults !== undefined && { pageFaults }),
    ...(majorPageFaults !== undefined && { majorPageFaults }),
    // Without a limit the engine says how much the machine has.
    ...(limit !== undefined && limit < totalmem() && { limitBytes: limit }),
  };
}

/**
 * The engine counts the writable layer; the log is a file on its machine, which counts only where that is this one. Undefined
 * if there is no such container.
 */
export async function storageOf(docker: Dockerode, id: string): Promise<ContainerStorage | undefined> {
  try {
    const { SizeRw = 0, LogPath }: SizedInfo = await docker.getContainer(id).inspect(sized);
    return { id, writableBytes: SizeRw, logBytes: LogPath ? await logBytes(LogPath) : 0 };
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
