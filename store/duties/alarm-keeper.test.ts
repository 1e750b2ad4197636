import test from 'ava';
import type { Alarm } from '../client/client.ts';
import { DISK_ALARM_ABSENT_MS, QUOTA_CHECK_MS } from '../limits.ts';
import type { Command } from '../mvcc/command.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { AlarmKeeper, planDisarm } from './alarm-keeper.ts';

const [ME, PEER, GONE] = ['a', 'b', 'c'].map(letter => letter.repeat(16)) as [string, string, string];
const quota: Alarm = { type: 'NOSPACE', memberId: ME, cause: 'quota' };
const disk = (memberId: string): Alarm => ({ type: 'NOSPACE', memberId, cause: 'disk' });
const corrupt = (memberId: string): Alarm => ({ type: 'CORRUPT', memberId, cause: 'divergence' });

test('which alarms are over', t => {
  const facts = { quotaBytes: 1_000, nowMs: 100_000, heardMs: new Map([[ME, 100_000]]) };
  const over = (alarm: Alarm, liveBytes: number, heardMs = facts.heardMs) =>
    planDisarm({ ...facts, heardMs, alarms: [alarm], liveBytes }).length === 1;
  t.false(over(quota, 1_000));
  t.false(over(quota, 950));
  t.true(over(quota, 949));
  t.false(over(disk(ME), 0));
  const heardAgo = (ms: number) => new Map([[PEER, facts.nowMs - ms]]);
  t.false(over(disk(PEER), 0, heardAgo(DISK_ALARM_ABSENT_MS - 1)));
  t.true(over(disk(PEER), 0, heardAgo(DISK_ALARM_ABSENT_MS)));
  t.false(over(corrupt(PEER), 0, heardAgo(DISK_ALARM_ABSENT_MS)), 'absence makes nobody’s data right');
  t.true(over(disk(GONE), 0), 'it was removed');
  t.true(over(corrupt(GONE), 0));
  t.false(over(corrupt(''), 0));
});

class World {
  readonly clock = new ManualClock();
  readonly commands: Command[] = [];
  alarms: Alarm[] = [];
  liveBytes = 1_000;
  isPeerActive = true;
  isFailing = false;
  readonly keeper = new AlarmKeeper({
    clock: this.clock,
    quotaBytes: 1_000,
    state: () => this,
    status: () => {
      const members = [ME, PEER].map(id => ({ id, name: id, peerAddress: '', clientUrl: '', role: 'voter' as const }));
      const progress = { [PEER]: { matchIndex: 0, active: this.isPeerActive } };
      // The keeper looks at nothing else of it.
      return { id: ME, membership: { clusterId: '', members }, progress };
    },
    propose: async command => {
      this.commands.push(command);
      if (this.isFailing) throw new Error('nobody leads');
      if (command.type === 'alarm' && command.action === 'disarm') this.alarms = [];
    },
  });
}

const turn = () => new Promise(resolve => setImmediate(resolve));

test('a store that was emptied takes puts again by itself; what fails is tried again', async t => {
  const world = new World();
  world.alarms = [quota];
  world.keeper.start();
  world.clock.advance(10 * QUOTA_CHECK_MS);
  t.deepEqual(world.commands, []);
  world.liveBytes = 500;
  world.isFailing = true;
  world.clock.advance(QUOTA_CHECK_MS);
  await turn();
  t.is(world.alarms.length, 1);
  world.isFailing = false;
  world.clock.advance(QUOTA_CHECK_MS);
  await turn();
  t.deepEqual(world.alarms, []);
  t.deepEqual(world.commands.at(-1), { type: 'alarm', action: 'disarm', filter: quota });
});

test('a dead member with a full disk holds the others up for a while only; a living one as long as it is full', async t => {
  const world = new World();
  world.alarms = [disk(PEER)];
  world.keeper.start();
  world.clock.advance(10 * DISK_ALARM_ABSENT_MS);
  t.deepEqual(world.commands, []);
  world.isPeerActive = false;
  world.clock.advance(DISK_ALARM_ABSENT_MS - QUOTA_CHECK_MS);
  t.deepEqual(world.commands, []);
  world.clock.advance(2 * QUOTA_CHECK_MS);
  await turn();
  t.deepEqual(world.alarms, []);
});

test('who no longer leads takes nothing back', async t => {
  const world = new World();
  world.alarms = [quota];
  world.liveBytes = 0;
  world.keeper.start();
  world.keeper.stop();
  world.clock.advance(10 * QUOTA_CHECK_MS);
  t.deepEqual(world.commands, []);
});
