/**
 * Opens what lies below a folder without ever leaving it, whatever is done to the tree meanwhile: each component is opened
 * by its parent's descriptor and without following links; links are read and walked the same way. So what was checked is
 * what is used (openat2's RESOLVE_BENEATH, which Node does not offer; CVE-2017-1002101, CVE-2021-25741).
 */
import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open, readlink } from 'node:fs/promises';
import { isMissing } from './atomic-directory.ts';

/** Linux' O_PATH, which Node has no name for: the descriptor names a place and opens nothing. */
const O_PATH = 0o10000000;
const LINKS_MAX = 40;

/** A path leads out of its folder, or nowhere. */
export class UnsafePathError extends Error {
  override readonly name = 'UnsafePathError';
  readonly code = 'NODE_UNSAFE_PATH';
}

/** The path of an open descriptor, for calls that take paths: it names the very thing that was opened. */
export const pathOfHandle = ({ fd }: FileHandle): string => `/proc/self/fd/${fd}`;

/** Opens a place without following a link at its end. */
export const openPlace = (path: string): Promise<FileHandle> => open(path, O_PATH | constants.O_NOFOLLOW);

export interface OpenBelowOptions {
  /** Directories that are missing are made with this mode; without it, what is missing is an error. */
  readonly makeMode?: number;
}

/**
 * Opens `path` below the folder `root`; the caller closes the handle. Links of the root's own path are followed, for that
 * is the agent's; links below may lead anywhere within. Throws {@link UnsafePathError}.
 */
export async function openBelow(root: string, path: string, options: OpenBelowOptions = {}): Promise<FileHandle> {
  // Parents stay open, so that `..` in a link leads to where the walk came from.
  const trail = [await open(root, O_PATH)];
  try {
    await walk(trail, path, options);
    const end = trail.pop();
    if (!end) throw new UnsafePathError(`${path} leads out of its folder`);
    return end;
  } finally {
    for (const handle of trail) await handle.close();
  }
}

async function walk(trail: FileHandle[], path: string, { makeMode }: OpenBelowOptions): Promise<void> {
  const left = path.split('/').reverse();
  let links = 0;
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (trail.length < 2) throw new UnsafePathError(`${path} leads out of its folder`);
      await trail.pop()?.close();
      continue;
    }
    const parent = trail.at(-1);
    if (!parent) throw new UnsafePathError(`${path} leads out of its folder`);
    const target = await enter(trail, `${pathOfHandle(parent)}/${part}`, makeMode);
    if (target === undefined) continue;
    if (target.startsWith('/')) throw new UnsafePathError(`${path} leads out of its folder`);
    if (++links > LINKS_MAX) throw new UnsafePathError(`${path} has too many links`);
    left.push(...target.split('/').reverse());
  }
}

/** Steps into a component; of a link gives where it points instead. */
async function enter(trail: FileHandle[], place: string, makeMode: number | undefined): Promise<string | undefined> {
  const handle = await openOrMake(place, makeMode);
  trail.push(handle);
  if (!(await handle.stat()).isSymbolicLink()) return undefined;
  await trail.pop()?.close();
  // Whatever stands there by now is walked with the same care.
  return readlink(place);
}

async function openOrMake(place: string, makeMode: number | undefined): Promise<FileHandle> {
  try {
    return await openPlace(place);
  } catch (error) {
    if (makeMode === undefined || !isMissing(error)) throw error;
  }
  await mkdir(place).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  });
  const handle = await openPlace(place);
  // The umask must not take away what the volume gives; a link that came meanwhile is not followed.
  if ((await handle.stat()).isDirectory()) await chmod(pathOfHandle(handle), makeMode);
  return handle;
}
