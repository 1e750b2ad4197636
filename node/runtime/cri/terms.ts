/** What the machine allows containers of a runtime over CRI. */
import { access, readFile } from 'node:fs/promises';
import type { Owner } from '../docker/labels.ts';
import { mayLowerOomScore } from '../oom-score.ts';
import type { Terms } from './config.ts';

export async function termsOf(owner: Owner, logDirectory: string): Promise<Terms> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  return {
    owner,
    logDirectory,
    mayLowerOomScore: await mayLowerOomScore(),
    hasSwapAccounting: await hasSwapAccounting(),
    hasSeccomp: /^Seccomp:/m.test(status),
  };
}

/** Always with control groups of version 2; with version 1 only where the kernel was started so. */
async function hasSwapAccounting(): Promise<boolean> {
  const files = ['/sys/fs/cgroup/cgroup.controllers', '/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes'];
  const found = await Promise.all(
    files.map(file =>
      access(file).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}
