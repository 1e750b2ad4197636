/**
 * The images of one node: what they are called, what they say of their containers, and which layers they are made of.
 * Start reading here.
 *
 *   images/HEX.json   one image, by the digest of its configuration
 *   layers/           `layers.ts`
 *   downloads/        `registry/repository.ts`: parts of layers, kept for the next attempt
 *
 * Invariants: a file appears under its name when it is whole. An image is there only when all its layers are. A layer goes
 * only when no image has it, an image only when nobody uses it. One process writes: the node's agent.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { KeyedMutex } from '../mutex.ts';
import type { RunCommand } from '../runtime/command.ts';
import { formatImageReference, parseImageReference } from '../runtime/image-reference.ts';
import type { Architecture } from '../runtime/native/program/numbers.ts';
import { chainIds, digestOf } from './digest.ts';
import { ImageInUseError } from './errors.ts';
import { Layers } from './layers.ts';
import { type ImageConfig, parseConfig } from './manifest.ts';
import { createSpecialFiles } from './special-files.ts';

const imageSchema = z.object({
  /** The digest of the configuration. */
  id: z.string(),
  config: z.string(),
  /** `docker.io/library/nginx:1.7.9`. */
  tags: z.array(z.string()),
  /** `docker.io/library/nginx@sha256:…`: the manifests that it came by. */
  digests: z.array(z.string()),
  /** When it was last added or tagged. */
  updatedAt: z.number(),
});
type ImageRecord = z.infer<typeof imageSchema>;

export interface StoredImage {
  readonly id: string;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
  readonly config: ImageConfig;
  /** The name of its whole stack of layers; undefined for an image without any. */
  readonly chainId: string | undefined;
  readonly sizeBytes: number;
}
export interface ImageToAdd {
  readonly config: string;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
  /** Opens the layer of that position, the lowest first; called only for those that are not here. */
  readonly openLayer: (index: number) => Promise<Readable>;
}

export interface ImageStoreOptions {
  readonly root: string;
  readonly architecture: Architecture;
  readonly run: RunCommand;
  readonly now: () => number;
}

export class ImageStore {
  readonly layers: Layers;
  readonly #root: string;
  readonly #now: () => number;
  readonly #images = new Map<string, { readonly record: ImageRecord; readonly config: ImageConfig }>();
  readonly #changes = new KeyedMutex();
  /** Stacks that an addition under way needs, and how often. */
  readonly #pins = new Map<string, number>();

  constructor(options: ImageStoreOptions) {
    const { root, architecture, run } = options;
    this.#root = root;
    this.#now = options.now;
    const special = createSpecialFiles({ directory: path.join(root, 'programs'), architecture, run });
    this.layers = new Layers({ root, run, special });
  }

