/** hostPath volumes: checks, and makes where asked, what stands at a path of the node. */
import { lstat, mkdir, open, stat } from 'node:fs/promises';
import type { Volume } from '../api.ts';
import { isMissing } from './atomic-directory.ts';
import { VolumeError } from './content.ts';

type Stats = Awaited<ReturnType<typeof stat>>;
const CHECKS: Readonly<Record<string, { is(stats: Stats): boolean; what: string }>> = {
  Directory: { is: stats => stats.isDirectory(), what: 'a directory' },
  File: { is: stats => stats.isFile(), what: 'a file' },
  Socket: { is: stats => stats.isSocket(), what: 'a socket file' },
  CharDevice: { is: stats => stats.isCharacterDevice(), what: 'a character device' },
  BlockDevice: { is: stats => stats.isBlockDevice(), what: 'a block device' },
};

/** The path, once it is what `type` asks for. Throws {@link VolumeError}. */
export async function prepareHostPath(volume: Volume): Promise<string> {
  const { path = '', type = '' } = volume.hostPath ?? {};
  if (type === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 });
  if (type === 'FileOrCreate') await makeFile(path);
  const check = CHECKS[type.replace('OrCreate', '')];
  if (!check) {
    await makeMissing(path);
    return path;
  }
  const found = await stat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (!found || !check.is(found))
    throw new VolumeError(volume.name, `hostPath type check failed: ${path} is not ${check.what}`);
  return path;
}

/** Without a type nothing is checked, and runtimes make a folder where nothing is (containerd: CRI WithMounts; `docker -v`). */
async function makeMissing(path: string): Promise<void> {
  try {
    await stat(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await mkdir(path, { recursive: true, mode: 0o755 });
  }
}

async function makeFile(path: string): Promise<void> {
  const exists = await lstat(path).then(
    () => true,
    () => false,
  );
  if (exists) return;
  // The folder that it lies in has to be there, as the API's own words have it.
  await (await open(path, 'a', 0o644)).close();
}
