import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { logFileBytesMax, logFilesMax, logLineBytesMax } from './limits.ts';
import { LogFile } from './log-file.ts';
import type { LogEntry } from './log-format.ts';

function directory(t: ExecutionContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'raftsman-log-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
}
const entry = (text: string): LogEntry => ({ time: 't', stream: 'stdout', full: true, text: Buffer.from(text) });
const longLine = entry('x'.repeat(logLineBytesMax));
const linesOfAFile = Math.ceil(logFileBytesMax / logLineBytesMax);

test('a log takes a bounded number of bounded files, the newest lines in `log`', t => {
  const place = directory(t);
  const log = new LogFile(path.join(place, 'log'));
  for (let count = 0; count < (logFilesMax + 1) * linesOfAFile; count += 1) log.append([longLine]);
  log.append([entry('last')]);
  log.close();
  const names = readdirSync(place).sort();
  t.deepEqual(names, ['log', ...Array.from({ length: logFilesMax - 1 }, (_, age) => `log.${age + 1}`)]);
  t.true(readFileSync(path.join(place, 'log'), 'utf8').endsWith('last\n'));
  for (const name of names) t.true(statSync(path.join(place, name)).size < logFileBytesMax + 2 * logLineBytesMax);
});

const testFull = process.platform === 'linux' ? test : test.skip;
testFull('a disk without room costs lines and nothing else', t => {
  const log = new LogFile('/dev/full');
  t.notThrows(() => log.append([entry('lost')]));
  log.close();
});

test('a log that cannot be rotated goes on as it is', t => {
  const place = directory(t);
  const log = new LogFile(path.join(place, 'log'));
  for (let count = 0; count < linesOfAFile; count += 1) log.append([longLine]);
  rmSync(place, { recursive: true });
  t.notThrows(() => log.append([entry('lost')]));
  t.notThrows(() => log.close());
});
