/** Which test files hold what failed, told from the lines that ava's TAP gives a failed test. */

/** Between the parts of a file's path, and before the title, as ava writes them. */
const SEPARATOR = ' › ';
const SUFFIX = '.test.ts';

/** How ava names a test file in front of its tests' titles, all folders included. */
const prefixOf = (file: string) => file.slice(0, -SUFFIX.length).split('/').join(SEPARATOR) + SEPARATOR;

/** Whether the title can be of that file: ava leaves out the folders that all files of a run have in common. */
function isOf(file: string, title: string): boolean {
  for (let prefix = prefixOf(file), at = 0; at >= 0 && prefix !== ''; ) {
    if (title.startsWith(prefix)) return true;
    at = prefix.indexOf(SEPARATOR);
    prefix = prefix.slice(at + SEPARATOR.length);
  }
  return false;
}

/**
 * The files of failed tests.
 *
 * @param titles what TAP says after `not ok N - `: `folder › file › title`, or words that hold a file's path where the file
 *   as a whole failed
 * @param files all test files, with paths from the root (`node/agent.test.ts`)
 * @returns the files in the order given, or undefined where one title belongs to none of them: nothing is known then
 */
export function failedFiles(titles: readonly string[], files: readonly string[]): readonly string[] | undefined {
  const failed = new Set<string>();
  for (const title of titles) {
    const named = files.filter(file => title.includes(file));
    const own = named.length > 0 ? named : files.filter(file => isOf(file, title));
    if (own.length === 0) return undefined;
    for (const file of own) failed.add(file);
  }
  return files.filter(file => failed.has(file));
}
