/** docs/others-bugs.md names tests; each of them has to be there under that name. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const page = readFileSync(join(root, 'docs/others-bugs.md'), 'utf8');
const rows = [...page.matchAll(/^\| (\d+) \| (.*) \| (.*) \|$/gm)].map(([, number, , here]) => ({
  number: Number(number),
  here: here ?? '',
}));

/** A file in backquotes, then the titles of its tests in curly quotes. */
function references(text: string): { readonly file: string; readonly title: string }[] {
  return [...text.matchAll(/`([\w/.-]+\.ts)`: ((?:“[^”]+”(?:, )?)+)/g)].flatMap(([, file, titles]) =>
    [...(titles ?? '').matchAll(/“([^”]+)”/g)].map(([, title]) => ({ file: file ?? '', title: title ?? '' })),
  );
}

test('the page has all 25', t => {
  t.deepEqual(
    rows.map(({ number }) => number),
    Array.from({ length: 25 }, (_, offset) => offset + 1),
  );
});

test('each names a test, and each test that is named is there', t => {
  for (const { number, here } of rows) {
    const found = references(here);
    t.true(found.length > 0, `${number} names no test`);
    t.is([...here.matchAll(/“/g)].length, found.length, `${number}: a title without a file`);
    for (const { file, title } of found) {
      // Suites that several implementations run put their name before the title.
      const bare = title.replace(/^(level|memory|local|remote): /, '');
      const source = readFileSync(join(root, file), 'utf8');
      const isThere = [title, bare].some(text => source.includes(`'${text}'`));
      t.true(isThere, `${number}: ${file} has no test “${title}”`);
    }
  }
});
