/**
 * Gives a volume to the group of a pod (`fsGroup`): every file belongs to it, may be read and written by it, and what is
 * made in its directories belongs to it too (kubelet: pkg/volume/volume_linux.go). Other pods may be at work in the volume:
 * each entry is opened below its parent and without following links, and what was opened is changed.
 */

import type { FileHandle } from 'node:fs/promises';
import { chmod, chown, opendir } from 'node:fs/promises';
import { OWNERSHIP_DEPTH_MAX } from '../limits.ts';
import { isMissing } from './atomic-directory.ts';
import { openBelow, openPlace, pathOfHandle } from './safe-path.ts';

const FILE_BITS = 0o660;
const DIRECTORY_BITS = 0o2770;

export interface OwnershipOptions {
  readonly group: number;
  /** True: a volume whose root is right already is left as it is. */
  readonly onlyOnMismatch: boolean;
}

export async function giveToGroup(root: string, { group, onlyOnMismatch }: OwnershipOptions): Promise<void> {
  await using handle = await openBelow(root, '');
  const { gid, mode } = await handle.stat();
  if (onlyOnMismatch && gid === group && (mode & DIRECTORY_BITS) === DIRECTORY_BITS) return;
  await give(handle, group, 0);
}

async function give(handle: FileHandle, group: number, depth: number): Promise<void> {
  const stats = await handle.stat();
  if (stats.isSymbolicLink()) return;
  const path = pathOfHandle(handle);
  if (stats.isDirectory()) {
    if (depth > OWNERSHIP_DEPTH_MAX)
      throw new RangeError(`the volume is deeper than ${OWNERSHIP_DEPTH_MAX} directories`);
    // The root last: that it is right says that all is.
    for await (const { name } of await opendir(`${path}/`)) {
      const entry = await openPlace(`${path}/${name}`).catch((error: unknown) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      if (!entry) continue;
      try {
        await give(entry, group, depth + 1);
      } finally {
        await entry.close();
      }
    }
  }
  await chown(path, -1, group);
  await chmod(path, (stats.mode & 0o7777) | (stats.isDirectory() ? DIRECTORY_BITS : FILE_BITS));
}
