/** Files of a kustomization: they lie in its folder or below, links followed, unless the caller lifts that. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { failure } from '../client/errors.ts';

export interface Root {
  readonly folder: string;
  /** `--load-restrictor=LoadRestrictionsNone`. */
  readonly isOpen: boolean;
  /** Where values of keys are taken from that a file of pairs only names. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The folder as it really is. @throws CommandError if there is none. */
export function folderAt(path: string, from = '.'): string {
  const full = realPath(resolve(from, path), from === '.' ? path : resolve(from, path), 'folder');
  if (!statSync(full).isDirectory()) throw failure(`must build at directory: '${path}': file is not directory`);
  return full;
}

export function isFolder(path: string, from: string): boolean {
  return statSync(resolve(from, path), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** The content of a file. @throws CommandError if there is none, or it lies elsewhere. */
export function fileOf(path: string, { folder, isOpen }: Root): Buffer {
  const wanted = resolve(folder, path);
  const full = realPath(wanted, wanted, 'file');
  if (!isOpen && !full.startsWith(folder.endsWith(sep) ? folder : folder + sep)) {
    throw failure(`security; file '${full}' is not in or below '${folder}'`);
  }
  if (statSync(full).isDirectory()) throw failure(`'${full}' is a folder, where a file is wanted`);
  return readFileSync(full);
}

function realPath(path: string, shown: string, what: 'folder' | 'file'): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const text = `evalsymlink failure on '${shown}' : lstat ${path}: no such file or directory`;
    throw failure(what === 'folder' ? `must build at directory: not a valid directory: ${text}` : text, error);
  }
}
