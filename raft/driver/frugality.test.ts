/** What a group does for its callers is bounded in writes, messages and turns, whatever the machine's speed. */
import test from 'ava';
import type { Clock } from './clock.ts';
import type { RaftObserver } from './observer.ts';
import { systemClock } from './system-clock.ts';
import { Group } from './testing/group.ts';

const PROPOSALS = 1_000;

function counting() {
  const counts = { writes: 0, turns: 0, appends: 0 };
  const observer: RaftObserver = {
    appended: (_durationMs, entries) => {
      if (entries > 0) counts.writes++;
    },
  };
  const clock: Clock = {
    ...systemClock,
    nextTurn: callback => {
      counts.turns++;
      systemClock.nextTurn(callback);
    },
  };
  return { counts, observer, clock };
}

test('a thousand proposals of one turn share a write a member and an append a follower', async t => {
  const { counts, observer, clock } = counting();
  const group = await Group.start(3, { observer, clock });
  const leader = await group.leaderOnce();
  await leader.node.propose(Buffer.from('warm'));
  group.network.observe = message => {
    if (message.type === 'appendRequest' && message.entries.length > 0) counts.appends++;
  };
  Object.assign(counts, { writes: 0, turns: 0 });
  await Promise.all(Array.from({ length: PROPOSALS }, (_, i) => leader.node.propose(Buffer.from(`c${i}`))));
  // One each is what it takes; twice that leaves room for an election or a full message.
  t.true(counts.writes <= 6, `${counts.writes} writes`);
  t.true(counts.appends <= 4, `${counts.appends} appends with entries`);
  // Ticks come on top; per proposal it would be thousands.
  t.true(counts.turns <= 300, `${counts.turns} turns`);
  await group.close();
});

test('one proposal is one write a member and one append a follower', async t => {
  const { counts, observer } = counting();
  const group = await Group.start(3, { observer });
  const leader = await group.leaderOnce();
  await leader.node.propose(Buffer.from('warm'));
  group.network.observe = message => {
    if (message.type === 'appendRequest' && message.entries.length > 0) counts.appends++;
  };
  counts.writes = 0;
  for (let i = 0; i < 50; i++) await leader.node.propose(Buffer.from(`c${i}`));
  // A follower that lags shares a write; none may take two for one entry.
  t.true(counts.writes <= 3 * 51, `${counts.writes} writes`);
  t.true(counts.appends <= 2 * 51, `${counts.appends} appends with entries`);
  await group.close();
});
