/** What disks do to a log, and what is made of it: never a wrong entry, never a lost one without a word. */
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { entries, hard, identity, membership, snapshotAt, summary } from './contract.ts';
import { LevelStorage } from './level.ts';
import { MemoryDisk, MemoryStorage } from './memory.ts';
import { LogCorruptError, type RaftStorage, StorageFailedError } from './storage.ts';
import { copyTo, cutTail, dataFiles, flipBit, seeded, smallDisk } from './testing/damage.ts';

const FLIPS = 60;

async function withDirectory(run: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'raftsman-faults-'));
  try {
    await run(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** A log of a hundred entries, begun by a compaction. With `inTables` it lies in LevelDB's tables, else in its own log. */
async function writeLog(directory: string, inTables: boolean): Promise<void> {
  const storage = new LevelStorage({ directory });
  await storage.open();
  await storage.initialize(identity, membership);
  for (let index = 1; index <= 100; index++) {
    const data = Buffer.alloc(inTables ? 3_000 : 100, index);
    await storage.save({ entries: [{ index, term: 1, kind: 'command', data }], hardState: hard(1, identity.memberId) });
  }
  await storage.compact(snapshotAt(10, 1));
  await storage.close();
  if (inTables) await readLog(directory);
}

async function readLog(directory: string) {
  const storage = new LevelStorage({ directory });
  try {
    const state = await storage.open();
    return { ...summary(state), identity: state.identity };
  } finally {
    await storage.close();
  }
}

/** Damages copies of a log; each must read back as it was, or be refused as damaged. Answers how many were refused. */
async function damageCopies(
  t: ExecutionContext,
  options: { inTables: boolean; damage: (directory: string, random: () => number) => Promise<string> },
): Promise<number> {
  let refused = 0;
  await withDirectory(async root => {
    const directory = join(root, 'whole');
    await writeLog(directory, options.inTables);
    const expected = await (async () => {
      await copyTo(directory, join(root, 'copy'));
      return readLog(join(root, 'copy'));
    })();
    const random = seeded(7);
    for (let round = 0; round < FLIPS; round++) {
      await copyTo(directory, join(root, 'copy'));
      const where = await options.damage(join(root, 'copy'), random);
      try {
        const found = await readLog(join(root, 'copy'));
        t.deepEqual([found.identity, found.hardState], [expected.identity, expected.hardState], where);
        // A lost compaction leaves entries that were to be forgotten, and takes none away.
        t.true(found.snapshot.index <= expected.snapshot.index, where);
        t.deepEqual(found.log.slice(-expected.log.length), expected.log, where);
      } catch (error) {
        t.true(error instanceof LogCorruptError, `${where}: ${error}`);
        refused++;
      }
    }
  });
  return refused;
}

test('of a damaged log what is whole can be had: never a wrong entry, and never without a word on the rest', async t => {
  await withDirectory(async root => {
    const random = seeded(11);
    for (const inTables of [false, true]) {
      const directory = join(root, `whole-${inTables}`);
      await writeLog(directory, inTables);
      const expected = Array.from({ length: 100 }, (_, at) => at + 1);
      const bytesOf = (index: number) => Buffer.alloc(inTables ? 3_000 : 100, index);
      let shortened = 0;
      for (let round = 0; round < FLIPS / 2; round++) {
        const copy = join(root, 'copy');
        await copyTo(directory, copy);
        const where = await (round % 2 === 0 ? flipBit : cutTail)(copy, random);
        const opened = await readLog(copy).catch((error: unknown) => error);
        if (!(opened instanceof LogCorruptError)) continue;
        try {
          const {
            entries: found,
            identity: owner,
            lost,
            snapshot,
          } = await new LevelStorage({ directory: copy }).salvage();
          t.deepEqual(owner, identity, where);
          t.deepEqual(
            found.map(({ index }) => index),
            expected.slice(snapshot.index, snapshot.index + found.length),
            where,
          );
          t.true(
            found.every(({ index, data }) => bytesOf(index).equals(data)),
            where,
          );
          if (snapshot.index + found.length < 100) {
            shortened++;
            t.true(lost.records > 0, `${where}: a hundred entries, of which ${found.length} are left`);
          }
        } catch (error) {
          t.true(error instanceof LogCorruptError, `${where}: ${error}`);
        }
      }
      t.true(shortened > 0, 'some were shortened');
    }
  });
});

for (const inTables of [false, true]) {
  const where = inTables ? 'LevelDB’s tables' : 'LevelDB’s log';
  test(`a flipped bit anywhere in the files, the log in ${where}, is harmless or refused`, async t => {
    t.true((await damageCopies(t, { inTables, damage: flipBit })) > FLIPS / 4);
  });

  test(`a lost tail of any file, the log in ${where}, is harmless or refused`, async t => {
    t.true((await damageCopies(t, { inTables, damage: cutTail })) > FLIPS / 4);
  });
}

test('a torn end that nobody was told of does not stop the start (etcd #5230, #11488)', async t => {
  await withDirectory(async root => {
    const directory = join(root, 'data');
    const storage = new LevelStorage({ directory });
    await storage.open();
    await storage.initialize(identity, membership);
    for (let index = 1; index <= 20; index++) await storage.save({ entries: entries(index, 1, 1) });
    const head = await readFile(join(directory, 'head'));
    const [ahead] = (await dataFiles(join(directory, 'log'))).filter(path => path.endsWith('.log'));
    const { size } = await stat(ahead ?? '');
    await storage.save({ entries: entries(21, 1, 1) });
    await storage.close();
    // The process died within that last save: some of it is on the disk, and its head is not.
    const { size: sizeAfter } = await stat(ahead ?? '');
    for (let left = sizeAfter - 1; left >= size; left -= 7) {
      await copyTo(directory, join(root, 'copy'));
      await writeFile(join(root, 'copy', 'head'), head);
      await truncate((ahead ?? '').replace(directory, join(root, 'copy')), left);
      t.is((await readLog(join(root, 'copy'))).log.length, 20, `${left} of ${sizeAfter} bytes`);
    }
  });
});

test('a log that was put back while its witness was not is refused: promises are missing', async t => {
  await withDirectory(async root => {
    const directory = join(root, 'data');
    await writeLog(directory, false);
    await copyTo(join(directory, 'log'), join(root, 'older'));
    const storage = new LevelStorage({ directory });
    await storage.open();
    await storage.save({ entries: entries(101, 1, 1) });
    await storage.close();
    await copyTo(join(root, 'older'), join(directory, 'log'));
    await t.throwsAsync(readLog(directory), { instanceOf: LogCorruptError, message: /the end is lost/ });
  });
});

test('a wiped directory is that of a new member; half of one is refused', async t => {
  await withDirectory(async root => {
    const directory = join(root, 'data');
    await writeLog(directory, false);
    await rm(join(directory, 'log'), { recursive: true });
    await t.throwsAsync(readLog(directory), { instanceOf: LogCorruptError, message: /must not vote/ });
    await rm(directory, { recursive: true });
    t.is((await readLog(directory)).identity, undefined);
  });
});

test('after a failed fsync nothing is tried again, and nothing else is written', async t => {
  const disk = new MemoryDisk();
  const storage = new MemoryStorage(disk);
  await storage.open();
  await storage.initialize(identity, membership);
  let writes = 0;
  disk.setFault(async () => {
    writes++;
    throw new Error('EIO: i/o error, fsync');
  });
  await t.throwsAsync(storage.save({ entries: entries(1, 1, 1) }), { instanceOf: StorageFailedError });
  disk.setFault(async () => {
    writes++;
  });
  const calls: ((one: RaftStorage) => Promise<unknown>)[] = [
    one => one.save({ entries: entries(1, 1, 1) }),
    one => one.save({ hardState: hard(2) }),
    one => one.compact(snapshotAt(0, 0)),
    one => one.reset(snapshotAt(5, 1), hard(2)),
  ];
  for (const call of calls) await t.throwsAsync(call(storage), { instanceOf: StorageFailedError });
  t.is(writes, 1);
});

test('a full disk ends the storage with a word on what to do; what was acknowledged is there once there is space', async t => {
  await withDirectory(async root => {
    const disk = await smallDisk(join(root, 'disk'), 8 * 1024 * 1024);
    if (disk === undefined) {
      t.log('skipped: making a small file system needs root');
      t.pass();
      return;
    }
    try {
      const directory = join(disk.path, 'data');
      const storage = new LevelStorage({ directory });
      await storage.open();
      await storage.initialize(identity, membership);
      await disk.fill(256 * 1024);
      let acknowledged = 0;
      const error = await t.throwsAsync(async () => {
        for (let index = 1; ; index++) {
          await storage.save({ entries: [{ index, term: 1, kind: 'command', data: Buffer.alloc(10_000, index) }] });
          acknowledged = index;
        }
      });
      t.true(error instanceof StorageFailedError);
      t.regex(error?.message ?? '', /is full: free some space/);
      t.true(acknowledged > 0);
      await disk.free();
      await t.throwsAsync(storage.save({ hardState: hard(2) }), { is: error }, 'not even with space again');
      await storage.close();
      // What the failed write left is either all there or not at all.
      const { log } = await readLog(directory);
      t.true(log.length === acknowledged || log.length === acknowledged + 1, `${log.length} of ${acknowledged}`);
    } finally {
      await disk.end();
    }
  });
});

test('under a long load the log’s directory stays as large as what it keeps', async t => {
  await withDirectory(async root => {
    const directory = join(root, 'data');
    const storage = new LevelStorage({ directory });
    await storage.open();
    await storage.initialize(identity, membership);
    const tail = 200;
    for (let index = 1; index <= 4_000; index += 20) {
      const added = Array.from({ length: 20 }, (_, offset) => {
        return {
          index: index + offset,
          term: 1,
          kind: 'command',
          data: Buffer.alloc(4_000, (index + offset) * 7),
        } as const;
      });
      await storage.save({ entries: added });
      const target = index + 19 - tail;
      if (target > 0 && index % 200 === 1) await storage.compact(snapshotAt(target, 1));
    }
    await storage.close();
    const bytes = await directoryBytes(directory);
    // LevelDB holds up to two buffers of 4 MiB before it sorts out what was removed.
    t.true(bytes < 12 * 1024 * 1024, `${bytes} bytes for a tail of ${tail * 4_000}; 16,000,000 were written`);
  });
});

async function directoryBytes(directory: string): Promise<number> {
  const { readdir, stat } = await import('node:fs/promises');
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    found.filter(entry => entry.isFile()).map(async entry => (await stat(join(entry.parentPath, entry.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
