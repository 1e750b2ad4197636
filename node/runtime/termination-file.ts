/** The file behind a container's `terminationMessagePath`. */
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import type { ContainerSpec } from './runtime.ts';

const terminationFileMode = 0o666;

/** Makes it, so that there is something to mount. */
export async function ensureTerminationFile(spec: ContainerSpec): Promise<void> {
  const hostPath = spec.terminationMessage?.hostPath;
  if (hostPath === undefined) return;
  await mkdir(path.dirname(hostPath), { recursive: true });
  const file = await open(hostPath, 'a', terminationFileMode);
  try {
    // The process may run as any user, and the umask took rights away.
    await file.chmod(terminationFileMode);
  } finally {
    await file.close();
  }
}
