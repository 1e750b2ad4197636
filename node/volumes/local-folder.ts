/**
 * The folder of the node in which the volumes of the local class lie, one directory each. A directory is made when a pod
 * first uses its volume and removed when the volume is deleted; nothing that a volume says leads out of the folder.
 */
import { chmod, lstat, mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { LOCAL_NODE, type PersistentVolume } from '../api.ts';
import { isMissing } from './atomic-directory.ts';

/** Directories that are being removed begin so: no volume's name does. */
const REMOVED = '.removed-';

export class LocalFolderError extends Error {
  override readonly name = 'LocalFolderError';
  readonly code = 'NODE_LOCAL_FOLDER';
}

export class LocalFolder {
  readonly path: string;
  readonly #nodeName: string;

  constructor(path: string, nodeName: string) {
    this.path = path;
    this.#nodeName = nodeName;
  }

  /** True if the volume lies on this node. */
  isHere({ metadata }: PersistentVolume): boolean {
    return metadata?.annotations?.[LOCAL_NODE] === this.#nodeName;
  }

  /** The volume's directory, made if it is not there. Throws {@link LocalFolderError} for one that is not of this folder. */
  async make(volume: PersistentVolume): Promise<string> {
    const path = this.#pathOf(volume);
    await mkdir(this.path, { recursive: true, mode: 0o700 });
    try {
      await mkdir(path);
      // Whoever the containers run as has to be able to write; nobody else comes in through the folder above.
      await chmod(path, 0o777);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    if (!(await lstat(path)).isDirectory()) throw new LocalFolderError(`${path} is not a directory`);
    return path;
  }

  /** Removes the volume's directory and all that is in it; what is gone already is fine. */
  async remove(volume: PersistentVolume): Promise<void> {
    const path = this.#pathOf(volume);
    const removed = join(this.path, `${REMOVED}${volume.metadata?.uid ?? ''}`);
    // Half a directory must never be taken for a whole one, should the agent end meanwhile.
    await rename(path, removed).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
    await rm(removed, { recursive: true, force: true });
  }

  #pathOf(volume: PersistentVolume): string {
    const path = volume.spec?.local?.path ?? '';
    const name = basename(path);
    const isOwn = this.isHere(volume) && dirname(path) === this.path && join(this.path, name) === path;
    if (!isOwn || name.startsWith('.')) throw new LocalFolderError(`${path} is not in ${this.path}`);
    return path;
  }
}
