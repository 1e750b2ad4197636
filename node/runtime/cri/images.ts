/** The runtime's images: looking, listing, pulling, removing; into containerd also importing. */
import { randomBytes } from 'node:crypto';
import { arch } from 'node:os';
import type { Readable } from 'node:stream';
import { importArchive } from '../../images/archive.ts';
import { parseConfig } from '../../images/manifest.ts';
import { matchCredentials } from '../../images/registry/credentials.ts';
import type { ImageToAdd } from '../../images/store.ts';
import { type Clock, delay } from '../clock.ts';
import { type PauseArchitecture, pauseImageParts } from '../docker/pause.ts';
import { formatImageReference, parseImageReference } from '../image-reference.ts';
import type { ImageUser } from '../run-as-non-root.ts';
import {
  ImagePullError,
  type ImageStatus,
  type PullOptions,
  type RegistryCredentials,
  RuntimeUnavailableError,
} from '../runtime.ts';
import { type CriConnection, messageOf } from './connection.ts';
import { contentOf, type ImageParts, importImage } from './containerd-import.ts';
import { pullTimeoutMs, settlePollMs, settleTimeoutMs } from './limits.ts';
import { imageCalls, runtimeCalls } from './services.ts';

export class CriImages {
  readonly #connection: CriConnection;

  constructor(connection: CriConnection) {
    this.#connection = connection;
  }

  /** Undefined if it is not here. */
  async status(reference: string): Promise<(ImageStatus & ImageUser) | undefined> {
    const { image } = await this.#connection.call(imageCalls.imageStatus, { image: { image: fullName(reference) } });
    if (image === undefined || image.id === '') return undefined;
    const user = image.uid === undefined ? image.username : String(image.uid.value);
    return { ...statusOf(image), user };
  }

  async list(): Promise<ImageStatus[]> {
    const { images } = await this.#connection.call(imageCalls.listImages, {});
    return images.map(statusOf);
  }

  /** Where the runtime says that it keeps images. */
  async folder(): Promise<string | undefined> {
    const { imageFilesystems } = await this.#connection.call(imageCalls.imageFsInfo, {});
    return imageFilesystems[0]?.fsId?.mountpoint;
  }

  /** Throws {@link ImagePullError} with the registry's or the runtime's words. */
  async pull(reference: string, { signal, credentials = [] }: PullOptions): Promise<ImageStatus> {
    try {
      const image = formatImageReference(parseImageReference(reference));
      const own = matchCredentials(reference, credentials);
      // One set of keys after the other, as the kubelet does.
      for (const one of own.slice(0, -1)) {
        try {
          await this.#pullAs(image, one, signal);
          return await this.#present(reference);
        } catch (error) {
          if (signal.aborted) throw error;
        }
      }
      await this.#pullAs(image, own.at(-1), signal);
      return await this.#present(reference);
    } catch (error) {
      throw new ImagePullError(signal.aborted ? 'the pull was given up' : messageOf(error), { cause: error });
    }
  }

  /** Succeeds if it is not here. CRI takes all names of the image along. Throws {@link ImagePullError} if one uses it. */
  async remove(reference: string): Promise<void> {
    const found = await this.status(reference);
    if (found === undefined) return;
    const { containers } = await this.#connection.call(runtimeCalls.listContainers, {});
    const names = new Set([found.id, ...found.tags]);
    const user = containers.find(one => names.has(one.imageRef) || names.has(one.imageId));
    if (user !== undefined) {
      throw new ImagePullError(`image ${JSON.stringify(reference)} is used by container ${user.id}`);
    }
    try {
      await this.#connection.call(imageCalls.removeImage, { image: { image: fullName(reference) } });
    } catch (error) {
      throw new ImagePullError(messageOf(error), { cause: error });
    }
  }

  /** Takes all images of an archive in; containerd only. Throws {@link ImagePullError}. */
  async import(archive: Readable, { downloads, clock }: ImportTools): Promise<readonly ImageStatus[]> {
    const add = async ({ config, tags, openLayer }: ImageToAdd): Promise<ImageStatus> => {
      const layers = parseConfig(config).diffIds.map((_, index) => ({ open: () => openLayer(index) }));
      return await this.#bring({ config: Buffer.from(config), layers }, tags, clock);
    };
    try {
      const platform = { architecture: architectureOf(arch()) };
      const id = randomBytes(8).toString('hex');
      return await importArchive(archive, { store: { downloads, add }, platform, id });
    } catch (error) {
      throw new ImagePullError(messageOf(error), { cause: error });
    }
  }

  /**
   * Brings the image that sandboxes are made of under the name that containerd is configured with, unless it has it: no
   * registry is asked for it.
   */
  async ensureSandboxImage(name: string, clock: Clock): Promise<void> {
    if ((await this.status(name)) !== undefined) return;
    const { layer, config } = await pauseImageParts(architectureOf(arch()));
    await this.#bring({ config, layers: [contentOf(layer)] }, [fullName(name)], clock);
  }

  /** Resolves when CRI has heard of it, which is a moment after containerd. */
  async #bring(parts: ImageParts, tags: readonly string[], clock: Clock): Promise<ImageStatus> {
    const id = await importImage({ connection: this.#connection, clock }, tags, parts);
    const deadline = clock.now() + settleTimeoutMs;
    for (;;) {
      const found = await Promise.all(tags.map(tag => this.status(tag)));
      const [first] = found;
      if (first !== undefined && found.every(one => one?.id === id)) return first;
      if (clock.now() >= deadline) throw new Error(`containerd does not show the image ${tags.join(', ')}`);
      await delay(clock, settlePollMs);
    }
  }

  async #pullAs(image: string, credentials: RegistryCredentials | undefined, signal: AbortSignal): Promise<void> {
    const { username, password, identityToken } = credentials ?? {};
    // Without the registry's address, which some runtimes want as a URL and compare: the keys fit already.
    const auth = credentials && { username, password, identityToken };
    await this.#connection.call(imageCalls.pullImage, { image: { image }, auth }, { signal, timeoutMs: pullTimeoutMs });
  }

  async #present(reference: string): Promise<ImageStatus> {
    const status = await this.status(reference);
    if (status === undefined) throw new Error(`image ${JSON.stringify(reference)} is not there after the pull`);
    return status;
  }
}

export interface ImportTools {
  /** For the files of an archive, while it is read. */
  readonly downloads: string;
  readonly clock: Clock;
}

function architectureOf(machine: string): PauseArchitecture {
  if (machine === 'x64') return 'amd64';
  if (machine === 'arm64') return 'arm64';
  throw new RuntimeUnavailableError(`the architecture ${machine} is not supported: use amd64 or arm64`);
}

function statusOf(image: {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly size: number;
}): ImageStatus {
  return { id: image.id, tags: [...image.repoTags, ...image.repoDigests], sizeBytes: image.size };
}

const idPattern = /^(sha256:)?[0-9a-f]{64}$/;

/** Runtimes differ in what they make of a short name; an id and what is no name at all are passed on as they are. */
function fullName(reference: string): string {
  if (idPattern.test(reference)) return reference;
  try {
    return formatImageReference(parseImageReference(reference));
  } catch {
    return reference;
  }
}
