/** The snapshots that a master keeps in a folder of its own: taken, listed, deleted, and thinned out. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readSnapshotHeader, SnapshotError, type StoreClient, timeName, writeSnapshotFile } from '../../store/index.ts';
import type { SnapshotEntry } from '../join/protocol.ts';
import { OperationError } from './errors.ts';

/** Taken by the schedule, and thinned out by it; or taken because somebody asked, and kept until somebody deletes it. */
export type SnapshotOrigin = 'scheduled' | 'saved';

export interface SnapshotFolderOptions {
  readonly folder: string;
  readonly master: string;
  readonly store: Pick<StoreClient, 'saveSnapshot'>;
  readonly now: () => Date;
}

const SUFFIX = '.snap';
const NAME = /^(?:scheduled|saved)-[a-z0-9.-]+-\d{8}T\d{6}Z\.snap$/;

export class SnapshotFolder {
  readonly #options: SnapshotFolderOptions;
  /** One at a time: each reads the whole state. */
  #taking: Promise<unknown> = Promise.resolve();

  constructor(options: SnapshotFolderOptions) {
    this.#options = options;
  }

  get path(): string {
    return this.#options.folder;
  }

  take(origin: SnapshotOrigin): Promise<SnapshotEntry> {
    const taken = this.#taking.then(() => this.#take(origin));
    this.#taking = taken.catch(() => {});
    return taken;
  }

  /** All of them, the oldest first. What is not a snapshot of ours is passed over. */
  async list(): Promise<readonly SnapshotEntry[]> {
    const names = (await this.#names()).sort((a, b) => timeOf(a).localeCompare(timeOf(b)));
    const entries = await Promise.all(names.map(name => this.#entry(name).catch(passOverGone)));
    return entries.filter(entry => entry !== undefined);
  }

  /** @throws {OperationError} there is none of this name */
  async delete(name: string): Promise<void> {
    if (!(await this.#names()).includes(name)) {
      throw new OperationError(
        `this master keeps no snapshot ${name}: \`raftsman snapshot list\` shows those that are there`,
      );
    }
    await rm(join(this.path, name));
  }

  /** Deletes all but the youngest of those that the schedule took. */
  async thinOut(keep: number): Promise<readonly string[]> {
    const surplus = (await this.#scheduled()).slice(0, -keep);
    for (const name of surplus) await rm(join(this.path, name), { force: true });
    return surplus;
  }

  /** When the schedule took the youngest; undefined if it has taken none. */
  async lastScheduled(): Promise<Date | undefined> {
    const name = (await this.#scheduled()).at(-1);
    return name === undefined ? undefined : new Date(isoOf(timeOf(name)));
  }

  async #take(origin: SnapshotOrigin): Promise<SnapshotEntry> {
    const { master, store, now } = this.#options;
    await mkdir(this.path, { recursive: true, mode: 0o700 });
    const name = `${origin}-${master}-${timeName(now())}${SUFFIX}`;
    await writeSnapshotFile(join(this.path, name), store.saveSnapshot());
    return this.#entry(name);
  }

  async #entry(name: string): Promise<SnapshotEntry> {
    const path = join(this.path, name);
    const base = { name, master: this.#options.master, sizeBytes: (await stat(path)).size };
    try {
      const { takenAt, revision, keys } = await readSnapshotHeader(path);
      return { ...base, takenAt, revision, keys };
    } catch (error) {
      if (!(error instanceof SnapshotError)) throw error;
      return { ...base, problem: error.message };
    }
  }

  async #scheduled(): Promise<readonly string[]> {
    return (await this.#names())
      .filter(name => name.startsWith('scheduled-'))
      .sort((a, b) => timeOf(a).localeCompare(timeOf(b)));
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.path)).filter(name => NAME.test(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }
}

/** A file may be deleted while the folder is being listed. */
function passOverGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** `20261121T030405Z` out of a name. */
function timeOf(name: string): string {
  return name.slice(-(16 + SUFFIX.length), -SUFFIX.length);
}

function isoOf(time: string): string {
  return time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
}
