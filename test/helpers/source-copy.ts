/** A copy of sources in a temporary folder, of which single rules are taken out to see who notices. */
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What runs the copy, and what its programs share. */
const FILES = ['package.json', 'tsconfig.json', 'test/helpers/flags.ts'];

/** Copies folders of the repository, without their tests, and gives the copy's path; whoever asked removes it. */
export function copySources(folders: readonly string[]): string {
  const target = mkdtempSync(join(tmpdir(), 'raftsman-mutations-'));
  for (const folder of folders) {
    cpSync(join(ROOT, folder), join(target, folder), { recursive: true, filter: path => !path.endsWith('.test.ts') });
  }
  for (const file of FILES) cpSync(join(ROOT, file), join(target, file));
  symlinkSync(join(ROOT, 'node_modules'), join(target, 'node_modules'));
  return target;
}

export interface SourceChange {
  /** The rule that is taken out. */
  readonly rule: string;
  /** Path within the copy. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** Does the work with one text of the copy replaced, and puts it back. Throws if the file does not hold it exactly once. */
export async function withChange<T>(copy: string, change: SourceChange, work: () => Promise<T>): Promise<T> {
  const { rule, file, find, replace } = change;
  const path = join(copy, file);
  const source = readFileSync(path, 'utf8');
  if (source.split(find).length !== 2)
    throw new Error(`${file} does not hold this exactly once, for "${rule}":\n${find}`);
  // A function, so that what is put in may hold $.
  writeFileSync(
    path,
    source.replace(find, () => replace),
  );
  try {
    return await work();
  } finally {
    writeFileSync(path, source);
  }
}
