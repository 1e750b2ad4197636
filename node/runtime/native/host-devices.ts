/** The machine's device nodes, for privileged containers. */
import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { privilegedDevicesMax } from './limits.ts';
import type { DeviceNode } from './setup-program.ts';

/** Each container has these of its own. */
const own = new Set([
  'pts',
  'shm',
  'mqueue',
  'console',
  'ptmx',
  'fd',
  'null',
  'zero',
  'full',
  'random',
  'urandom',
  'tty',
]);

export async function hostDevices(): Promise<readonly DeviceNode[]> {
  const found: DeviceNode[] = [];
  const walk = async (directory: string, prefix: string): Promise<void> => {
    for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
      if (found.length >= privilegedDevicesMax || (prefix === '' && own.has(entry.name))) continue;
      const [file, name] = [path.join(directory, entry.name), `${prefix}${entry.name}`];
      if (entry.isDirectory()) await walk(file, `${name}/`);
      if (!entry.isCharacterDevice() && !entry.isBlockDevice()) continue;
      const stat = await lstat(file, { bigint: true }).catch(() => undefined);
      if (stat !== undefined) found.push({ name, mode: Number(stat.mode), device: stat.rdev });
    }
  };
  await walk('/dev', '');
  return found;
}
