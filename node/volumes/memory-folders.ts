/**
 * Folders in memory, for what must not reach the node's disk: Secrets and tokens. A pod's end unmounts them, whichever agent
 * sees to it. Where the agent cannot mount, such volumes lie on the disk, with a warning.
 */
import { mkdir, readdir } from 'node:fs/promises';
import type { Logger } from '../logger.ts';
import { isMountPoint, isSeenByOthers, MountError, mountTmpfs } from './mounts.ts';

export interface MemoryFoldersOptions {
  readonly dataDir: string;
  readonly logger: Logger;
  /** May the agent mount file systems? */
  readonly canMount: boolean;
}

/** Memory that is swapped out is on the disk too; kernels before 6.4 cannot be told. */
const OPTIONS = [['mode=0755', 'noswap'], ['mode=0755']] as const;

export class MemoryFolders {
  readonly #options: MemoryFoldersOptions;
  #obstacle: Promise<string | undefined> | undefined;
  #isWarned = false;

  constructor(options: MemoryFoldersOptions) {
    this.#options = options;
  }

  /** Makes the folder, in memory where that can be. One that holds something stays where it is: containers have it. */
  async make(path: string): Promise<void> {
    await mkdir(path, { recursive: true, mode: 0o755 });
    if ((await readdir(path)).length > 0) return;
    this.#obstacle ??= this.#findObstacle();
    const obstacle = (await this.#obstacle) ?? (await this.#mount(path));
    if (obstacle === undefined || this.#isWarned) return;
    this.#isWarned = true;
    this.#options.logger.warn({ reason: obstacle }, 'Secrets and tokens of pods lie on the disk of this node');
  }

  async #findObstacle(): Promise<string | undefined> {
    const { canMount, dataDir } = this.#options;
    if (!canMount) return 'the agent may not mount file systems';
    if (await isSeenByOthers(dataDir)) return undefined;
    return 'the agent has a mount namespace of its own: the runtime would not see what it mounts';
  }

  /** Gives what went wrong. */
  async #mount(path: string): Promise<string | undefined> {
    if (await isMountPoint(path)) return undefined;
    let obstacle: string | undefined;
    for (const options of OPTIONS) {
      try {
        await mountTmpfs(path, options);
        return undefined;
      } catch (error) {
        if (!(error instanceof MountError)) throw error;
        obstacle = error.message;
      }
    }
    return obstacle;
  }
}
