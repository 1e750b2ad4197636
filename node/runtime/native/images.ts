/** The images of the native runtime: the machine's own files, and what was pulled or imported. */
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { importArchive } from '../../images/archive.ts';
import { copyTree } from '../../images/layers.ts';
import type { ImageConfig } from '../../images/manifest.ts';
import { parseRegistries, type RegistriesConfig } from '../../images/registry/config.ts';
import { pullImage } from '../../images/registry/pull.ts';
import { ImageStore, type StoredImage } from '../../images/store.ts';
import type { Clock } from '../clock.ts';
import type { RunCommand } from '../command.ts';
import { type ImageFiles, ImagePullError, type ImageStatus, type PullOptions } from '../runtime.ts';
import { emptyImageConfig, type UserFiles } from './process.ts';
import type { Architecture } from './program/numbers.ts';
import type { RootLayers } from './setup-program.ts';
import { hostImage, isHostImage } from './status.ts';

/** What a container is made of. */
export interface ContainerImage {
  readonly id: string;
  /** What the API is told: the digest that it came by, or its id. */
  readonly name: string;
  readonly config: ImageConfig;
  readonly files: UserFiles;
}

export interface NativeImagesOptions {
  readonly root: string;
  readonly architecture: Architecture;
  readonly clock: Clock;
  readonly run: RunCommand;
  /** Mirrors, keys and authorities, in the form of k3s. */
  readonly registriesFile: string | undefined;
  /** Ids of the images that containers use. */
  readonly used: () => Promise<ReadonlySet<string>>;
}

export class NativeImages {
  readonly #options: NativeImagesOptions;
  readonly #store: ImageStore;
  /** Images that a container is being made from. */
  readonly #held = new Map<string, number>();

  constructor(options: NativeImagesOptions) {
    this.#options = options;
    const { root, architecture, run, clock } = options;
    this.#store = new ImageStore({ root, architecture, run, now: () => clock.now() });
  }

  get folder(): string {
    return this.#options.root;
  }

  async open(): Promise<void> {
    await this.#store.open();
    await this.#registries();
    await this.#store.collect(await this.#used());
  }

  status(reference: string): ImageStatus | undefined {
    if (isHostImage(reference)) return hostImage;
    const image = this.#store.find(reference);
    return image && statusOf(image);
  }

