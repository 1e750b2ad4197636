/**
 * Programs that add commands, as kubectl finds them: `kubectl foo bar x` runs `kubectl-foo-bar` or `kubectl-foo` of the PATH,
 * the one with the longest name first. (https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins)
 */
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const PREFIX = 'kubectl-';

/** Words of a command line cannot be longer names than this many parts: no plugin's name has more. */
const NAME_PARTS_MAX = 16;

/** What the words of a command line may name, the longest name first: `a b-c --d` gives `a-b_c`, then `a`. Pure. */
export function pluginNames(words: readonly string[], partsMin = 1): readonly string[] {
  const end = words.findIndex(word => word.startsWith('-'));
  const parts = (end < 0 ? words : words.slice(0, end)).slice(0, NAME_PARTS_MAX).map(word => word.replaceAll('-', '_'));
  return parts
    .map((_, index) => parts.slice(0, parts.length - index))
    .flatMap(each => (each.length < partsMin ? [] : each.join('-')));
}

export interface FoundPlugin {
  readonly path: string;
  /** What it is given. */
  readonly words: readonly string[];
}

/**
 * The program that the words name, with what is left of them.
 * @param partsMin Of how many words its name has to be: two where the first one is a command of our own.
 */
export function findPlugin(words: readonly string[], searched: string, partsMin = 1): FoundPlugin | undefined {
  for (const name of pluginNames(words, partsMin)) {
    // A part may hold no path: `kubectl ../x` names nothing.
    if (name.includes('/')) continue;
    const path = pathsOf(searched)
      .map(folder => join(folder, `${PREFIX}${name}`))
      .find(isProgram);
    if (path !== undefined) return { path, words: words.slice(name.split('-').length) };
  }
  return undefined;
}

export interface ListedPlugins {
  readonly paths: readonly string[];
  /** Folders that cannot be read, with the reason. */
  readonly unreadable: readonly { readonly folder: string; readonly reason: string }[];
}

/** All files of the PATH that are named like plugins, in the order in which they would be found. */
export function listPlugins(searched: string): ListedPlugins {
  const paths: string[] = [];
  const unreadable: ListedPlugins['unreadable'][number][] = [];
  for (const folder of new Set(searched.split(delimiter))) {
    if (folder.trim() === '') continue;
    try {
      const files = readdirSync(folder, { withFileTypes: true }).filter(file => !file.isDirectory());
      const names = files.map(({ name }) => name).filter(name => name.startsWith(PREFIX));
      paths.push(...names.sort().map(name => join(folder, name)));
    } catch (error) {
      unreadable.push({ folder, reason: reasonOf(error, folder) });
    }
  }
  return { paths, unreadable };
}

/** Whether it may be run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isProgram(path: string): boolean {
  return isExecutable(path) && statSync(path).isFile();
}

/** An empty part of the PATH is the working directory, which no plugin is taken from. */
const pathsOf = (searched: string) => searched.split(delimiter).filter(folder => folder !== '');

function reasonOf(error: unknown, folder: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const known = { ENOENT: 'no such file or directory', EACCES: 'permission denied', ENOTDIR: 'not a directory' };
  const reason =
    typeof code === 'string' && Object.hasOwn(known, code) ? known[code as keyof typeof known] : `${error}`;
  return `open ${folder}: ${reason}`;
}
