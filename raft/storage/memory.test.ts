import test from 'ava';
import { type Disk, datas, entries, hard, identity, membership, ready, storageContract } from './contract.ts';
import { MemoryDisk, MemoryStorage } from './memory.ts';
import { LogCorruptError, StorageFailedError } from './storage.ts';

function memoryDisk(disk = new MemoryDisk()): Disk & { readonly disk: MemoryDisk } {
  return {
    disk,
    mount: () => new MemoryStorage(disk),
    crash: async () => disk.crash(),
    free: async () => {},
  };
}

storageContract(test, 'memory', async () => memoryDisk());

test('memory: a crash loses what was not acknowledged, or keeps all of it', async t => {
  for (const pendingKept of [0, 1]) {
    const mounted = memoryDisk();
    const storage = await ready(mounted);
    await storage.save({ entries: entries(1, 2, 1) });
    mounted.disk.setFault(() => new Promise(() => {}));
    void storage.save({ entries: entries(3, 1, 1), hardState: hard(5) });
    mounted.disk.crash({ pendingKept });
    mounted.disk.setFault(undefined);
    const state = await new MemoryStorage(mounted.disk).open();
    t.deepEqual(datas(state), pendingKept === 0 ? ['1:1', '1:2'] : ['1:1', '1:2', '1:3']);
    t.is(state.hardState.term, pendingKept === 0 ? 0 : 5);
  }
});

test('memory: a failed write poisons the storage', async t => {
  const mounted = memoryDisk();
  const storage = await ready(mounted);
  mounted.disk.setFault(async () => {
    throw new Error('bad sector');
  });
  await t.throwsAsync(storage.save({ entries: entries(1, 1, 1) }), { instanceOf: StorageFailedError });
  mounted.disk.setFault(undefined);
  await t.throwsAsync(storage.save({ entries: entries(1, 1, 1) }), { instanceOf: StorageFailedError });
  await t.throwsAsync(storage.compact({ index: 0, term: 0, membership }), { instanceOf: StorageFailedError });
});

test('memory: damage of every kind is found', async t => {
  const damages: Record<string, (disk: MemoryDisk) => void> = {
    'a bit of the last record': disk => disk.flipBit({ fromEnd: 0, bit: 300 }),
    'a bit of an old record': disk => disk.flipBit({ fromEnd: 3, bit: 99 }),
    'a lost record': disk => disk.loseRecord(2),
    'a record in the place of another': disk => disk.misdirect(2),
    'the last record in the place of the one before': disk => disk.misdirect(0),
    'a lost end': disk => disk.cutTail(2),
  };
  for (const [title, damage] of Object.entries(damages)) {
    const mounted = memoryDisk();
    const storage = await ready(mounted);
    for (let index = 1; index <= 6; index++) await storage.save({ entries: entries(index, 1, 1) });
    mounted.disk.crash();
    damage(mounted.disk);
    await t.throwsAsync(new MemoryStorage(mounted.disk).open(), { instanceOf: LogCorruptError }, title);
  }
});

test('memory: what a crash left unacknowledged counts once it was read back', async t => {
  const mounted = memoryDisk();
  const storage = await ready(mounted);
  await storage.save({ entries: entries(1, 1, 1) });
  mounted.disk.setFault(() => new Promise(() => {}));
  void storage.save({ entries: entries(2, 1, 1) });
  mounted.disk.setFault(undefined);
  mounted.disk.crash({ pendingKept: 1 });
  t.is(mounted.disk.unwitnessedCount, 1);
  t.is((await new MemoryStorage(mounted.disk).open()).entries.length, 2);
  t.is(mounted.disk.unwitnessedCount, 0);
  mounted.disk.crash();
  mounted.disk.cutTail(1);
  await t.throwsAsync(new MemoryStorage(mounted.disk).open(), { instanceOf: LogCorruptError });
});

test('memory: a wiped disk is a new one', async t => {
  const mounted = memoryDisk();
  const storage = await ready(mounted);
  await storage.save({ entries: entries(1, 1, 1) });
  mounted.disk.crash();
  mounted.disk.wipe();
  const again = new MemoryStorage(mounted.disk);
  t.is((await again.open()).identity, undefined);
  await again.initialize({ ...identity, memberId: 'ffffffffffffffff' }, membership);
});
