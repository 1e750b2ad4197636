/** Images of the engine: looking, pulling, and bringing the built-in one. */
import { existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { matchCredentials } from '../../images/registry/credentials.ts';
import { parseImageReference } from '../image-reference.ts';
import {
  ImagePullError,
  type ImageStatus,
  type PullOptions,
  type RegistryCredentials,
  RuntimeUnavailableError,
} from '../runtime.ts';
import { isNotFound, messageOf } from './engine.ts';
import { type PauseArchitecture, pauseImage, pauseImageArchive } from './pause.ts';

export class EngineImages {
  readonly #docker: Dockerode;
  readonly #architecture: string;

  constructor(docker: Dockerode, architecture: string) {
    this.#docker = docker;
    this.#architecture = architecture;
  }

  /** Undefined if it is not here. */
  async status(reference: string): Promise<(ImageStatus & { readonly user: string }) | undefined> {
    try {
      const image = await this.#docker.getImage(reference).inspect();
      const tags = [...(image.RepoTags ?? []), ...(image.RepoDigests ?? [])];
      return { id: image.Id, tags, sizeBytes: image.Size, user: image.Config?.User ?? '' };
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async list(): Promise<ImageStatus[]> {
    const images = await this.#docker.listImages();
    return images.map(image => ({
      id: image.Id,
      tags: [...(image.RepoTags ?? []), ...(image.RepoDigests ?? [])].filter(tag => !tag.startsWith('<none>')),
      sizeBytes: image.Size,
    }));
  }

  /** The engine's data; undefined if the engine is on another machine. */
  async folder(): Promise<string | undefined> {
    const { DockerRootDir: folder }: { readonly DockerRootDir?: string } = await this.#docker.info();
    return folder !== undefined && existsSync(folder) ? folder : undefined;
  }

  /** Throws {@link ImagePullError} with the registry's or the engine's words. */
  async pull(reference: string, { signal, credentials = [] }: PullOptions): Promise<ImageStatus> {
    try {
      const own = matchCredentials(reference, credentials);
      // One set of keys after the other, as the kubelet does.
      for (const one of own.slice(0, -1)) {
        try {
          await this.#pullAs(reference, one, signal);
          return await this.#present(reference);
        } catch (error) {
          if (signal.aborted) throw error;
        }
      }
      await this.#pullAs(reference, own.at(-1), signal);
      return await this.#present(reference);
    } catch (error) {
      const why = signal.aborted ? 'the pull was given up' : messageOf(error);
      throw new ImagePullError(why, { cause: error });
    }
  }

  /** Loads what `docker save` or an OCI tool wrote. Throws {@link ImagePullError}. */
  async import(archive: Readable): Promise<readonly ImageStatus[]> {
    try {
      const said = await readProgress(await this.#docker.loadImage(archive));
      const names = [...said.matchAll(/Loaded image(?: ID)?: (\S+)/g)].map(([, name = '']) => name);
      return await Promise.all(names.map(name => this.#present(name)));
    } catch (error) {
      throw new ImagePullError(messageOf(error), { cause: error });
    }
  }

  /** Succeeds if it is not here. Throws {@link ImagePullError} if a container uses it. */
  async remove(reference: string): Promise<void> {
    try {
      await this.#docker.getImage(reference).remove();
    } catch (error) {
      if (!isNotFound(error)) throw new ImagePullError(messageOf(error), { cause: error });
    }
  }

  async #pullAs(reference: string, credentials: RegistryCredentials | undefined, signal: AbortSignal): Promise<void> {
    const { registry, repository, tag, digest } = parseImageReference(reference);
    const { username, password, identityToken: identitytoken } = credentials ?? {};
    const keys = { username, password, identitytoken, serveraddress: registry };
    const stream = await this.#docker.createImage(credentials === undefined ? undefined : keys, {
      fromImage: `${registry}/${repository}`,
      tag: digest ?? tag,
      abortSignal: signal,
    });
    await readProgress(stream);
  }

  async #present(reference: string): Promise<ImageStatus> {
    const status = await this.status(reference);
    if (status === undefined) throw new Error(`image ${JSON.stringify(reference)} is not there after the pull`);
    return status;
  }

  /** Brings the image that sandboxes are made of, unless it is there. */
  async ensurePause(): Promise<void> {
    if ((await this.status(pauseImage)) !== undefined) return;
    const archive = await pauseImageArchive(pauseArchitecture(this.#architecture));
    await readProgress(await this.#docker.loadImage(Readable.from([archive])));
  }
}

export function pauseArchitecture(engine: string): PauseArchitecture {
  if (engine === 'amd64' || engine === 'arm64') return engine;
  throw new RuntimeUnavailableError(`the architecture ${engine} is not supported: use amd64 or arm64`);
}

interface ProgressLine {
  readonly stream?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** Gives what the engine said. It answers 200 first and tells a failure in the stream: throws that. */
async function readProgress(stream: NodeJS.ReadableStream): Promise<string> {
  let rest = '';
  let said = '';
  let failure: string | undefined;
  for await (const chunk of stream) {
    rest += chunk.toString();
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) failure ??= failureIn(line);
    for (const line of lines) if (line.trim() !== '') said += (JSON.parse(line) as ProgressLine).stream ?? '';
  }
  failure ??= failureIn(rest);
  if (failure !== undefined) throw new Error(failure);
  return said;
}

function failureIn(line: string): string | undefined {
  if (line.trim() === '') return undefined;
  const progress = JSON.parse(line) as ProgressLine;
  return progress.errorDetail?.message ?? progress.error;
}
