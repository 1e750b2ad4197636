/**
 * Images for nodes without a registry: archives that lie in `DATA/images/` are taken in when the agent starts, as k3s has
 * it. An archive that was taken in as it is now is not read again while its images are there.
 */
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Logger } from '../logger.ts';
import type { Runtime } from '../runtime/runtime.ts';

const noteSchema = z.record(z.string(), z.object({ stamp: z.string(), images: z.array(z.string()) }));
const noteName = '.imported.json';
const archivePattern = /\.(tar|tar\.gz|tgz|tar\.zst)$/;

/** Never rejects for one archive's sake: what is wrong with it is told in the log. */
export async function importFolder(options: {
  readonly runtime: Runtime;
  readonly directory: string;
  readonly logger: Logger;
}): Promise<void> {
  const { runtime, directory, logger } = options;
  const { importImages } = runtime;
  if (importImages === undefined) return;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const names = (await readdir(directory)).filter(name => archivePattern.test(name)).sort();
  const known = await readNote(directory);
  const note: z.infer<typeof noteSchema> = {};
  for (const name of names) {
    const file = path.join(directory, name);
    try {
      const { size, mtimeMs, ino } = await stat(file);
      const stamp = `${size} ${mtimeMs} ${ino}`;
      const before = known[name];
      if (before?.stamp === stamp && (await areHere(runtime, before.images))) {
        note[name] = before;
        continue;
      }
      const images = await importImages.call(runtime, createReadStream(file));
      note[name] = { stamp, images: images.map(({ id }) => id) };
      logger.info({ file, images: images.flatMap(({ tags }) => tags) }, 'images imported');
    } catch (error) {
      logger.warn({ error, file }, 'an archive of images could not be imported');
    }
  }
  if (names.length === 0) return;
  const file = path.join(directory, noteName);
  await writeFile(`${file}.new`, JSON.stringify(note), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

async function areHere(runtime: Runtime, images: readonly string[]): Promise<boolean> {
  for (const id of images) if ((await runtime.imageStatus(id)) === undefined) return false;
  return true;
}

async function readNote(directory: string): Promise<z.infer<typeof noteSchema>> {
  const text = await readFile(path.join(directory, noteName), 'utf8').catch(() => '{}');
  try {
    return noteSchema.safeParse(JSON.parse(text)).data ?? {};
  } catch {
    return {};
  }
}
