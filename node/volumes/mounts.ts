/** The kernel's mounts below a folder; tmpfs, binds and network file systems. */
import { spawn } from 'node:child_process';
import { type FileHandle, readFile, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { runCommand, systemEnvironment } from '../runtime/command.ts';
import { isInside } from './sub-path.ts';

/** Mount points at or below `folder`, deepest first. */
export async function mountsBelow(folder: string): Promise<string[]> {
  // The kernel names mounts by their real paths: one that is overlooked would be removed through.
  const real = await realpath(folder).catch(() => folder);
  return (await mountPoints()).filter(point => isInside(real, point)).sort((a, b) => b.length - a.length);
}

export async function isMountPoint(path: string): Promise<boolean> {
  const real = await realpath(path).catch(() => path);
  return (await mountPoints()).includes(real);
}

/**
 * Whether processes that this one did not start, such as an engine, see what it mounts below the folder: they do in the mount
 * namespace of process 1, and from another one where the mount that holds the folder is shared (proc_pid_mountinfo(5)).
 */
export async function isSeenByOthers(folder: string): Promise<boolean> {
  const real = await realpath(folder).catch(() => folder);
  const around = (table: readonly Mount[]) =>
    table.filter(({ point }) => isInside(point, real)).sort((a, b) => b.point.length - a.point.length)[0];
  const [own, first] = [around(await mounts('self')), around(await mounts('1'))];
  // Each namespace has its own number for the same mount.
  return own === undefined || own.id === first?.id || own.isShared;
}

interface Mount {
  readonly id: string;
  readonly point: string;
  readonly isShared: boolean;
}

const mountPoints = async () => (await mounts('self')).map(({ point }) => point);

async function mounts(processId: 'self' | '1'): Promise<Mount[]> {
  const table = await readFile(`/proc/${processId}/mountinfo`, 'utf8').catch(() => '');
  return table.split('\n').flatMap(line => {
    const [id, , , , point, , ...rest] = line.split(' ');
    if (!id || !point) return [];
    // Spaces and the like stand there as octal escapes.
    const plain = point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const tags = rest.slice(0, rest.indexOf('-'));
    return [{ id, point: plain, isShared: tags.some(tag => tag.startsWith('shared:')) }];
  });
}

/** `mount` or `umount` said no. */
export class MountError extends Error {
  override readonly name = 'MountError';
  readonly code = 'NODE_MOUNT';
}

export async function mountTmpfs(path: string, options: readonly string[]): Promise<void> {
  const given = options.length > 0 ? ['-o', options.join(',')] : [];
  await run('mount', ['-t', 'tmpfs', ...given, 'tmpfs', path]);
}

export interface NfsSource {
  readonly server: string;
  readonly path: string;
  readonly options: readonly string[];
}

export async function mountNfs(path: string, { server, path: exported, options }: NfsSource): Promise<void> {
  const host = server.includes(':') ? `[${server}]` : server;
  const given = options.length > 0 ? ['-o', options.join(',')] : [];
  await run('mount', ['-t', 'nfs', ...given, '--', `${host}:${exported}`, path]);
}

/**
 * Mounts what a descriptor names. The descriptor is handed on, and `mount` is told not to make a path of it again: between
 * the two somebody could put something else there (CVE-2021-25741).
 */
export async function bindHandle(handle: FileHandle, path: string): Promise<void> {
  const child = spawn('mount', ['--no-canonicalize', '--bind', '/proc/self/fd/3', path], {
    stdio: ['ignore', 'ignore', 'pipe', handle.fd],
    env: systemEnvironment,
  });
  const ended = Promise.withResolvers<number>();
  child.on('error', ended.reject);
  child.on('close', code => ended.resolve(code ?? 1));
  let text = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  if ((await ended.promise) !== 0) throw new MountError(`mount: ${text.trim()}`);
}

export async function unmount(path: string): Promise<void> {
  await run('umount', [path]);
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand(program, args);
  if (code !== 0) throw new MountError(`${program}: ${stderr.trim()}`);
}

/** Directories that are to be one, the highest first; names are below `base` or absolute. */
export interface ReadOnlyLayers {
  readonly base: string;
  readonly layers: readonly [string, ...string[]];
}

const READ_ONLY = 'ro,nosuid,nodev,noexec';

/** Mounts them so that nobody writes there and nothing in them is run. */
export async function mountReadOnly(path: string, { base, layers }: ReadOnlyLayers): Promise<void> {
  const [first, ...more] = layers;
  if (more.length === 0) {
    await run('mount', ['--bind', '-o', READ_ONLY, resolve(base, first), path]);
    return;
  }
  // From inside the directory, so that many layers fit into the options; the older call takes more than 255 bytes of them.
  const script = 'cd "$0" && LIBMOUNT_FORCE_MOUNT2=always exec mount -t overlay overlay -o "$1" "$2"';
  await run('sh', ['-c', script, base, `${READ_ONLY},lowerdir=${layers.join(':')}`, path]);
}
