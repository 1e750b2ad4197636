/** Measures what pods keep on the node's disk: volumes, logs, and what containers wrote beside both. */
import { join } from 'node:path';
import type { Pod } from '../api.ts';
import { folderBytes } from '../runtime/folder-bytes.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { PodStorage } from './local-storage.ts';

/** A pod as far as it has to be known to be measured. */
export interface Measurable {
  readonly uid: string;
  /** The runtime's ids of the containers that run, by name. */
  readonly containerIds: ReadonlyMap<string, string>;
}

export interface StorageMeterOptions {
  readonly runtime: Pick<Runtime, 'storage'>;
  /** The folder of a pod, with one of its volumes and others of files that its containers have. */
  readonly podDir: (podUid: string) => string;
}

/** What `pod-files.ts` and `container-maker.ts` write into a pod's folder. */
const OWN_FOLDERS = ['etc', 'containers'];

export class StorageMeter {
  readonly #options: StorageMeterOptions;

  constructor(options: StorageMeterOptions) {
    this.#options = options;
  }

  /** Counts one pod's files, each as often as it is asked. Rejects where the runtime cannot be asked. */
  async measure({ uid, containerIds }: Measurable, pod: Pod): Promise<PodStorage> {
    const folder = this.#options.podDir(uid);
    const emptyDirs = new Map<string, number>();
    for (const { name, emptyDir } of pod.spec?.volumes ?? [])
      if (emptyDir) emptyDirs.set(name, await folderBytes(join(folder, 'volumes', name)));
    let ownBytes = 0;
    for (const name of OWN_FOLDERS) ownBytes += await folderBytes(join(folder, name));
    const names = new Map([...containerIds].map(([name, id]) => [id, name]));
    const containers = names.size === 0 ? [] : await this.#options.runtime.storage([...names.keys()]);
    return {
      emptyDirs,
      ownBytes,
      containers: new Map(
        containers.map(({ id, logBytes, writableBytes }) => [names.get(id) ?? id, { logBytes, writableBytes }]),
      ),
    };
  }
}

/** When measuring may begin again, so that it takes no more than a share of the time. Pure. */
export function nextMeasuring(
  { startedAt, endedAt }: { readonly startedAt: number; readonly endedAt: number },
  shareMax: number,
): number {
  return endedAt + (endedAt - startedAt) * (1 / shareMax - 1);
}
