/**
 * Images whose files a pod has as a volume. Such an image is used while the folder is there for which it was asked: so it
 * stays used whichever agent looks, and whoever removes the pod's folder need not tell. One small file a volume.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

const holdSchema = z.object({ imageId: z.string(), folder: z.string() });

export class ImageHolds {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Counts the image as used from now on, in place of another one for the same folder. */
  async hold(imageId: string, folder: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const file = path.join(this.#directory, `${createHash('sha256').update(folder).digest('hex')}.json`);
    await writeFile(`${file}.new`, JSON.stringify({ imageId, folder }));
    await rename(`${file}.new`, file);
  }

  /** Ids of the images that are used. Forgets those whose folder is gone, and what cannot be read. */
  async imageIds(): Promise<readonly string[]> {
    const names = await readdir(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const ids: string[] = [];
    for (const name of names.filter(one => one.endsWith('.json'))) {
      const file = path.join(this.#directory, name);
      const held = read(await readFile(file, 'utf8'));
      if (held && (await isThere(held.folder))) ids.push(held.imageId);
      else await rm(file, { force: true });
    }
    return ids;
  }
}

/** Undefined for what a machine that lost its power left unwritten: the mount is gone with it, and is asked for again. */
function read(text: string): z.infer<typeof holdSchema> | undefined {
  try {
    return holdSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function isThere(folder: string): Promise<boolean> {
  return await stat(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
