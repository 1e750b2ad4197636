/** Removes the directories of local volumes that were deleted, and then lets the volumes go. */
import {
  type Client,
  hasReason,
  Informer,
  isLetGo,
  isLocalVolume,
  LOCAL_FINALIZER,
  LOCAL_LABEL,
  type PersistentVolume,
  persistentvolumes,
} from '../api.ts';
import type { Clock } from '../clock.ts';
import { Coalescer } from '../coalescer.ts';
import { RECLAIM_REST_MS } from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { LocalFolder } from './local-folder.ts';

export interface LocalReclaimOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly folder: LocalFolder;
}

export class LocalReclaim {
  readonly #options: LocalReclaimOptions;
  readonly #volumes: Informer<PersistentVolume>;
  readonly #sweep: Coalescer;

  constructor(options: LocalReclaimOptions) {
    this.#options = options;
    this.#volumes = new Informer({ ...options, kind: persistentvolumes, labelSelector: `${LOCAL_LABEL}=true` });
    this.#sweep = new Coalescer({ ...options, name: 'local volumes', job: () => this.#run(), restMs: RECLAIM_REST_MS });
    const look = (volume: PersistentVolume) => {
      if (this.#isDue(volume)) this.#sweep.request();
    };
    this.#volumes.addHandler({ added: look, updated: look });
  }

  /** Follows the volumes until the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    return this.#volumes.run(signal);
  }

  close(): Promise<void> {
    return this.#sweep.close();
  }

  #isDue(volume: PersistentVolume): boolean {
    const isHeld = volume.metadata?.finalizers?.includes(LOCAL_FINALIZER) ?? false;
    return isHeld && isLetGo(volume) && isLocalVolume(volume) && this.#options.folder.isHere(volume);
  }

  async #run(): Promise<void> {
    for (const volume of this.#volumes.list().filter(each => this.#isDue(each))) await this.#letGo(volume);
  }

  async #letGo(volume: PersistentVolume): Promise<void> {
    const { client, folder, logger } = this.#options;
    // Whoever says Retain keeps his data, also when he removes the object.
    if (volume.spec?.persistentVolumeReclaimPolicy === 'Delete') {
      await folder.remove(volume);
      logger.info({ volume: volume.metadata?.name }, 'local volume removed');
    }
    const finalizers = volume.metadata?.finalizers?.filter(name => name !== LOCAL_FINALIZER) ?? [];
    try {
      await client.update(persistentvolumes, { ...volume, metadata: { ...volume.metadata, finalizers } });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }
}
