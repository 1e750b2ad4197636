/**
 * The folder of static pods' manifests: which pods its files want now. A file that cannot be read as a pod keeps the pod
 * that it had, so that one that is being written, or was spoilt, ends nothing.
 */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../api.ts';
import { isMissing } from '../volumes/atomic-directory.ts';
import { MANIFEST_BYTES_MAX, MANIFESTS_MAX } from './limits.ts';

/** Pods by namespace and name. */
export type PodsByName = ReadonlyMap<string, Pod>;

export interface ManifestFolderOptions {
  readonly folder: string;
  readonly nodeName: string;
  /** Called once for each trouble that was there at two readings in a row. */
  readonly onTrouble: (file: string, message: string) => void;
}

interface Trouble {
  readonly message: string;
  readonly isTold: boolean;
}

export class ManifestFolder {
  readonly #options: ManifestFolderOptions;
  /** The pods of files, by the file's name. */
  #pods = new Map<string, Pod>();
  #troubles = new Map<string, Trouble>();

  constructor(options: ManifestFolderOptions) {
    this.#options = options;
  }

  /** True if a trouble may pass by itself: the folder is to be read again soon. */
  get isUnsettled(): boolean {
    return [...this.#troubles.values()].some(({ isTold }) => !isTold);
  }

  /** Reads all files. Of several pods of one name the first file's is taken. Throws if the folder cannot be read. */
  async read(): Promise<PodsByName> {
    const pods = new Map<string, Pod>();
    const troubles = new Map<string, string>();
    for (const file of await this.#files()) {
      try {
        const pod = await this.#readFile(file);
        if (pod) pods.set(file, pod);
      } catch (error) {
        troubles.set(file, error instanceof Error ? error.message : String(error));
        const before = this.#pods.get(file);
        if (before) pods.set(file, before);
      }
    }
    this.#pods = pods;
    const byName = new Map<string, Pod>();
    for (const [file, pod] of pods) {
      const name = fullName(pod);
      if (byName.has(name)) troubles.set(file, `another file has a pod named ${name} already`);
      else byName.set(name, pod);
    }
    this.#note(troubles);
    return byName;
  }

  /** Names of files that may be manifests; no folder is an empty one. */
  async #files(): Promise<string[]> {
    try {
      const names = await readdir(this.#options.folder);
      return names
        .filter(name => !name.startsWith('.'))
        .sort()
        .slice(0, MANIFESTS_MAX);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** Undefined if it is gone by now, or no file. */
  async #readFile(file: string): Promise<Pod | undefined> {
    const { folder, nodeName } = this.#options;
    const text = await readText(join(folder, file));
    if (text === undefined) return undefined;
    const { readManifest } = await import('./manifest.ts');
    return readManifest({ text, file, nodeName });
  }

  #note(found: ReadonlyMap<string, string>): void {
    const next = new Map<string, Trouble>();
    for (const [file, message] of found) {
      const before = this.#troubles.get(file);
      const isSame = before?.message === message;
      if (isSame && !before.isTold) this.#options.onTrouble(file, message);
      next.set(file, { message, isTold: isSame });
    }
    this.#troubles = next;
  }
}

/** Namespace and name, as informers name objects. */
export const fullName = ({ metadata }: Pod): string => `${metadata?.namespace}/${metadata?.name}`;

async function readText(path: string): Promise<string | undefined> {
  const file = await open(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (!file) return undefined;
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return undefined;
    if (stats.size > MANIFEST_BYTES_MAX) throw new RangeError(`the file is larger than ${MANIFEST_BYTES_MAX} bytes`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
