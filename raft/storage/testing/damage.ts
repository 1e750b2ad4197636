/** What disks do to files: for tests that show what is made of it. */
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** The files below a directory that are not empty. LevelDB's own diary is nobody's data. */
export async function dataFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = names.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  const sizes = await Promise.all(paths.map(async path => (await stat(path)).size));
  return paths.filter((path, at) => (sizes[at] ?? 0) > 0 && !/\/LO(G|G\.old|CK)$/.test(path)).sort();
}

/** A fresh copy of `directory` at `target`. */
export async function copyTo(directory: string, target: string): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await cp(directory, target, { recursive: true });
}

/** Turns one bit of one file, each file being as likely as any other. Says where. */
export async function flipBit(directory: string, random: () => number): Promise<string> {
  const files = await dataFiles(directory);
  const path = files[Math.floor(random() * files.length)] ?? '';
  const content = await readFile(path);
  const at = Math.floor(random() * content.length);
  const bit = Math.floor(random() * 8);
  content[at] = (content[at] ?? 0) ^ (1 << bit);
  await writeFile(path, content);
  return `bit ${bit} of byte ${at} of ${path}`;
}

/** Cuts the end of one file off. Says where. */
export async function cutTail(directory: string, random: () => number): Promise<string> {
  const files = await dataFiles(directory);
  const path = files[Math.floor(random() * files.length)] ?? '';
  const { size } = await stat(path);
  const left = Math.floor(random() * size);
  await truncate(path, left);
  return `${path}, ${left} of ${size} bytes left`;
}

/** A small file system of its own. Undefined where this process may not make one; `reason` for skipping says so. */
export async function smallDisk(
  directory: string,
  sizeBytes: number,
): Promise<
  | { readonly path: string; fill(leaveBytes: number): Promise<void>; free(): Promise<void>; end(): Promise<void> }
  | undefined
> {
  await mkdir(directory, { recursive: true });
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', directory]);
  } catch {
    return undefined;
  }
  const ballast = join(directory, 'ballast');
  return {
    path: directory,
    async fill(leaveBytes) {
      await rm(ballast, { force: true });
      const { stdout } = await run('df', ['--output=avail', '-B1', directory]);
      const available = Number(stdout.split('\n')[1]);
      await writeFile(ballast, Buffer.alloc(Math.max(0, available - leaveBytes), 1));
    },
    free: () => rm(ballast, { force: true }),
    async end() {
      await run('umount', ['-l', directory]);
      await rm(dirname(directory), { recursive: true, force: true });
    },
  };
}
