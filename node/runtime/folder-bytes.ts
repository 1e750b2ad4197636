/** Measures what lies on the disk, file by file; for volumes, logs and what containers write. */
import { lstat, opendir, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Files and folders that are looked at to measure one folder. */
const MEASURED_ENTRIES_MAX = 100_000;

/** What the kernel counts a file's blocks in, whatever its file system does. */
const BLOCK_BYTES = 512;

/**
 * Bytes that the files below a folder take on the disk; links are not followed. A tree of more than the bound is counted as
 * far as the bound goes. Never rejects: what is not there takes nothing.
 */
export async function folderBytes(folder: string): Promise<number> {
  let total = 0;
  let left = MEASURED_ENTRIES_MAX;
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined && left > 0; next = waiting.pop()) {
    const entries = await opendir(next).catch(() => undefined);
    if (!entries) continue;
    try {
      for await (const entry of entries) {
        if (--left <= 0) break;
        const path = join(next, entry.name);
        if (entry.isDirectory()) waiting.push(path);
        else total += await fileBytes(path);
      }
    } catch {
      // The container removed it while it was read.
    }
  }
  return total;
}

/** Bytes of a log and of its older files beside it (`log`, `log.1` …). Never rejects: what is not there takes nothing. */
export async function logBytes(file: string): Promise<number> {
  const folder = dirname(file);
  const own = basename(file);
  const names = await readdir(folder).catch(() => []);
  const files = names.filter(name => name === own || name.startsWith(`${own}.`));
  const sizes = await Promise.all(files.map(name => fileBytes(join(folder, name))));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

async function fileBytes(path: string): Promise<number> {
  return ((await lstat(path).catch(() => undefined))?.blocks ?? 0) * BLOCK_BYTES;
}
