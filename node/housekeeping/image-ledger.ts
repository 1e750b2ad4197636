/**
 * Which images this node pulled, and when they were last used. Only these are ever removed: what was built on the machine,
 * imported, or pulled by somebody else may not be had again. In a file, so that the next agent knows it too.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { ImageStatus, PullOptions, Runtime } from '../runtime/runtime.ts';
import { IMAGES_NOTED_MAX } from './limits.ts';

const noteSchema = z.object({
  id: z.string(),
  references: z.array(z.string()),
  pulledAt: z.number(),
  lastUsedAt: z.number(),
});
const fileSchema = z.object({ version: z.literal(1), images: z.array(noteSchema) });

export type ImageNote = Readonly<z.infer<typeof noteSchema>>;

export interface ImageLedgerOptions {
  readonly runtime: Pick<Runtime, 'imageStatus' | 'pullImage'>;
  readonly file: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class ImageLedger {
  readonly #options: ImageLedgerOptions;
  #notes = new Map<string, ImageNote>();
  #writing: Promise<void> = Promise.resolve();

  constructor(options: ImageLedgerOptions) {
    this.#options = options;
  }

  /** Reads what an agent before this one noted. A file that cannot be read is begun anew: its images stay. */
  async load(): Promise<void> {
    const { file, logger } = this.#options;
    try {
      const { images } = fileSchema.parse(JSON.parse(await readFile(file, 'utf8')));
      this.#notes = new Map(images.map(note => [note.id, note]));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
      logger.warn({ error, file }, 'it is not known any more which images this node pulled: they stay');
    }
  }

  list(): readonly ImageNote[] {
    return [...this.#notes.values()];
  }

  /** Pulls an image, and notes it unless the machine had it under this name. Throws `ImagePullError`. */
  async pull(reference: string, options: PullOptions): Promise<ImageStatus> {
    const { runtime, clock } = this.#options;
    const before = await runtime.imageStatus(reference);
    const image = await runtime.pullImage(reference, options);
    if (before?.id === image.id) return image;
    const now = clock.now();
    const known = this.#notes.get(image.id);
    const references = [...new Set([...(known?.references ?? []), reference])];
    this.#notes.set(image.id, { id: image.id, references, pulledAt: known?.pulledAt ?? now, lastUsedAt: now });
    for (const id of this.#notes.keys()) if (this.#notes.size > IMAGES_NOTED_MAX) this.#notes.delete(id);
    await this.save();
    return image;
  }

  /** Images that are in use at this moment. */
  markUsed(ids: Iterable<string>): void {
    const lastUsedAt = this.#options.clock.now();
    for (const id of ids) {
      const note = this.#notes.get(id);
      if (note) this.#notes.set(id, { ...note, lastUsedAt });
    }
  }

  forget(id: string): void {
    this.#notes.delete(id);
  }

  /** Writes the file, one write after the other. A failure is told in the log: images are not forgotten over it. */
  save(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    const { file, logger } = this.#options;
    try {
      await writeFile(`${file}.new`, JSON.stringify({ version: 1, images: this.list() }), { mode: 0o600 });
      await rename(`${file}.new`, file);
    } catch (error) {
      logger.warn({ error, file }, 'which images this node pulled could not be written down');
    }
  }
}
