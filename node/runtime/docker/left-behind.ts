/**
 * Ends what a container's first process left behind, where the engine was to do so and did not. A container that shares the
 * processes of its pod or of the machine can leave some; containerd ends them with the first process, but misses one that ended
 * before its start was answered (1.7; containerd's pull request 10608 is about the same place). Engines from 23 on then wait until nobody holds the container's output any more, and
 * answer no question about the container meanwhile. Only for an engine on this machine; elsewhere nothing is found.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { processRecord } from '../native/proc.ts';
import { signalProcess } from '../processes.ts';

export interface Processes {
  /** A folder as `/proc` is. */
  readonly folder: string;
  /** Whether a process runs and has not only not been collected yet. */
  isAlive(pid: number): Promise<boolean>;
  kill(pid: number): void;
}

export const ownProcesses: Processes = {
  folder: '/proc',
  isAlive: async pid => (await processRecord(pid)) !== undefined,
  kill: pid => void signalProcess(pid, 'SIGKILL'),
};

/** Gives how many were killed: none while the first process runs, or where it cannot be told. */
export async function endLeftBehind(containerId: string, processes: Processes = ownProcesses): Promise<number> {
  const { folder } = processes;
  const pids = (await readdir(folder)).filter(name => /^\d+$/.test(name));
  const first = await firstProcessOf(containerId, folder, pids);
  if (first === undefined) return 0;
  const isMember = async (pid: string) => (await text(folder, pid, 'cgroup')).includes(containerId);
  if ((await isMember(String(first))) && (await processes.isAlive(first))) return 0;
  let killed = 0;
  for (const pid of pids) {
    if (!(await isMember(pid))) continue;
    processes.kill(Number(pid));
    killed += 1;
  }
  return killed;
}

/** As the container's supervisor noted it in its own directory. */
async function firstProcessOf(id: string, folder: string, pids: readonly string[]): Promise<number | undefined> {
  for (const pid of pids) {
    const words = (await text(folder, pid, 'cmdline')).split('\0');
    if (!words[0]?.includes('containerd-shim') || words[words.indexOf('-id') + 1] !== id) continue;
    const first = Number((await text(folder, pid, 'cwd/init.pid')).trim());
    if (Number.isSafeInteger(first) && first > 1) return first;
  }
  return undefined;
}

/** '' of a process that is gone. */
const text = (folder: string, pid: string, name: string) => readFile(join(folder, pid, name), 'utf8').catch(() => '');
