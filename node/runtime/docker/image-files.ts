/**
 * The files of an image, out of any engine and any of its storage drivers: of a container that is made and never started,
 * the archive is unpacked. What an agent died over is found by its labels.
 */
import { lstat, readdir, readlink, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { layerBytesMax } from '../../images/limits.ts';
import { createSpecialFiles } from '../../images/special-files.ts';
import { unpackLayer } from '../../images/unpack.ts';
import { runCommand } from '../command.ts';
import { isNotFound } from './engine.ts';
import { kindLabel, type Owner, ownerFilter, ownerLabels } from './labels.ts';

const HELPER = 'image-files';

/** Unpacks the image into the folder, which is there and empty. */
export async function unpackImage(
  engine: { readonly docker: Dockerode; readonly architecture: 'amd64' | 'arm64'; readonly owner: Owner },
  reference: string,
  { folder, signal }: { readonly folder: string; readonly signal: AbortSignal },
): Promise<void> {
  const { docker, architecture, owner } = engine;
  const helper = await docker.createContainer({
    Image: reference,
    // Never run; but an image of nothing but files names no command, and the engine wants one.
    Entrypoint: ['/'],
    Labels: { ...ownerLabels(owner), [kindLabel]: HELPER },
    HostConfig: { NetworkMode: 'none' },
  });
  try {
    signal.throwIfAborted();
    const { Created: created } = await helper.inspect();
    const archive = Readable.from(bounded(await helper.getArchive({ path: '/' })));
    addAbortSignal(signal, archive);
    const special = createSpecialFiles({ directory: `${folder}.programs`, architecture, run: runCommand });
    await unpackLayer(archive, folder, special);
    await removeAdditions(folder, Math.floor(Date.parse(created) / 1000) * 1000);
  } finally {
    await removeHelper(docker, helper.id);
  }
}

/** Removes containers that an agent was killed over. */
export async function removeHelpers(docker: Dockerode, owner: Owner): Promise<void> {
  const label = [...ownerFilter(owner), `${kindLabel}=${HELPER}`];
  for (const { Id: id } of await docker.listContainers({ all: true, filters: { label } }))
    await removeHelper(docker, id);
}

async function removeHelper(docker: Dockerode, id: string): Promise<void> {
  try {
    await docker.getContainer(id).remove({ force: true, v: true });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function* bounded(stream: NodeJS.ReadableStream): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > layerBytesMax) throw new Error(`the image has more than ${layerBytesMax} bytes`);
    yield chunk;
  }
}

/** What the engine puts into each container that it makes, where the image has no such thing (moby: daemon/initlayer). */
const ADDED = [
  '.dockerenv',
  'etc/hosts',
  'etc/hostname',
  'etc/resolv.conf',
  'etc/mtab',
  'dev/console',
  'dev/pts',
  'dev/shm',
  'dev',
  'proc',
  'sys',
  'etc',
];

/** Takes that away again: empty, and not older than the container. What the image has is older. */
async function removeAdditions(folder: string, createdAt: number): Promise<void> {
  for (const name of ADDED) {
    const file = path.join(folder, name);
    // A link of the image on the way there leads elsewhere: the engine has added nothing below it.
    const isDirect = path.dirname(name) === '.' || (await statOf(path.dirname(file)))?.isDirectory() === true;
    const found = isDirect ? await statOf(file) : undefined;
    if (!found || found.mtimeMs < createdAt) continue;
    if (found.isDirectory() && (await readdir(file)).length === 0) await rmdir(file);
    else if (found.isFile() && found.size === 0) await rm(file);
    else if (found.isSymbolicLink() && (await readlink(file)) === '/proc/mounts') await rm(file);
  }
}

async function statOf(file: string) {
  return await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
}
