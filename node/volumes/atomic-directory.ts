/**
 * Writes a directory whose files all change at one moment. The files lie in a directory of their own, `..data` points at
 * it, and what users see are links through `..data`; an update writes a new directory and swaps the one link by rename.
 *
 *     config.yaml → ..data/config.yaml      ..data → ..2026_01_01_00_00_00.000000001
 */
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Payload } from './content.ts';

/** What {@link newTarget} names directories: nothing else is ever removed, whatever `..data` points at. */
const TARGET_NAME = /^\.\.\d{4}(_\d\d){5}\.\d{9,}$/;
const DATA = '..data';
const DATA_NEXT = '..data_tmp';

export interface WriteOptions {
  /** Group of the files, where the pod has an `fsGroup`. */
  readonly group: number | undefined;
  readonly now: number;
}

/** Makes the directory hold exactly the payload. Gives whether anything changed. */
export async function writeAtomically(root: string, payload: Payload, options: WriteOptions): Promise<boolean> {
  await mkdir(root, { recursive: true, mode: 0o755 });
  const current = await currentTarget(root);
  if (current && (await holds(join(root, current), payload))) return false;
  const next = await newTarget(root, options.now);
  await fill(join(root, next), payload, options);
  await rm(join(root, DATA_NEXT), { recursive: true, force: true });
  await symlink(next, join(root, DATA_NEXT));
  await removeUnlessLink(join(root, DATA));
  await rename(join(root, DATA_NEXT), join(root, DATA));
  await linkNames(root, payload);
  if (current) await rm(join(root, current), { recursive: true, force: true });
  return true;
}

async function currentTarget(root: string): Promise<string | undefined> {
  try {
    const target = await readlink(join(root, DATA));
    return TARGET_NAME.test(target) ? target : undefined;
  } catch (error) {
    // Not there, or no link.
    if (isMissing(error) || hasCode(error, 'EINVAL')) return undefined;
    throw error;
  }
}

async function holds(directory: string, payload: Payload): Promise<boolean> {
  try {
    const present = (await readdir(directory, { recursive: true, withFileTypes: true })).filter(
      entry => !entry.isDirectory(),
    );
    if (present.length !== payload.size) return false;
    for (const [path, { bytes }] of payload)
      if (Buffer.compare(await readFile(join(directory, path)), bytes) !== 0) return false;
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** A directory name that is not taken, made from the time as Kubernetes does. */
async function newTarget(root: string, now: number): Promise<string> {
  const stamp = new Date(now).toISOString().slice(0, 19).replace(/[-:T]/g, '_');
  const taken = new Set(await readdir(root));
  for (let count = 1; ; count++) {
    const name = `..${stamp}.${String(count).padStart(9, '0')}`;
    if (!taken.has(name)) return name;
  }
}

async function fill(directory: string, payload: Payload, { group }: WriteOptions): Promise<void> {
  await mkdir(directory, { mode: 0o755 });
  await chmod(directory, 0o755);
  for (const [path, { bytes, mode, owner }] of payload) {
    const file = join(directory, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, bytes, { mode: 0o600 });
    if (group !== undefined || owner !== undefined) await chown(file, owner ?? -1, group ?? -1);
    // A group that owns the files has to be able to read them, whatever the mode says.
    await chmod(file, group === undefined ? mode : mode | 0o440);
  }
}

/** Links for each first path component, and none for those that are no more. */
async function linkNames(root: string, payload: Payload): Promise<void> {
  const wanted = new Set([...payload.keys()].map(path => path.split('/')[0] ?? path));
  for (const name of await readdir(root)) {
    if (name.startsWith('..')) continue;
    if (!wanted.has(name)) await rm(join(root, name), { recursive: true, force: true });
  }
  for (const name of wanted) {
    const link = join(root, name);
    const known = await lstat(link).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (known?.isSymbolicLink()) continue;
    if (known) await rm(link, { recursive: true, force: true });
    await symlink(join(DATA, name), link);
  }
}

/** A rename replaces a link, but no directory. */
async function removeUnlessLink(path: string): Promise<void> {
  const known = await lstat(path).catch(() => undefined);
  if (known && !known.isSymbolicLink()) await rm(path, { recursive: true, force: true });
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

/** True for the error of a path that is not there. */
export const isMissing = (error: unknown): boolean => hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR');
