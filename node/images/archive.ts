/**
 * Images from archives: what `docker save` writes (Docker Image Specification 1.2) and OCI layouts (OCI Image Layout 1.0)
 * in a tar, packed or not. The list of what is inside may come last, so files are set down first, under names of our own.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { z } from 'zod';
import { formatImageReference, parseImageReference } from '../runtime/image-reference.ts';
import { decompressed } from './decompress.ts';
import { digestOf } from './digest.ts';
import { ImageError } from './errors.ts';
import { documentBytesMax, symlinksMax } from './limits.ts';
import { choosePlatform, type Descriptor, type Manifest, type Platform, parseManifest } from './manifest.ts';
import type { ImageToAdd } from './store.ts';

const savedSchema = z.array(
  z.object({ Config: z.string(), RepoTags: z.array(z.string()).nullish(), Layers: z.array(z.string()) }),
);

/** What takes images in: the native runtime's own store, or a container engine's. */
export interface ArchiveTarget<Image> {
  /** A directory for files of this archive. */
  readonly downloads: string;
  add(image: ImageToAdd): Promise<Image>;
}

/** Takes all images of an archive in. Throws {@link ImageError} for what is no archive of images. */
export async function importArchive<Image>(
  source: Readable,
  into: { readonly store: ArchiveTarget<Image>; readonly platform: Platform; readonly id: string },
): Promise<readonly Image[]> {
  const directory = path.join(into.store.downloads, `import-${into.id}`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    const files = await setDown(source, directory);
    const saved = files.has('manifest.json') ? await savedImages(files) : await layoutImages(files, into.platform);
    const images: Image[] = [];
    for (const { config, tags, digests, layers } of saved) {
      const openLayer = async (index: number) => createReadStream(files.pathOf(layers[index] ?? ''));
      images.push(await into.store.add({ config, tags, digests, openLayer }));
    }
    return images;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface ArchivedImage {
  readonly config: string;
  readonly tags: readonly string[];
  readonly digests: readonly string[];
  readonly layers: readonly string[];
}

async function savedImages(files: ArchiveFiles): Promise<ArchivedImage[]> {
  const list = savedSchema.safeParse(JSON.parse(await files.text('manifest.json')));
  if (!list.success) throw new ImageError('the manifest.json of the archive is not valid');
  return await Promise.all(
    list.data.map(async ({ Config, RepoTags, Layers }) => {
      const tags = (RepoTags ?? []).map(canonicalTag);
      if (tags.length === 0) throw new ImageError('an image of the archive has no name: save it by its name');
      return { config: await files.text(Config), tags, digests: [], layers: Layers };
    }),
  );
}

async function layoutImages(files: ArchiveFiles, platform: Platform): Promise<ArchivedImage[]> {
  if (!files.has('index.json')) {
    throw new ImageError('this is no archive of images: it has neither manifest.json nor index.json');
  }
  const top = parseManifest(await files.text('index.json'));
  if (!('index' in top)) throw new ImageError('the index.json of the archive is not valid');
  const images: ArchivedImage[] = [];
  for (const entry of top.index) {
    const tag = nameOf(entry);
    const { manifest, digest } = await manifestOf(files, entry, platform);
    const { repository, registry } = parseImageReference(tag);
    images.push({
      config: await files.blob(manifest.config.digest),
      tags: [tag],
      digests: [`${registry}/${repository}@${digest}`],
      layers: manifest.layers.map(layer => blobPath(layer.digest)),
    });
  }
  return images;
}

async function manifestOf(
  files: ArchiveFiles,
  entry: Descriptor,
  platform: Platform,
): Promise<{ readonly manifest: Manifest; readonly digest: string }> {
  const found = parseManifest(await files.blob(entry.digest));
  if ('manifest' in found) return { manifest: found.manifest, digest: entry.digest };
  const inner = parseManifest(await files.blob(choosePlatform(found.index, platform).digest));
  if (!('manifest' in inner)) throw new ImageError('an index of the archive leads to another index');
  return { manifest: inner.manifest, digest: entry.digest };
}

/** As containerd and Docker write it; other tools write the bare tag, which names nothing. */
function nameOf({ annotations }: Descriptor): string {
  const name = annotations?.['io.containerd.image.name'] ?? annotations?.['org.opencontainers.image.ref.name'];
  if (name === undefined || !/[/:]/.test(name)) {
    throw new ImageError('an image of the archive has no name (annotation io.containerd.image.name)');
  }
  return canonicalTag(name);
}

function canonicalTag(name: string): string {
  return formatImageReference({ ...parseImageReference(name), digest: undefined });
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

class ArchiveFiles {
  readonly #files: ReadonlyMap<string, string>;
  readonly #links: ReadonlyMap<string, string>;

  constructor(files: ReadonlyMap<string, string>, links: ReadonlyMap<string, string>) {
    this.#files = files;
    this.#links = links;
  }

  has(name: string): boolean {
    return this.#files.has(this.#followed(name));
  }

  /** Throws {@link ImageError} if there is no such file. */
  pathOf(name: string): string {
    const file = this.#files.get(this.#followed(name));
    if (file === undefined) throw new ImageError(`the archive has no file ${JSON.stringify(name)}`);
    return file;
  }

  async text(name: string): Promise<string> {
    const file = this.pathOf(name);
    if ((await stat(file)).size > documentBytesMax) throw new ImageError(`${name} of the archive is too large`);
    return await readFile(file, 'utf8');
  }

  async blob(digest: string): Promise<string> {
    const text = await this.text(blobPath(digest));
    if (digestOf(text) !== digest) throw new ImageError(`a file of the archive is not what its name says: ${digest}`);
    return text;
  }

  #followed(name: string): string {
    let at = path.posix.normalize(name);
    for (let step = 0; step < symlinksMax; step += 1) {
      const next = this.#links.get(at);
      if (next === undefined) return at;
      at = next;
    }
    return at;
  }
}

async function setDown(source: Readable, directory: string): Promise<ArchiveFiles> {
  const files = new Map<string, string>();
  const links = new Map<string, string>();
  const archive = extract();
  const plain = await decompressed(source);
  plain.once('error', error => archive.destroy(error));
  archive.once('close', () => plain.destroy());
  plain.pipe(archive);
  try {
    for await (const entry of archive) {
      const { name, type, linkname = '' } = entry.header;
      const at = path.posix.normalize(name);
      if (type === 'file' || type === 'contiguous-file') {
        const file = path.join(directory, String(files.size));
        files.set(at, file);
        // It gives bytes only; its type does not say so.
        await pipeline(entry as AsyncIterable<Uint8Array>, createWriteStream(file, { mode: 0o600 }));
      } else if (type === 'symlink') {
        links.set(at, path.posix.join(path.posix.dirname(at), linkname));
      } else if (type === 'link') {
        links.set(at, path.posix.normalize(linkname));
      }
      entry.resume();
    }
  } catch (error) {
    throw new ImageError(`the archive cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    source.destroy();
  }
  return new ArchiveFiles(files, links);
}
