import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Level } from 'level';
import { StateCorruptError, StateLockedError, StateVersionError } from './backend.ts';
import { backendContract, contents, type StateDisk } from './contract.ts';
import { LevelBackend } from './level.ts';

/** A close writes nothing in LevelDB, so it leaves what a killed process leaves. */
async function levelDisk(): Promise<StateDisk & { directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'raftsman-state-'));
  return {
    directory,
    mount: () => new LevelBackend({ directory }),
    crash: backend => backend.close(),
    free: () => rm(directory, { recursive: true }),
  };
}

backendContract(test, 'level', levelDisk);

/** Writes three batches, `flushed` of them durably, then changes the database behind the backend's back. */
async function damaged(
  flushed: number,
  damage: (database: Level<string, Uint8Array>, keys: string[]) => Promise<void>,
) {
  const disk = await levelDisk();
  const backend = disk.mount();
  await contents(backend);
  for (let number = 1; number <= 3; number++) {
    await backend.append(Buffer.from(`${number}`));
    if (number === flushed) await backend.flush();
  }
  await backend.close();
  const database = new Level<string, Uint8Array>(disk.directory, { valueEncoding: 'view' });
  await damage(database, await database.keys({ gte: 'b', lt: 'c' }).all());
  await database.close();
  return disk;
}

test('level: a hole or a flipped bit in what was flushed is refused', async t => {
  const holes = await damaged(3, (database, keys) => database.del(keys[1] ?? ''));
  await t.throwsAsync(contents(holes.mount()), { instanceOf: StateCorruptError });
  const flips = await damaged(2, async (database, keys) => database.put(keys[1] ?? '', Buffer.from('2xxxx')));
  await t.throwsAsync(contents(flips.mount()), { instanceOf: StateCorruptError });
  await rm(holes.directory, { recursive: true });
  await rm(flips.directory, { recursive: true });
});

test('level: what was not flushed ends before its first hole', async t => {
  const disk = await damaged(1, (database, keys) => database.del(keys[1] ?? ''));
  let backend = disk.mount();
  t.deepEqual((await contents(backend)).batches, ['1']);
  await backend.append(Buffer.from('again'));
  await backend.close();
  backend = disk.mount();
  t.deepEqual((await contents(backend)).batches, ['1', 'again']);
  await backend.close();
  await disk.free();
});

test('level: a directory in use, and one of a newer version, are refused', async t => {
  const disk = await levelDisk();
  const backend = disk.mount();
  await contents(backend);
  await t.throwsAsync(disk.mount().open(), { instanceOf: StateLockedError });
  await backend.close();
  const database = new Level<string, string>(disk.directory);
  await database.put('format', '2');
  await database.close();
  await t.throwsAsync(disk.mount().open(), { instanceOf: StateVersionError });
  await disk.free();
});
