/**
 * subPath: a part of a volume, which may not lead out of it. A container that writes to the volume could plant links, so
 * every component is resolved and the end must still lie inside; missing directories are made only below what was checked.
 */
import { lstat, mkdir, realpath } from 'node:fs/promises';
import { isAbsolute, join, normalize, relative, sep } from 'node:path';
import { isMissing } from './atomic-directory.ts';
import { VolumeError } from './content.ts';

/** The real path of `subPath` inside the volume at `root`. Throws {@link VolumeError} if it leads out. */
export async function resolveSubPath(root: string, subPath: string, volume: string): Promise<string> {
  const wanted = normalize(subPath);
  const outside = () => new VolumeError(volume, `subPath ${JSON.stringify(subPath)} is not inside the volume`);
  if (isAbsolute(wanted) || wanted === '..' || wanted.startsWith(`..${sep}`)) throw outside();
  const top = await realpath(root);
  let at = top;
  for (const part of wanted.split(sep)) {
    if (part === '' || part === '.') continue;
    const next = join(at, part);
    await ensureExists(next);
    at = await realpath(next);
    if (!isInside(top, at)) throw outside();
  }
  return at;
}

async function ensureExists(path: string): Promise<void> {
  try {
    await lstat(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await mkdir(path, { mode: 0o750 });
  }
}

/** True if `path` is `top` or lies below it. */
export function isInside(top: string, path: string): boolean {
  const way = relative(top, path);
  return way === '' || (!isAbsolute(way) && way !== '..' && !way.startsWith(`..${sep}`));
}
