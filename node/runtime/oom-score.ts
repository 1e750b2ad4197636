/**
 * Whether this machine lets anybody make a process less likely to be killed for memory. Some virtual machines and
 * containers take CAP_SYS_RESOURCE from everything in them; then a negative `oom_score_adj` makes each start fail, and
 * going without is better than not running.
 */
import { readFile } from 'node:fs/promises';

const sysResourceBit = 24n;

/** Reads `CapBnd` of a `/proc/<pid>/status` text: no process below can have a capability that is missing there. */
function boundingSetHasSysResource(status: string): boolean {
  const match = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status);
  return match?.[1] === undefined || ((BigInt(`0x${match[1]}`) >> sysResourceBit) & 1n) === 1n;
}

/** True where it cannot be found out, as on another system than Linux. */
export async function mayLowerOomScore(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  return boundingSetHasSysResource(status);
}
