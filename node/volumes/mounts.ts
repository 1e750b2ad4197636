/** The kernel's mounts below a folder, and tmpfs for volumes in memory. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isInside } from './sub-path.ts';

const run = promisify(execFile);

/** Mount points at or below `folder`, deepest first. */
export async function mountsBelow(folder: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const points = table.split('\n').flatMap(line => {
    const point = line.split(' ')[4];
    // Spaces and the like stand there as octal escapes.
    return point
      ? [point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))]
      : [];
  });
  return points.filter(point => isInside(folder, point)).sort((a, b) => b.length - a.length);
}

export async function mountTmpfs(path: string, sizeBytes: number | undefined): Promise<void> {
  const size = sizeBytes === undefined ? [] : ['-o', `size=${Math.ceil(sizeBytes)}`];
  await run('mount', ['-t', 'tmpfs', ...size, 'tmpfs', path]);
}

export async function unmount(path: string): Promise<void> {
  await run('umount', [path]);
}
