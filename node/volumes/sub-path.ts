/**
 * subPath: a part of a volume, which may not lead out of it. A container that writes to the volume could plant links, and
 * swap them while the agent looks. So the part is opened step by step (safe-path.ts), what was opened is mounted to a place
 * of the agent's own, and the runtime is given that place.
 */
import { mkdir, open, readlink, rm, stat } from 'node:fs/promises';
import { dirname, isAbsolute, relative, sep } from 'node:path';
import { VolumeError } from './content.ts';
import { bindHandle, isMountPoint, unmount } from './mounts.ts';
import { openBelow, pathOfHandle, UnsafePathError } from './safe-path.ts';

export interface SubPathRequest {
  /** The volume's name, for messages. */
  readonly volume: string;
  readonly container: string;
  /** Where the volume lies. */
  readonly root: string;
  readonly subPath: string;
  /** Where it may be mounted, in a folder of the agent's. Undefined: the agent may not mount. */
  readonly place: string | undefined;
}

/** The path on the node to give to the runtime. Throws {@link VolumeError}. */
export async function prepareSubPath(request: SubPathRequest): Promise<string> {
  const { volume, subPath, root, place } = request;
  if (isAbsolute(subPath)) throw new VolumeError(volume, `error SubPath \`${subPath}\` must not be an absolute path`);
  if (subPath.split('/').includes('..'))
    throw new VolumeError(volume, `unable to provision SubPath \`${subPath}\`: must not contain '..'`);
  try {
    const { mode } = await stat(root);
    await using handle = await openBelow(root, subPath, { makeMode: mode & 0o7777 });
    return place === undefined ? await readlink(pathOfHandle(handle)) : await mountAt(place, handle);
  } catch (error) {
    const why = `failed to prepare subPath for volumeMount "${volume}" of container "${request.container}"`;
    const isUnsafe = error instanceof UnsafePathError;
    throw new VolumeError(volume, isUnsafe ? `${why}: ${error.message}` : why, { cause: error });
  }
}

async function mountAt(place: string, handle: Awaited<ReturnType<typeof openBelow>>): Promise<string> {
  // What an earlier container has stays mounted in that container; the place is for the next one.
  if (await isMountPoint(place)) await unmount(place);
  await rm(place, { recursive: true, force: true });
  const wanted = await handle.stat();
  await mkdir(dirname(place), { recursive: true, mode: 0o750 });
  if (wanted.isDirectory()) await mkdir(place, { mode: 0o750 });
  else await (await open(place, 'w', 0o640)).close();
  await bindHandle(handle, place);
  const found = await stat(place);
  if (found.dev === wanted.dev && found.ino === wanted.ino) return place;
  await unmount(place);
  throw new UnsafePathError(`${place} is not what was opened`);
}

/** True if `path` is `top` or lies below it. */
export function isInside(top: string, path: string): boolean {
  const way = relative(top, path);
  return way === '' || (!isAbsolute(way) && way !== '..' && !way.startsWith(`..${sep}`));
}
