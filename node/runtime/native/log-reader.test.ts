import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { systemClock } from '../clock.ts';
import { nameOf } from './log-file.ts';
import { readLog } from './log-reader.ts';

const line = (text: string) => `2026-11-21T10:00:00.000000000Z stdout F ${text}\n`;

test('a log that somebody has put a link in place of is not read, nor an older part of it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-log-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const [path, secret] = [join(folder, '0.log'), join(folder, 'secret')];
  await writeFile(secret, line('the host’s'));
  const read = async (tailLines?: number) => {
    const options = { follow: false, timestamps: false, signal: new AbortController().signal };
    const source = { path, clock: systemClock, isOpen: async () => false };
    return await text(readLog(source, tailLines === undefined ? options : { ...options, tailLines }));
  };
  await writeFile(path, line('the pod’s'));
  t.is(await read(), 'the pod’s\n');
  await symlink(secret, nameOf(path, 1));
  await t.throwsAsync(read(), { code: 'ELOOP' });
  await rename(nameOf(path, 1), path);
  await t.throwsAsync(read(), { code: 'ELOOP' });
  await t.throwsAsync(read(1), { code: 'ELOOP' });
});
