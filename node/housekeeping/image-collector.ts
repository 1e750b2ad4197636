/**
 * Removes images that nobody uses when the disk that holds them gets full (k/k: pkg/kubelet/images/image_gc_manager.go), and
 * all of them when the node is short of disk.
 */
import type { EventRecorder } from '../api.ts';
import { type Clock, sleep } from '../clock.ts';
import type { Supply } from '../eviction/signals.ts';
import type { Logger } from '../logger.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Semaphore } from '../semaphore.ts';
import type { ImageLedger } from './image-ledger.ts';
import { bytesToFree, type ImagePolicy, type PulledImage, removableImages, staleImages } from './image-plan.ts';
import { IMAGES_COLLECT_MS } from './limits.ts';

export interface ImageCollectorOptions {
  readonly nodeName: string;
  readonly runtime: Pick<Runtime, 'imageFolder' | 'imageStatus' | 'list' | 'listImages' | 'removeImage'>;
  readonly ledger: ImageLedger;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly recorder: EventRecorder;
  readonly policy: ImagePolicy;
  /** What is left of the disk that holds the folder; undefined if that cannot be told. */
  readonly observe: (folder: string) => Promise<Supply | undefined>;
  /** Names of the images that pods of this node want to run. */
  readonly wanted: () => Iterable<string>;
  readonly collectMs?: number;
}

/** Images were to go and did not, or there were not enough of them. */
export class ImageCollectionError extends Error {
  override readonly name = 'ImageCollectionError';
  readonly code = 'NODE_IMAGE_COLLECTION';
}

export class ImageCollector {
  readonly #options: ImageCollectorOptions;
  /** One collection at a time. */
  readonly #turn = new Semaphore(1);
  #hasFailed = false;

  constructor(options: ImageCollectorOptions) {
    this.#options = options;
  }

  /** Collects now and then until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, collectMs = IMAGES_COLLECT_MS } = this.#options;
    while (!signal.aborted) {
      await sleep(clock, collectMs, signal);
      if (signal.aborted) return;
      try {
        await this.collect();
        this.#hasFailed = false;
      } catch (error) {
        logger.warn({ error }, 'images could not be collected');
        // The first time the cause may pass by itself.
        if (this.#hasFailed) this.#tell('ImageGCFailed', error instanceof Error ? error.message : String(error));
        this.#hasFailed = true;
      }
    }
  }

  /** Removes what the policy says. Throws {@link ImageCollectionError}. */
  collect(): Promise<void> {
    return this.#turn.run(async () => {
      const { runtime, policy, clock, observe } = this.#options;
      const now = clock.now();
      const removable = removableImages(await this.#look(), policy, now);
      const stale = staleImages(removable, policy, now);
      await this.#free(stale, Number.POSITIVE_INFINITY);
      const folder = await runtime.imageFolder();
      const supply = folder === undefined ? undefined : await observe(folder);
      if (!supply) return;
      if (supply.capacity === 0) return this.#fail('InvalidDiskCapacity', 'invalid capacity 0 on image filesystem');
      const wanted = bytesToFree(supply, policy);
      if (wanted === 0) return;
      const freed = await this.#free(
        removable.filter(image => !stale.includes(image)),
        wanted,
      );
      if (freed < wanted) {
        const found = `Attempted to free ${wanted} bytes, but only found ${freed} bytes eligible to free.`;
        this.#fail('FreeDiskSpaceFailed', `Failed to garbage collect required amount of images. ${found}`);
      }
    });
  }

  /** Removes all images that may go; gives whether there were any. */
  removeUnused(): Promise<boolean> {
    return this.#turn.run(async () => {
      const removable = removableImages(await this.#look(), this.#options.policy, this.#options.clock.now());
      return (await this.#free(removable, Number.POSITIVE_INFINITY)) > 0;
    });
  }

  /** The images of the ledger as they are now; those that are gone are forgotten. */
  async #look(): Promise<PulledImage[]> {
    const { runtime, ledger, wanted } = this.#options;
    const [present, sandboxes] = await Promise.all([runtime.listImages(), runtime.list()]);
    const containers = sandboxes.flatMap(sandbox => sandbox.containers);
    const used = new Set([...wanted(), ...containers.flatMap(({ image, imageId }) => [image, imageId])]);
    const byId = new Map(present.map(image => [image.id, image]));
    const found = ledger.list().flatMap(note => {
      const image = byId.get(note.id);
      if (!image) ledger.forget(note.id);
      if (!image) return [];
      const isUsed = [note.id, ...note.references, ...image.tags].some(name => used.has(name));
      return [{ ...note, sizeBytes: image.sizeBytes, isUsed }];
    });
    ledger.markUsed(found.flatMap(({ id, isUsed }) => (isUsed ? [id] : [])));
    await ledger.save();
    return found;
  }

  /** Removes images in their order until so many bytes are free. Throws once it has tried them all. */
  async #free(images: readonly PulledImage[], wanted: number): Promise<number> {
    const { logger, ledger } = this.#options;
    const failures: string[] = [];
    let freed = 0;
    for (const image of images) {
      if (freed >= wanted) break;
      try {
        freed += await this.#remove(image);
        ledger.forget(image.id);
        logger.info({ image: image.references, sizeBytes: image.sizeBytes }, 'removed an image that nobody uses');
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    await ledger.save();
    if (failures.length === 0 || freed >= wanted) return freed;
    const amount = Number.isFinite(wanted) ? `wanted to free ${wanted} bytes, but freed` : 'freed';
    throw new ImageCollectionError(
      `${amount} ${freed} bytes space with errors in image deletion: [${failures.join(', ')}]`,
    );
  }

  /** Takes the names away by which it was pulled; one that somebody gave it besides keeps it. Gives what became free. */
  async #remove({ id, references, sizeBytes }: PulledImage): Promise<number> {
    const { runtime } = this.#options;
    for (const reference of references) await runtime.removeImage?.(reference);
    return (await runtime.imageStatus(id)) === undefined ? sizeBytes : 0;
  }

  #fail(reason: string, message: string): never {
    this.#tell(reason, message);
    throw new ImageCollectionError(message);
  }

  #tell(reason: string, message: string): void {
    const { recorder, nodeName } = this.#options;
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } };
    recorder.record(node, { type: 'Warning', reason, message });
  }
}
