/** Signals to processes of this machine, and what this one is: the one door to `process` under this folder. */

/** False if there is no such process. Throws what else the kernel says, as a lack of rights. */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 1) throw new RangeError(`no process to signal: ${pid}`);
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** The Node.js that runs this, to run another with the same. */
export function thisNode(): string {
  return process.execPath;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
