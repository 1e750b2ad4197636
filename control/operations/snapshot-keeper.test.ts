/** Scheduled snapshots: taken when due, thinned out, made up for, tried again. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { createMemoryStore } from '../../store/index.ts';
import { ManualClock } from '../client/testing/manual-clock.ts';
import { OperationError } from './errors.ts';
import { parseSchedule } from './schedule.ts';
import { SnapshotFolder } from './snapshot-folder.ts';
import { keepSnapshots } from './snapshot-keeper.ts';

const root = await mkdtemp(join(tmpdir(), 'raftsman-keeper-'));
test.after.always(() => rm(root, { recursive: true, force: true }));
const silent = { info() {}, error() {} };
const HOUR_MS = 3_600_000;

let number = 0;
function setUp(clock: ManualClock) {
  const path = join(root, `${++number}`);
  const store = createMemoryStore();
  const folder = new SnapshotFolder({ folder: path, master: 'one', store, now: () => new Date(clock.now()) });
  return { folder, store, path };
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    if (await condition()) return;
    await new Promise(resolve => setImmediate(resolve));
  }
  throw new Error('not in time');
}

/** Time stands still while a snapshot is being taken: its name says when it was. */
async function passHalfAMinute(clock: ManualClock): Promise<void> {
  if (clock.pending > 0) await clock.advance(30_000);
}

test('snapshots are taken every so often, and only the youngest are kept; those that were asked for stay', async t => {
  const clock = new ManualClock(0);
  const { folder, path } = setUp(clock);
  const saved = await folder.take('saved');
  const stop = keepSnapshots({
    folder,
    schedule: parseSchedule('1h'),
    retention: 2,
    turn: () => ({ rank: 0, count: 1 }),
    clock,
    logger: silent,
  });
  for (let hour = 1; hour <= 4; hour++) {
    const wanted = `scheduled-one-19700101T0${hour}`;
    await clock.advance(hour * HOUR_MS - clock.now() - 60_000);
    t.false((await readdir(path)).some(name => name.startsWith(wanted)));
    await until(async () => {
      await passHalfAMinute(clock);
      return (await readdir(path)).some(name => name.startsWith(wanted) && name.endsWith('.snap'));
    });
  }
  await until(async () => (await folder.list()).length === 3);
  stop();
  const names = (await folder.list()).map(({ name }) => name);
  t.is(names[0], saved.name);
  t.regex(names[1] ?? '', /^scheduled-one-19700101T03/);
  t.regex(names[2] ?? '', /^scheduled-one-19700101T04/);
  t.is((await folder.list())[2]?.keys, 0);
});

test('one that was missed is made up for, one that failed is tried again, and off is off', async t => {
  const clock = new ManualClock(0);
  const { folder } = setUp(clock);
  await folder.take('scheduled');
  await clock.advance(10 * HOUR_MS);
  const errors: string[] = [];
  let failures = 1;
  const flaky = {
    take: async (origin: 'scheduled' | 'saved') => {
      if (failures-- > 0) throw new Error('no quorum');
      return folder.take(origin);
    },
    thinOut: (keep: number) => folder.thinOut(keep),
    lastScheduled: () => folder.lastScheduled(),
  };
  const options = { folder: flaky, retention: 5, turn: () => ({ rank: 0, count: 1 }), clock };
  const stop = keepSnapshots({
    ...options,
    schedule: parseSchedule('4h'),
    logger: { info() {}, error: (_fields, message) => errors.push(message) },
  });
  const stopOff = keepSnapshots({ ...options, schedule: parseSchedule('off'), logger: silent });
  await until(async () => {
    await passHalfAMinute(clock);
    return (await folder.list()).length === 2;
  });
  stop();
  stopOff();
  t.is(errors.length, 1);
});

test('the folder lists what it can use and what it cannot, and deletes only its own', async t => {
  const clock = new ManualClock(0);
  const { folder, path, store } = setUp(clock);
  t.deepEqual(await folder.list(), []);
  await store.put('/a', new TextEncoder().encode('1'));
  const good = await folder.take('saved');
  t.like(good, { master: 'one', keys: 1, revision: 2 });
  await writeFile(join(path, 'saved-one-19700101T000001Z.snap'), 'nonsense');
  await writeFile(join(path, 'notes.txt'), 'mine');
  const [first, second, ...more] = await folder.list();
  t.is(first?.problem, undefined);
  t.regex(second?.problem ?? '', /is not a raftsman snapshot/);
  t.deepEqual(more, []);
  await t.throwsAsync(folder.delete('notes.txt'), { instanceOf: OperationError });
  await t.throwsAsync(folder.delete('../x'), { instanceOf: OperationError });
  await folder.delete(good.name);
  t.is((await folder.list()).length, 1);
});
