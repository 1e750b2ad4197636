import test, { type ExecutionContext } from 'ava';
import type { Alarm } from '../client/client.ts';
import { DISK_RESERVE_BYTES_MAX, DISK_RESERVE_BYTES_MIN } from '../limits.ts';
import { silentLogger } from '../logger.ts';
import type { Command } from '../mvcc/command.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { type DiskSpace, DiskWatch, diskSpace, planDiskAlarm, reserveBytes, waitForSpace } from './space.ts';

const GIB = 1024 ** 3;
const ME = 'a'.repeat(16);
const MINE: Alarm = { type: 'NOSPACE', memberId: ME, cause: 'disk' };

test('the reserve is a hundredth of the disk, within bounds, or what was set', t => {
  t.is(reserveBytes(1 * GIB, undefined), DISK_RESERVE_BYTES_MIN);
  t.is(reserveBytes(20 * GIB, undefined), 0.01 * 20 * GIB);
  t.is(reserveBytes(10_000 * GIB, undefined), DISK_RESERVE_BYTES_MAX);
  t.is(reserveBytes(10_000 * GIB, 5_000), 5_000);
});

test('the alarm comes below the reserve and goes well above it, so that it does not flap', t => {
  const plan = (freeBytes: number, isRaised: boolean) =>
    planDiskAlarm({ space: { freeBytes, totalBytes: GIB }, reserveSetting: 1_000, isRaised });
  t.is(plan(1_000, false), 'leave');
  t.is(plan(999, false), 'raise');
  t.is(plan(999, true), 'leave');
  t.is(plan(1_249, true), 'leave');
  t.is(plan(1_250, true), 'disarm');
  t.is(plan(1_250, false), 'leave');
});

/** A disk to fill and empty, and a cluster that does what it is told, or not. */
class World {
  readonly clock = new ManualClock();
  readonly commands: Command[] = [];
  alarms: Alarm[] = [];
  space: DiskSpace = { freeBytes: 5_000, totalBytes: GIB };
  isReachable = true;
  isDiskReadable = true;
  readonly watch = new DiskWatch({
    clock: this.clock,
    logger: silentLogger,
    memberId: ME,
    space: async () => {
      if (!this.isDiskReadable) throw new Error('the disk says nothing');
      return this.space;
    },
    reserveBytes: 1_000,
    checkMs: 100,
    alarms: () => this.alarms,
    execute: async command => {
      if (!this.isReachable) throw new Error('nobody leads');
      this.commands.push(command);
      if (command.type !== 'alarm') return;
      if (command.action === 'raise') this.alarms.push(command.alarm);
      else this.alarms = this.alarms.filter(alarm => alarm.memberId !== command.filter.memberId);
    },
  });

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 50) {
      this.clock.advance(50);
      for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve));
    }
  }
}

test('a member whose disk runs full tells the cluster once, and takes it back when there is space again', async t => {
  const world = new World();
  world.watch.start();
  await world.pass(500);
  t.deepEqual(world.commands, []);
  world.space = { ...world.space, freeBytes: 10 };
  await world.pass(500);
  t.deepEqual(world.alarms, [MINE]);
  t.is(world.commands.length, 1);
  world.space = { ...world.space, freeBytes: 1_100 };
  await world.pass(500);
  t.deepEqual(world.alarms, [MINE]);
  world.space = { ...world.space, freeBytes: 2_000 };
  await world.pass(500);
  t.deepEqual(world.alarms, []);
  t.is(world.commands.length, 2);
  world.watch.stop();
  world.space = { ...world.space, freeBytes: 10 };
  await world.pass(500);
  t.is(world.commands.length, 2, 'a member that has stopped says nothing');
});

test('what it could not tell, or not find out, it tries again', async t => {
  const world = new World();
  world.space = { ...world.space, freeBytes: 10 };
  world.isReachable = false;
  world.watch.start();
  await world.pass(300);
  t.deepEqual(world.alarms, []);
  world.isReachable = true;
  world.isDiskReadable = false;
  await world.pass(300);
  t.deepEqual(world.alarms, []);
  world.isDiskReadable = true;
  await world.pass(300);
  t.deepEqual(world.alarms, [MINE]);
  world.alarms = [];
  await world.pass(300);
  t.deepEqual(world.alarms, [MINE], 'disarmed by hand while the disk is full, it comes again');
  world.watch.stop();
});

test('the full disks of others are their business', async t => {
  const world = new World();
  world.alarms = [{ ...MINE, memberId: 'b'.repeat(16) }];
  world.watch.start();
  await world.pass(300);
  t.deepEqual(world.commands, []);
  world.watch.stop();
});

async function waiting(t: ExecutionContext, freeBytes: number) {
  const clock = new ManualClock();
  const said: string[] = [];
  const space = { freeBytes, totalBytes: GIB };
  let isDone = false;
  const logger = { ...silentLogger, error: (_: object, message: string) => said.push(message) };
  const done = waitForSpace({
    clock,
    logger,
    directory: '/data',
    space: async () => ({ ...space }),
    reserveBytes: 1_000,
    checkMs: 100,
  }).then(() => {
    isDone = true;
  });
  const pass = async () => {
    clock.advance(100);
    for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve));
  };
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve));
  return { space, said, done, pass, isDone: () => isDone, t };
}

test('a member that finds its disk full at its start says so once, and waits', async t => {
  const start = await waiting(t, 249);
  for (let round = 0; round < 5; round++) await start.pass();
  t.false(start.isDone());
  t.is(start.said.length, 1);
  t.regex(start.said[0] ?? '', /\/data is full: free at least 250 bytes; this member starts by itself/);
  start.space.freeBytes = 250;
  await start.pass();
  await start.done;
  t.true((await waiting(t, 250)).isDone(), 'with enough it does not wait at all');
});

test('the system says how much space there is', async t => {
  const { freeBytes, totalBytes } = await diskSpace('/');
  t.true(totalBytes > 0 && freeBytes >= 0 && freeBytes <= totalBytes);
});