  get downloads(): string {
    return path.join(this.#root, 'downloads');
  }

  async open(): Promise<void> {
    for (const name of ['images', 'downloads']) {
      await mkdir(path.join(this.#root, name), { recursive: true, mode: 0o700 });
    }
    await rm(path.join(this.#root, 'programs'), { recursive: true, force: true });
    await this.layers.open();
    for (const name of await readdir(path.join(this.#root, 'images'))) {
      if (!name.endsWith('.json')) await rm(this.#file(name), { force: true });
      else await this.#load(name);
    }
  }

  list(): readonly StoredImage[] {
    return [...this.#images.values()].map(one => this.#stored(one));
  }

  /** By name, digest or id. Undefined if it is not here, or if the name is none. */
  find(reference: string): StoredImage | undefined {
    const byId = this.#images.get(reference);
    if (byId !== undefined) return this.#stored(byId);
    let name: string;
    let digest: string | undefined;
    try {
      const parsed = parseImageReference(reference);
      digest = parsed.digest;
      name = formatImageReference(digest === undefined ? parsed : { ...parsed, tag: undefined });
    } catch {
      return undefined;
    }
    // An image that was moved on from a name while this process died has it still, but is older.
    const found = [...this.#images.values()]
      .filter(({ record }) => (digest === undefined ? record.tags : record.digests).includes(name))
      .toSorted((left, right) => right.record.updatedAt - left.record.updatedAt)[0];
    return found && this.#stored(found);
  }

  /** Brings an image in: layers that are not here are unpacked, then it takes its names from whatever had them. */
  async add(image: ImageToAdd): Promise<StoredImage> {
    const config = parseConfig(image.config);
    const chain = chainIds(config.diffIds);
    for (const chainId of chain) this.#pin(chainId, 1);
    try {
      for (const [index, chainId] of chain.entries()) {
        const diffId = config.diffIds[index];
        if (diffId === undefined || this.layers.get(chainId) !== undefined) continue;
        await this.layers.add({ chainId, diffId, parent: chain[index - 1], open: () => image.openLayer(index) });
      }
      return await this.#changes.run('', async () => {
        const id = digestOf(image.config);
        const known = this.#images.get(id)?.record;
        const record: ImageRecord = {
          id,
          config: image.config,
          tags: union(known?.tags, image.tags),
          digests: union(known?.digests, image.digests),
          updatedAt: this.#now(),
        };
        await this.#write(record, config);
        for (const other of [...this.#images.values()]) {
          if (other.record.id === id || !other.record.tags.some(tag => image.tags.includes(tag))) continue;
          const tags = other.record.tags.filter(tag => !image.tags.includes(tag));
          await this.#write({ ...other.record, tags }, other.config);
        }
        return this.#stored({ record, config });
      });
    } finally {
      for (const chainId of chain) this.#pin(chainId, -1);
    }
  }

  /**
   * Takes a name away, and the image with its last one; by id, or by its only name, the image. Layers go with
   * {@link collect}. Throws {@link ImageInUseError}.
   */
  async remove(reference: string, used: ReadonlySet<string>): Promise<StoredImage | undefined> {
    return await this.#changes.run('', async () => {
      const image = this.find(reference);
      const known = image && this.#images.get(image.id);
      if (image === undefined || known === undefined) return undefined;
      const name = image.id === reference ? undefined : formatImageReference(parseImageReference(reference));
      const tags = name === undefined ? [] : image.tags.filter(tag => tag !== name);
      if (tags.length > 0 && tags.length < image.tags.length) {
        await this.#write({ ...known.record, tags }, known.config);
        return image;
      }
      if (used.has(image.id)) throw new ImageInUseError(`image ${reference} is used by a container`);
      await this.#forget(image.id);
      return image;
    });
  }

  /** Removes images without a name that nobody uses, and layers without an image. Gives the bytes that became free. */
  async collect(used: ReadonlySet<string>): Promise<number> {
    return await this.#changes.run('', async () => {
      for (const { record } of [...this.#images.values()]) {
        if (record.tags.length === 0 && record.digests.length === 0 && !used.has(record.id)) {
          await this.#forget(record.id);
        }
      }
      const kept = new Set(this.#pins.keys());
      for (const { config } of this.#images.values()) for (const id of chainIds(config.diffIds)) kept.add(id);
      return await this.layers.retain(kept);
    });
  }

  #stored({ record, config }: { readonly record: ImageRecord; readonly config: ImageConfig }): StoredImage {
    const { id, tags, digests } = record;
    const chain = chainIds(config.diffIds);
    const sizeBytes = chain.reduce((sum, chainId) => sum + (this.layers.get(chainId)?.sizeBytes ?? 0), 0);
    return { id, tags, digests, config, chainId: chain.at(-1), sizeBytes };
  }

  #pin(chainId: string, change: 1 | -1): void {
    const count = (this.#pins.get(chainId) ?? 0) + change;
    if (count === 0) this.#pins.delete(chainId);
    else this.#pins.set(chainId, count);
  }

  async #load(name: string): Promise<void> {
    const record = imageSchema.parse(JSON.parse(await readFile(this.#file(name), 'utf8')));
    const config = parseConfig(record.config);
    const isWhole = chainIds(config.diffIds).every(chainId => this.layers.get(chainId) !== undefined);
    if (isWhole && digestOf(record.config) === record.id) this.#images.set(record.id, { record, config });
    else await rm(this.#file(name), { force: true });
  }

  async #write(record: ImageRecord, config: ImageConfig): Promise<void> {
    const file = this.#file(`${record.id.replace('sha256:', '')}.json`);
    await writeFile(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
    await rename(`${file}.new`, file);
    this.#images.set(record.id, { record, config });
  }

  async #forget(id: string): Promise<void> {
    await rm(this.#file(`${id.replace('sha256:', '')}.json`), { force: true });
    this.#images.delete(id);
  }

  #file(name: string): string {
    return path.join(this.#root, 'images', name);
  }
}

function union(left: readonly string[] | undefined, right: readonly string[]): string[] {
  return [...new Set([...(left ?? []), ...right])];
}
