/** What `/proc` tells of processes. */
import { readdir, readFile } from 'node:fs/promises';
import type { ProcessRecord } from './layout.ts';

/** Undefined if there is no such process, or if it has ended and only waits to be collected. */
export async function processRecord(pid: number): Promise<ProcessRecord | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  // The name, in parentheses, may hold anything; fields are counted from behind it (proc(5): state is the third).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  if (state === undefined || startTicks === undefined || state === 'Z' || state === 'X') return undefined;
  return { pid, startTicks };
}

/** Whether that very process lives, not a later one with its number. */
export async function isAlive(record: ProcessRecord): Promise<boolean> {
  return (await processRecord(record.pid))?.startTicks === record.startTicks;
}

/** The processes that this one started and that live. */
export async function childrenOf(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    tasks.map(task => readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')),
  );
  return lists.flatMap(list => list.split(' ').filter(Boolean).map(Number));
}

/** All below it, nearest first. */
export async function descendantsOf(pid: number): Promise<number[]> {
  const children = await childrenOf(pid);
  const deeper = await Promise.all(children.map(descendantsOf));
  return [...children, ...deeper.flat()];
}
