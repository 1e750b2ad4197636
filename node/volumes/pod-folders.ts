/** The folders of pods on the node's disk, `<dataDir>/pods/<uid>`, and how they go. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from './atomic-directory.ts';
import { mountsBelow, unmount } from './mounts.ts';

/** Where everything of a pod lies. */
export function podFolder(dataDir: string, podUid: string): string {
  if (!/^[\w-]+$/.test(podUid)) throw new RangeError(`not a pod's uid: ${podUid}`);
  return join(dataDir, 'pods', podUid);
}

/** Pods that have a folder; none where no agent has run yet. */
export async function storedPodUids(dataDir: string): Promise<string[]> {
  try {
    return await readdir(join(dataDir, 'pods'));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Unmounts what is mounted below. */
export async function unmountBelow(folder: string): Promise<void> {
  for (const point of await mountsBelow(folder)) await unmount(point);
}

/** Unmounts what is mounted below and removes the rest. Throws while something is still mounted. */
export async function removePodFolder(folder: string): Promise<void> {
  await unmountBelow(folder);
  const left = await mountsBelow(folder);
  // Removing through a mount would remove what belongs to somebody else.
  if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}`);
  await rm(folder, { recursive: true, force: true });
}
