/** `raftsman cp`: copies files from and to containers, as a tar archive through `exec`; the container must have `tar`. */
import { createReadStream, createWriteStream, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, posix, resolve, sep } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { type Extract, extract, type Header, type Pack, pack } from 'tar-stream';
import type { Pod } from '../../control/api/generated/types.ts';
import { pathOf } from '../client/discovery.ts';
import { CommandError, failure } from '../client/errors.ts';
import { execute } from '../client/exec-stream.ts';
import { findContainer } from '../client/pods.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, withGlobalFlags } from './cluster-command.ts';

interface Flags {
  readonly container?: string;
  readonly preserve: boolean;
}

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('cp')
    .argument('[words...]')
    .usage('SOURCE TARGET   (one of them [NAMESPACE/]POD:PATH)')
    .summary('copy files from and to containers')
    .description('Copies a file or a folder from or to a container, which must have the program tar.')
    .option('-c, --container <name>', 'which container')
    .option('--no-preserve', 'do not keep owner and permissions in the container')
    .addHelpText(
      'after',
      '\nExamples:\n  raftsman cp ./site web-1:/var/www\n  raftsman cp prod/web-1:/var/log/app.log ./app.log',
    )
    .action(withSession<Flags>(context, copy));
  program.addCommand(withGlobalFlags(command));
}

/** A path here, or one in a pod. */
export interface Place {
  readonly pod: string | undefined;
  readonly namespace: string | undefined;
  readonly path: string;
}

/** @throws CommandError for what is neither. */
export function parsePlace(text: string): Place {
  const colon = text.indexOf(':');
  if (colon < 0) return { pod: undefined, namespace: undefined, path: text };
  const path = text.slice(colon + 1);
  const parts = text.slice(0, colon).split('/');
  // `./a:b` and `/a:b` are files here.
  if (parts[0] === '.' || parts[0] === '' || parts[0] === '..')
    return { pod: undefined, namespace: undefined, path: text };
  if (path === '' || parts.length > 2 || parts.includes('')) {
    throw failure('one of src or dest must be a remote file specification [namespace/]pod:path');
  }
  const [first, second] = parts;
  return second === undefined ? { pod: first, namespace: undefined, path } : { pod: second, namespace: first, path };
}

async function copy(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  const [from, to, ...more] = words;
  if (from === undefined || to === undefined || more.length > 0) throw failure('source and destination are required');
  const [source, target] = [parsePlace(from), parsePlace(to)];
  if (source.pod !== undefined && target.pod !== undefined)
    throw failure('one of src or dest must be a local file specification');
  if (source.pod !== undefined) return download(await containerAt(session, source, flags), source.path, target.path);
  if (target.pod !== undefined) {
    if (!statSync(source.path, { throwIfNoEntry: false }))
      throw failure(`${source.path} doesn't exist in local filesystem`);
    return upload(await containerAt(session, target, flags), source.path, target.path, flags);
  }
  throw failure('one of src or dest must be a remote file specification');
}

/** Runs a command in the container; what it says of errors goes to the terminal. */
type Run = (
  command: readonly string[],
  streams: { stdin?: Readable; stdout?: Writable; stderr?: Writable },
) => Promise<number>;

interface Container {
  readonly run: Run;
  readonly error: (line: string) => void;
}

async function containerAt(session: Session, place: Place, flags: Flags): Promise<Container> {
  const pods = await session.discovery.find('pods');
  const namespace = place.namespace ?? session.namespace;
  const pod = await session.api.json<Pod>('GET', pathOf(pods, namespace, place.pod));
  const container = findContainer(session, pod, flags.container);
  const run: Run = (command, { stdin, stdout = nowhere(), stderr = session.context.stderr }) => {
    const query = new URLSearchParams({ container, stdout: 'true', stderr: 'true' });
    for (const word of command) query.append('command', word);
    if (stdin) query.append('stdin', 'true');
    const path = `${pathOf(pods, namespace, place.pod, 'exec')}?${query}`;
    return execute(session.connection, path, { stdin, stdout, stderr, isTty: false });
  };
  return { run, error: line => session.error(line) };
}

const nowhere = () => new PassThrough().resume();

