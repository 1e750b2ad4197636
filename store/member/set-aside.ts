/** Moving data out of the way instead of deleting it: what looks useless may be the last copy of something. */
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../snapshot/file.ts';

/**
 * Moves `names` of `directory` into `directory/<reason>-<time>`. What is not there is passed over.
 * @returns where they are now
 */
export async function setAside(
  directory: string,
  names: readonly string[],
  options: { readonly reason: string; readonly at: Date },
): Promise<string> {
  const target = await makeFolder(join(directory, `${options.reason}-${timeName(options.at)}`));
  for (const name of names) {
    try {
      await rename(join(directory, name), join(target, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  await syncDirectory(target);
  await syncDirectory(directory);
  return target;
}

/** A time as part of a name that sorts: `20261121T030405Z`. */
export function timeName(at: Date): string {
  return at.toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

/** One that was not there before: two in one second have two names. */
async function makeFolder(path: string): Promise<string> {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? path : `${path}-${number}`;
    try {
      await mkdir(candidate, { mode: 0o700 });
      return candidate;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
