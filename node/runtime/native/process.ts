/** From what the agent asks and what the image says to the process that is started. Pure. */
import type { ImageConfig } from '../../images/manifest.ts';
import type { ContainerSpec } from '../runtime.ts';

/** What the container's command runs as; kept on disk, so that execs are the same. */
export interface ContainerProcess {
  readonly command: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: number;
  readonly group: number;
  readonly groups: readonly number[];
  readonly stopSignal: string;
}
/** Text of the image's own files; '' where it has none. */
export interface UserFiles {
  readonly passwd: string;
  readonly group: string;
}
/** What the container cannot be made from, in words for its pod. */
export class ProcessError extends Error {
  override readonly name = 'ProcessError';
  readonly code = 'RUNTIME_NATIVE_PROCESS';
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const defaultStopSignal = 'SIGTERM';
/** The machine's files have no configuration of an image. */
export const emptyImageConfig: ImageConfig = {
  user: '',
  env: [],
  entrypoint: [],
  command: [],
  workingDir: '',
  stopSignal: '',
  volumes: [],
  diffIds: [],
};

/** Throws {@link ProcessError}. */
export function resolveProcess(
  spec: ContainerSpec,
  input: { readonly image: ImageConfig; readonly files: UserFiles; readonly hostname: string },
): ContainerProcess {
  const { image, files, hostname } = input;
  const command =
    spec.command === undefined
      ? [...image.entrypoint, ...(spec.args ?? image.command)]
      : [...spec.command, ...(spec.args ?? [])];
  if (command.length === 0) throw new ProcessError('no command specified: neither the container nor its image has one');
  const who = resolveUser(spec, image.user, files);
  const env = new Map<string, string>([
    ['PATH', defaultPath],
    ['HOSTNAME', hostname],
    ...(spec.tty ? [['TERM', 'xterm'] as const] : []),
    ...image.env.map(splitVariable),
    ...spec.env.map(({ name, value }) => [name, value] as const),
  ]);
  if (!env.has('HOME')) env.set('HOME', who.home);
  return {
    command,
    env: [...env].map(([name, value]) => `${name}=${value}`),
    workingDir: spec.workingDir ?? (image.workingDir || '/'),
    user: who.user,
    group: who.group,
    groups: who.groups,
    stopSignal: image.stopSignal || defaultStopSignal,
  };
}

/** With a terminal of its own, as `docker exec -t` has it. */
export function withTerminal(task: ContainerProcess): ContainerProcess {
  const hasTerm = task.env.some(variable => variable.startsWith('TERM='));
  return hasTerm ? task : { ...task, env: [...task.env, 'TERM=xterm'] };
}

interface Who {
  readonly user: number;
  readonly group: number;
  readonly groups: readonly number[];
  readonly home: string;
}

function resolveUser(spec: ContainerSpec, imageUser: string, files: UserFiles): Who {
  const [userText = '', groupText] = imageUser.split(':');
  const users = linesOf(files.passwd).map(([name = '', , uid, gid, , home = '']) => {
    return { name, uid: Number(uid), gid: Number(gid), home };
  });
  const groups = linesOf(files.group).map(([name = '', , gid, members = '']) => {
    return { name, gid: Number(gid), members: members.split(',') };
  });
  const isNumber = (text: string) => /^\d+$/.test(text);
  const wanted = spec.security.user === undefined ? userText || '0' : String(spec.security.user);
  const entry = users.find(({ name, uid }) => (isNumber(wanted) ? uid === Number(wanted) : name === wanted));
  if (entry === undefined && !isNumber(wanted)) {
    throw new ProcessError(`unable to find user ${wanted}: no matching entries in passwd file`);
  }
  const named = spec.security.user === undefined ? groupText : undefined;
  const group = groups.find(
    ({ name, gid }) => named !== undefined && (isNumber(named) ? gid === Number(named) : name === named),
  );
  if (named !== undefined && group === undefined && !isNumber(named)) {
    throw new ProcessError(`unable to find group ${named}: no matching entries in group file`);
  }
  const own = named === undefined ? (entry?.gid ?? 0) : (group?.gid ?? Number(named));
  // A group in the image's user leaves only that group, as with Docker.
  const member =
    named === undefined && entry !== undefined ? groups.filter(one => one.members.includes(entry.name)) : [];
  return {
    user: entry?.uid ?? Number(wanted),
    group: spec.security.group ?? own,
    groups: [...new Set([...member.map(({ gid }) => gid), ...(spec.security.supplementalGroups ?? [])])],
    home: entry?.home || '/',
  };
}

function linesOf(text: string): string[][] {
  return text
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => line.split(':'));
}

function splitVariable(variable: string): readonly [string, string] {
  const equals = variable.indexOf('=');
  return equals === -1 ? [variable, ''] : [variable.slice(0, equals), variable.slice(equals + 1)];
}