async function upload(container: Container, source: string, target: string, flags: Flags): Promise<void> {
  const isFolder = (await container.run(['test', '-d', target], { stderr: nowhere() })) === 0;
  const remote = posix
    .normalize(isFolder ? posix.join(target, basename(resolve(source))) : target)
    .replace(/(.)\/$/, '$1');
  const archive = pack();
  const options = flags.preserve ? [] : ['--no-same-permissions', '--no-same-owner'];
  const command = ['tar', ...options, '-xmf', '-', '-C', posix.dirname(remote)];
  const [code] = await Promise.all([
    container.run(command, { stdin: Readable.from(archive) }),
    addTree(archive, source, posix.basename(remote), container.error).then(() => archive.finalize()),
  ]);
  if (code !== 0) throw new CommandError(`command terminated with exit code ${code}`, { exitCode: code });
}

/** Adds a file, or a folder with all that is in it. Links are followed at the top only. */
async function addTree(
  archive: Pack,
  path: string,
  name: string,
  tell: (line: string) => void,
  isTop = true,
): Promise<void> {
  const stat = isTop ? statSync(path) : lstatSync(path);
  const header = { name, mode: stat.mode & 0o7777, mtime: stat.mtime };
  if (stat.isDirectory()) {
    archive.entry({ ...header, type: 'directory' });
    for (const child of readdirSync(path).sort())
      await addTree(archive, join(path, child), `${name}/${child}`, tell, false);
  } else if (stat.isFile()) {
    await pipeline(createReadStream(path), archive.entry({ ...header, type: 'file', size: stat.size }));
  } else tell(`warning: skipping ${path}: it is neither a file nor a folder`);
}

async function download(container: Container, source: string, target: string): Promise<void> {
  const isFolder = statSync(target, { throwIfNoEntry: false })?.isDirectory() === true;
  const local = isFolder ? join(target, posix.basename(posix.normalize(source).replace(/\/$/, ''))) : target;
  const reader = extract();
  const sink = sinkOf(reader);
  const received = container.run(['tar', 'cf', '-', source], { stdout: sink }).finally(() => sink.end());
  const unpacked = unpack(reader, { source, local: resolve(local), tell: container.error });
  const [code, count] = await Promise.all([received, unpacked]);
  if (code !== 0) throw new CommandError(`command terminated with exit code ${code}`, { exitCode: code });
  if (count === 0) throw failure(`${source}: the container sent no file`);
}

/** Hands bytes to the archive's reader at its pace; when that has given up, the rest is let go. */
function sinkOf(reader: Extract): Writable {
  let waiting: (() => void) | undefined;
  const release = () => {
    const done = waiting;
    waiting = undefined;
    done?.();
  };
  reader.on('drain', release).on('close', release);
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (reader.destroyed || reader.write(chunk)) done();
      else waiting = () => done();
    },
    final(done) {
      reader.end(undefined);
      done();
    },
  });
}

interface Unpacking {
  readonly source: string;
  readonly local: string;
  readonly tell: (line: string) => void;
}

/** Writes what the archive holds, and says how many files; the container is not trusted to name paths within the target only. */
export async function unpack(reader: Extract, unpacking: Unpacking): Promise<number> {
  let count = 0;
  for await (const entry of reader) {
    const path = targetOf(entry.header, unpacking);
    if (path !== undefined && entry.header.type === 'directory') mkdirSync(path, { recursive: true });
    else if (path !== undefined && entry.header.type === 'file') {
      mkdirSync(dirname(path), { recursive: true });
      await pipeline(entry, createWriteStream(path, { mode: (entry.header.mode ?? 0o644) & 0o777 }));
      count++;
      continue;
    } else if (path !== undefined) unpacking.tell(`warning: skipping symlink or special file: ${entry.header.name}`);
    if (path !== undefined) count++;
    entry.resume();
  }
  return count;
}

/** Where an entry belongs; undefined for one that would leave the target. */
export function targetOf({ name }: Pick<Header, 'name'>, { source, local, tell }: Unpacking): string | undefined {
  const clean = (path: string) => posix.normalize(path).replace(/^\/+/, '').replace(/\/+$/, '');
  const relative = posix.relative(clean(source) || '.', clean(name) || '.');
  const path = resolve(local, relative);
  if (relative.split('/').includes('..') || (path !== local && !path.startsWith(local + sep))) {
    tell(`warning: file "${name}" is outside target destination, skipping`);
    return undefined;
  }
  return path;
}
