/** Images of the engine: looking, pulling, and bringing the built-in one. */
import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { parseImageReference } from '../image-reference.ts';
import { ImagePullError, type ImageStatus, RuntimeUnavailableError } from '../runtime.ts';
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

  /** Throws {@link ImagePullError} with the registry's or the engine's words. */
  async pull(reference: string, signal: AbortSignal): Promise<ImageStatus> {
    try {
      const { registry, repository, tag, digest } = parseImageReference(reference);
      const stream = await this.#docker.createImage({
        fromImage: `${registry}/${repository}`,
        tag: digest ?? tag,
        abortSignal: signal,
      });
      await readProgress(stream);
    } catch (error) {
      const why = signal.aborted ? 'the pull was given up' : messageOf(error);
      throw new ImagePullError(why, { cause: error });
    }
    const status = await this.status(reference);
    if (status === undefined)
      throw new ImagePullError(`image ${JSON.stringify(reference)} is not there after the pull`);
    return status;
  }

  /** Brings the image that sandboxes are made of, unless it is there. */
  async ensurePause(): Promise<void> {
    if ((await this.status(pauseImage)) !== undefined) return;
    const archive = await pauseImageArchive(pauseArchitecture(this.#architecture));
    await readProgress(await this.#docker.loadImage(Readable.from([archive])));
  }
}

function pauseArchitecture(engine: string): PauseArchitecture {
  if (engine === 'amd64' || engine === 'arm64') return engine;
  throw new RuntimeUnavailableError(`the architecture ${engine} is not supported: use amd64 or arm64`);
}

interface ProgressLine {
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** The engine answers 200 first and tells a failure in the stream. Throws it. */
async function readProgress(stream: NodeJS.ReadableStream): Promise<void> {
  let rest = '';
  let failure: string | undefined;
  for await (const chunk of stream) {
    rest += chunk.toString();
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) failure ??= failureIn(line);
  }
  failure ??= failureIn(rest);
  if (failure !== undefined) throw new Error(failure);
}

function failureIn(line: string): string | undefined {
  if (line.trim() === '') return undefined;
  const progress = JSON.parse(line) as ProgressLine;
  return progress.errorDetail?.message ?? progress.error;
}
