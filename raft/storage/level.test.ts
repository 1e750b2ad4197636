import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Level } from 'level';
import { type Disk, datas, entries, hard, ready, storageContract } from './contract.ts';
import { LevelStorage } from './level.ts';
import { DataLockedError, DataVersionError, LogCorruptError } from './storage.ts';

/**
 * A directory. LevelDB writes nothing when it closes, so what a close leaves is what a killed process leaves; a copy of
 * the open files would race with LevelDB's own threads.
 */
async function levelDisk(): Promise<Disk & { directory: () => string }> {
  const root = await mkdtemp(join(tmpdir(), 'raftsman-log-'));
  const directory = () => join(root, 'data');
  return {
    directory,
    mount: () => new LevelStorage({ directory: directory() }),
    crash: storage => storage.close(),
    free: () => rm(root, { recursive: true }),
  };
}

storageContract(test, 'level', levelDisk);

async function withDisk(run: (disk: Awaited<ReturnType<typeof levelDisk>>) => Promise<void>): Promise<void> {
  const disk = await levelDisk();
  try {
    await run(disk);
  } finally {
    await disk.free();
  }
}

/** LevelDB's own log file, where fresh records lie. */
async function writeAheadFile(directory: string): Promise<string> {
  const names = (await readdir(join(directory, 'log'))).filter(name => /^\d+\.log$/.test(name)).sort();
  return join(directory, 'log', names.at(-1) ?? '');
}

test('level: a flipped bit in the file is found, wherever it is', async t => {
  for (const share of [0.1, 0.3, 0.5, 0.7, 0.9]) {
    await withDisk(async disk => {
      const storage = await ready(disk);
      for (let index = 1; index <= 200; index++) await storage.save({ entries: entries(index, 3, index).slice(0, 1) });
      await disk.crash(storage);
      const file = await writeAheadFile(disk.directory());
      const content = await readFile(file);
      const at = Math.floor(content.length * share);
      content[at] = (content[at] ?? 0) ^ 0x10;
      await writeFile(file, content);
      const error = await t.throwsAsync(new LevelStorage({ directory: disk.directory() }).open(), {
        instanceOf: LogCorruptError,
      });
      t.regex(error?.message ?? '', /join it again/);
    });
  }
});

test('level: a file that lost its end is found', async t => {
  for (const bytes of [1, 100, 1000]) {
    await withDisk(async disk => {
      const storage = await ready(disk);
      for (let index = 1; index <= 100; index++) await storage.save({ entries: entries(index, 1, 1) });
      await disk.crash(storage);
      const file = await writeAheadFile(disk.directory());
      const { length } = await readFile(file);
      await truncate(file, length - bytes);
      await t.throwsAsync(new LevelStorage({ directory: disk.directory() }).open(), { instanceOf: LogCorruptError });
    });
  }
});

test('level: a log whose database was removed is not taken for a new one', async t => {
  await withDisk(async disk => {
    const storage = await ready(disk);
    await storage.save({ entries: entries(1, 1, 1) });
    await storage.close();
    await rm(join(disk.directory(), 'log'), { recursive: true });
    await t.throwsAsync(new LevelStorage({ directory: disk.directory() }).open(), { instanceOf: LogCorruptError });
  });
});

test('level: what a crash left without a witness has one once it was read back', async t => {
  await withDisk(async disk => {
    const storage = await ready(disk);
    const headPath = join(disk.directory(), 'head');
    await storage.save({ entries: entries(1, 1, 1) });
    const older = await readFile(headPath);
    await storage.save({ entries: entries(2, 1, 1) });
    const newer = await readFile(headPath);
    await storage.close();
    // The process died between the log and its head.
    await writeFile(headPath, older);
    const again = new LevelStorage({ directory: disk.directory() });
    t.is((await again.open()).entries.length, 2);
    await again.close();
    t.deepEqual(await readFile(headPath), newer);
  });
});

test('level: a wiped directory is a new one', async t => {
  await withDisk(async disk => {
    const storage = await ready(disk);
    await storage.close();
    await rm(disk.directory(), { recursive: true });
    const again = new LevelStorage({ directory: disk.directory() });
    t.is((await again.open()).identity, undefined);
    await again.close();
  });
});

test('level: a directory in use, and one of a newer version, are refused', async t => {
  await withDisk(async disk => {
    const storage = await ready(disk);
    await t.throwsAsync(new LevelStorage({ directory: disk.directory() }).open(), { instanceOf: DataLockedError });
    await storage.close();
    const database = new Level<string, string>(join(disk.directory(), 'log'));
    await database.put('format', '2');
    await database.close();
    await t.throwsAsync(new LevelStorage({ directory: disk.directory() }).open(), { instanceOf: DataVersionError });
  });
});

test('level: compaction frees the records it makes useless', async t => {
  await withDisk(async disk => {
    let storage = await ready(disk);
    for (let index = 1; index <= 50; index++) await storage.save({ entries: entries(index, 1, 1), hardState: hard(1) });
    await storage.compact({ index: 40, term: 1, membership: { clusterId: 'c', members: [] } });
    await storage.close();
    const database = new Level<string, string>(join(disk.directory(), 'log'));
    t.is((await database.keys({ gte: 'r', lt: 's' }).all()).length, 10);
    await database.close();
    storage = (await disk.mount()) as LevelStorage;
    t.is(datas(await storage.open()).length, 10);
    await storage.close();
  });
});

test('level: a process killed before what a compaction made useless was gone leaves a whole log', async t => {
  for (const left of [1, 20, 39]) {
    await withDisk(async disk => {
      const storage = await ready(disk);
      for (let index = 1; index <= 50; index++) {
        await storage.save({ entries: entries(index, 1, 1), hardState: hard(1) });
      }
      await storage.close();
      const before = await recordsOf(disk.directory());
      const compacting = new LevelStorage({ directory: disk.directory() });
      await compacting.open();
      await compacting.compact({ index: 40, term: 1, membership: { clusterId: 'c', members: [] } });
      await compacting.close();
      const after = await recordsOf(disk.directory());
      // LevelDB removes them one by one, the oldest first.
      const gone = [...before].filter(([key]) => !after.has(key));
      await putBack(disk.directory(), gone.slice(-left));

      const again = new LevelStorage({ directory: disk.directory() });
      const state = await again.open();
      t.deepEqual([state.snapshot.index, state.entries[0]?.index, state.entries.at(-1)?.index], [40, 41, 50]);
      await again.save({ entries: entries(51, 1, 1) });
      await again.close();
      t.is((await recordsOf(disk.directory())).size, after.size + 1, 'what was left is gone then');

      await putBack(disk.directory(), gone.slice(-left));
      const { entries: salvaged, lost } = await new LevelStorage({ directory: disk.directory() }).salvage();
      t.deepEqual([salvaged.length, lost.records], [11, 0]);
    });
  }
});

async function recordsOf(directory: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const database = new Level<string, Uint8Array>(join(directory, 'log'), { valueEncoding: 'view' });
  const records = await database.iterator({ gte: 'r', lt: 's' }).all();
  await database.close();
  return new Map(records);
}

async function putBack(directory: string, records: readonly (readonly [string, Uint8Array])[]): Promise<void> {
  const database = new Level<string, Uint8Array>(join(directory, 'log'), { valueEncoding: 'view' });
  for (const [key, bytes] of records) await database.put(key, bytes);
  await database.close();
}
