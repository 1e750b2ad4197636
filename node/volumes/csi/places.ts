/** The folders and mounts that CSI volumes leave on the node, and how they go when the driver is through with them. */
import { lstat, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isMissing } from '../atomic-directory.ts';
import { VolumeError } from '../content.ts';
import { isMountPoint, unmount } from '../mounts.ts';
import { Records, readStaged, removeStaged } from './records.ts';
import type { CsiVolume } from './volume.ts';

/** Folders above the place that are nobody else's: of a mount the volume's, the plugin's, `volumes` and the pod's. */
const parentsOf = (path: string) => (path.endsWith('/mount') ? 4 : 1);

/**
 * Removes the place at which a volume was published or staged, with a mount that the driver left there, and the folders above
 * it that are empty then. Nothing is removed that holds anything.
 */
export async function clearPlace(path: string, parents = parentsOf(path)): Promise<void> {
  while (await isMountPoint(path)) await unmount(path);
  const stats = await lstat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (stats) await (stats.isDirectory() ? rmdir(path) : unlink(path));
  let folder = path;
  for (let count = 0; count < parents; count++) {
    folder = dirname(folder);
    if (!(await removeEmpty(folder))) return;
  }
}

/** False if it is not empty, or somebody else's to remove. */
async function removeEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    return isMissing(error);
  }
}

/** The same for what was staged, with its record. */
export async function clearStaged(stagingPath: string): Promise<void> {
  await clearPlace(stagingPath, 0);
  await removeStaged(stagingPath);
  // Staged devices have their folder in common.
  if (stagingPath.endsWith('/globalmount')) await removeEmpty(dirname(stagingPath));
}

/**
 * Unmounts all of a pod's CSI volumes without asking any driver: for a node that leaves its machine, whose drivers have gone
 * before, being pods themselves.
 */
export async function abandonCsiVolumes(dataDir: string, podUid: string): Promise<void> {
  const records = await new Records(dataDir).of(podUid);
  for (const { targetPath, stagingPath } of records) {
    await clearPlace(targetPath);
    if (stagingPath !== undefined && (await readStaged(stagingPath))) await clearStaged(stagingPath);
  }
}

/** Throws {@link VolumeError} if a driver published something else for a block volume. */
export async function checkDevice({ name }: Pick<CsiVolume, 'name'>, path: string): Promise<void> {
  if ((await stat(path)).isBlockDevice()) return;
  throw new VolumeError(name, `the driver published no block device at ${path}`, {
    operation: 'MapVolume.SetUpDevice',
  });
}