  list(): readonly ImageStatus[] {
    return [hostImage, ...this.#store.list().map(statusOf)];
  }

  /** Throws {@link ImagePullError}. */
  async pull(reference: string, { signal, credentials = [] }: PullOptions): Promise<ImageStatus> {
    if (isHostImage(reference)) return hostImage;
    const { architecture, clock } = this.#options;
    const context = {
      store: this.#store,
      platform: { architecture },
      clock,
      registries: () => this.#registries(),
    };
    try {
      const image = await pullImage(context, reference, { credentials, signal });
      await this.#store.collect(await this.#used());
      return statusOf(image);
    } catch (error) {
      const why = signal.aborted ? 'the pull was given up' : messageOf(error);
      throw new ImagePullError(why, { cause: error });
    }
  }

  /** Throws {@link ImagePullError}. */
  async import(archive: Readable): Promise<readonly ImageStatus[]> {
    const { architecture } = this.#options;
    const id = randomBytes(8).toString('hex');
    try {
      const images = await importArchive(archive, { store: this.#store, platform: { architecture }, id });
      await this.#store.collect(await this.#used());
      return images.map(statusOf);
    } catch (error) {
      throw new ImagePullError(messageOf(error), { cause: error });
    }
  }

  /** Throws {@link ImagePullError} if a container uses it. */
  async remove(reference: string): Promise<void> {
    if (isHostImage(reference)) throw new ImagePullError('the image "host" is this machine: it cannot be removed');
    try {
      await this.#store.remove(reference, await this.#used());
      await this.#store.collect(await this.#used());
    } catch (error) {
      throw new ImagePullError(messageOf(error), { cause: error });
    }
  }

  /** Keeps an image while a container is made from it. Undefined if it is not here. */
  async use<T>(reference: string, work: (image: ContainerImage) => Promise<T>): Promise<T | undefined> {
    if (isHostImage(reference)) {
      const files = {
        passwd: await readFile('/etc/passwd', 'utf8').catch(() => ''),
        group: await readFile('/etc/group', 'utf8').catch(() => ''),
      };
      return await work({ id: hostImage.id, name: hostImage.id, config: emptyImageConfig, files });
    }
    const image = this.#store.find(reference);
    if (image === undefined) return undefined;
    this.#held.set(image.id, (this.#held.get(image.id) ?? 0) + 1);
    try {
      const files = {
        passwd: await this.#fileOf(image, 'etc/passwd'),
        group: await this.#fileOf(image, 'etc/group'),
      };
      const { id, config } = image;
      return await work({ id, name: image.digests.at(-1) ?? id, config, files });
    } finally {
      const held = (this.#held.get(image.id) ?? 1) - 1;
      if (held === 0) this.#held.delete(image.id);
      else this.#held.set(image.id, held);
    }
  }

  /** What a container's root is made of; makes the copy where that is needed. */
  async prepareRoot(imageId: string, directory: string): Promise<RootLayers> {
    const at = (name: string) => path.join(directory, name);
    for (const name of ['root', 'disk/upper', 'disk/work', 'memory', 'empty'])
      await mkdir(at(name), { recursive: true });
    if (imageId === hostImage.id) return { kind: 'overlay', base: '/', lower: ['/'] };
    const chainId = this.#store.find(imageId)?.chainId;
    const base = this.#store.layers.directory;
    if (chainId === undefined) return { kind: 'overlay', base, lower: [at('empty')] };
    const stack = this.#store.layers.stack(chainId);
    const [top] = stack;
    if (top?.kind !== 'copy') return { kind: 'overlay', base, lower: stack.map(({ number }) => `${number}/diff`) };
    await copyTree(this.#options.run, this.#store.layers.diff(top), at('root'));
    return { kind: 'copy' };
  }

  /** The directories that are an image's files, the highest first; `empty` for one without any. */
  layersOf(imageId: string, empty: string): ImageFiles {
    const { layers } = this.#store;
    const chainId = this.#store.find(imageId)?.chainId;
    if (chainId === undefined) return { base: layers.directory, layers: [empty] };
    return { base: layers.directory, layers: layers.stack(chainId).map(({ number }) => `${number}/diff`) };
  }

  /** A small file as the stack of layers shows it; '' if there is none. */
  async #fileOf(image: StoredImage, name: string): Promise<string> {
    if (image.chainId === undefined) return '';
    for (const layer of this.#store.layers.stack(image.chainId)) {
      const file = path.join(this.#store.layers.diff(layer), name);
      const found = await lstat(file).catch(() => undefined);
      // Overlayfs hides a file with a character device.
      if (found?.isCharacterDevice() === true || (await isWhiteout(path.dirname(file)))) return '';
      if (found?.isFile() === true && found.size <= userFileBytesMax) return await readFile(file, 'utf8');
    }
    return '';
  }

  async #used(): Promise<ReadonlySet<string>> {
    return new Set([...(await this.#options.used()), ...this.#held.keys()]);
  }

  async #registries(): Promise<RegistriesConfig> {
    const { registriesFile } = this.#options;
    return registriesFile === undefined ? {} : parseRegistries(await readFile(registriesFile, 'utf8'));
  }
}

const userFileBytesMax = 10 * 1024 * 1024;

async function isWhiteout(file: string): Promise<boolean> {
  return (await lstat(file).catch(() => undefined))?.isCharacterDevice() === true;
}

function statusOf({ id, tags, digests, sizeBytes, config }: StoredImage): ImageStatus & { readonly user: string } {
  return { id, tags: [...tags, ...digests], sizeBytes, user: config.user };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
