/**
 * Ends the process of an exec whose client left. CRI has no call for that, and a runtime lets it run on; so it is looked
 * for among the container's processes: one whose parent is none of them, that runs the command and began after it was
 * asked for. In the same way it is seen when a terminal has got its size, to which CRI gives no answer either.
 */
import { readFile } from 'node:fs/promises';
import { type Clock, delay } from '../clock.ts';
import { CommandMissingError, type RunCommand } from '../command.ts';
import { signalProcess } from '../processes.ts';
import { killSearchMs, resizeTimeoutMs, settlePollMs } from './limits.ts';

const ticksPerSecond = 100;

/** One process of a container. */
export interface Candidate {
  readonly pid: number;
  readonly parent: number;
  readonly startTicks: number;
  /** Arguments, each with a zero byte behind it. */
  readonly commandLine: string;
}

/** The machine's time since its start, as processes' beginnings are told. */
export async function ticksNow(): Promise<number> {
  const text = await readFile('/proc/uptime', 'utf8').catch(() => '0');
  return Math.floor(Number(text.split(' ')[0]) * ticksPerSecond);
}

/** What is known of an exec. */
export interface Exec {
  /** The container's own process. */
  readonly initPid: number;
  readonly command: readonly string[];
  /** When it was asked for. */
  readonly sinceTicks: number;
}

/** Which process an exec made; undefined if none can be. Pure. */
export function findExec(processes: readonly Candidate[], exec: Exec): number | undefined {
  const members = new Set(processes.map(one => one.pid));
  const roots = processes
    .filter(one => one.pid !== exec.initPid && !members.has(one.parent) && one.startTicks >= exec.sinceTicks)
    .sort((left, right) => left.startTicks - right.startTicks);
  const wanted = exec.command.map(word => `${word}\0`).join('');
  const exact = roots.find(one => one.commandLine === wanted);
  // A script shows its interpreter instead: then only what is alone can be told.
  return (exact ?? (roots.length === 1 ? roots[0] : undefined))?.pid;
}

/** Kills it; gives up when it has not shown itself for a while. */
export async function killExec(clock: Clock, exec: Exec): Promise<void> {
  const deadline = clock.now() + killSearchMs;
  for (;;) {
    const found = await processOf(exec);
    if (found !== undefined) {
      signalProcess(found, 'SIGKILL');
      return;
    }
    if (clock.now() >= deadline) return;
    await delay(clock, settlePollMs);
  }
}

/** As it is now; undefined if it cannot be told. */
export async function processOf(exec: Exec): Promise<number | undefined> {
  return findExec(await processesWith(exec.initPid), exec);
}

/** Waits until the terminal of a process has that size; gives up after a moment, as a size may be of no use any more. */
export async function awaitSize(
  tools: { readonly clock: Clock; readonly run: RunCommand; readonly signal: AbortSignal },
  find: () => Promise<number | undefined>,
  size: { readonly columns: number; readonly rows: number },
): Promise<void> {
  const deadline = tools.clock.now() + resizeTimeoutMs;
  while (tools.clock.now() < deadline && !tools.signal.aborted) {
    const pid = await find();
    if (pid !== undefined) {
      const stdout = await sizeOf(tools.run, pid);
      if (stdout === undefined || stdout === `${size.rows} ${size.columns}`) return;
    }
    await delay(tools.clock, settlePollMs, tools.signal);
  }
}

/** `rows columns`; undefined where it cannot be asked. */
async function sizeOf(run: RunCommand, pid: number): Promise<string | undefined> {
  try {
    return (await run('stty', [`--file=/proc/${pid}/fd/0`, 'size'])).stdout.trim();
  } catch (error) {
    if (error instanceof CommandMissingError) return undefined;
    throw error;
  }
}

/** All processes in the control group of this one. */
async function processesWith(pid: number): Promise<Candidate[]> {
  const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
  const directory = cgroupDirectory(groups);
  if (directory === undefined) return [];
  const list = await readFile(`${directory}/cgroup.procs`, 'utf8').catch(() => '');
  const found = await Promise.all(list.split('\n').filter(Boolean).map(Number).map(candidate));
  return found.filter(one => one !== undefined);
}

/** From `/proc/<pid>/cgroup` to the directory that lists the group's processes. Pure. */
export function cgroupDirectory(text: string): string | undefined {
  const lines = text.split('\n').map(line => line.split(':'));
  const find = (controller: string) => lines.find(([, names]) => names?.split(',').includes(controller))?.[2];
  for (const controller of ['pids', 'memory', 'cpu']) {
    const group = find(controller);
    if (group !== undefined && group !== '/') return `/sys/fs/cgroup/${controller}${group}`;
  }
  const unified = lines.find(([number]) => number === '0')?.[2];
  return unified === undefined || unified === '/' ? undefined : `/sys/fs/cgroup${unified}`;
}

async function candidate(pid: number): Promise<Candidate | undefined> {
  const [stat, commandLine] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined),
    readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
  ]);
  if (stat === undefined) return undefined;
  // The name, in parentheses, may hold anything; fields are counted from behind it (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid, parent: Number(fields[1]), startTicks: Number(fields[19]), commandLine };
}
