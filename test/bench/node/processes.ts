/** What processes use: memory, and processor time with that of the children they waited for. */
import { readdir, readFile } from 'node:fs/promises';
import { residentBytes } from '../resident.ts';

const TICKS_A_SECOND = 100;

export interface Use {
  readonly residentBytes: number;
  readonly processorSeconds: number;
}

export async function useOf(pid: number): Promise<Use> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // utime, stime, cutime, cstime: see proc_pid_stat(5).
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { residentBytes: await residentBytes(pid), processorSeconds: ticks / TICKS_A_SECOND };
}

/** The first process whose command line holds all of these words. */
export async function findProcess(words: readonly string[]): Promise<number | undefined> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (words.every(word => text.includes(word))) return Number(pid);
  }
  return undefined;
}
