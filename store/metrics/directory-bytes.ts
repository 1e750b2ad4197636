/** How much a member's files take on disk. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The bytes of the files right in a folder; 0 if it is not there. A file that goes meanwhile counts nothing. */
export async function directoryBytes(dataDir: string, folder: 'raft' | 'state'): Promise<number> {
  const directory = join(dataDir, folder);
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries
      .filter(entry => entry.isFile())
      .map(entry =>
        stat(join(entry.parentPath, entry.name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
