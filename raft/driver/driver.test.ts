import test from 'ava';
import { MemoryDisk, MemoryStorage } from '../storage/memory.ts';
import { until } from '../transport/testing/until.ts';
import { createRaftNode } from './driver.ts';
import { type Leadership, NotInitializedError, NotLeaderError, OutcomeUnknownError, OverloadedError } from './node.ts';
import { resolveOptions } from './options.ts';
import { systemClock } from './system-clock.ts';
import { CLUSTER_ID, Group, memberEntry } from './testing/group.ts';
import { LogMachine } from './testing/log-machine.ts';

function text(value: string): Uint8Array {
  return Buffer.from(value);
}

test('a proposal on any member gives the result that the state machine gave here', async t => {
  const group = await Group.start(3);
  const follower = await group.followerOnce();
  const leader = await group.leaderOnce();
  t.is(await leader.node.propose(text('one')), '1:one');
  t.is(await follower.node.propose(text('two')), '2:two');
  t.deepEqual(follower.machine.commands, ['one', 'two'], 'applied here before the promise resolved');
  await group.close();
});

test('a thousand proposals from everywhere are applied once each, in one order', async t => {
  const group = await Group.start(3);
  await group.followerOnce();
  const all = Array.from({ length: 1_000 }, (_, number) => group.get(number % 3).node.propose(text(`c${number}`)));
  const results = await Promise.all(all);
  t.is(new Set(results).size, 1_000);
  await until(() => group.members.every(member => member.machine.commands.length === 1_000));
  t.deepEqual(group.get(1).machine.commands, group.get(0).machine.commands);
  t.deepEqual(group.get(2).machine.commands, group.get(0).machine.commands);
  await group.close();
});

test('a read on a follower sees what was acknowledged before on the leader', async t => {
  const group = await Group.start(3);
  const follower = await group.followerOnce();
  const leader = await group.leaderOnce();
  for (let round = 0; round < 50; round++) {
    await leader.node.propose(text(`r${round}`));
    await follower.node.readBarrier();
    t.is(follower.machine.commands.length, round + 1);
  }
  await group.close();
});

test('reads of one turn share one request to the leader', async t => {
  const group = await Group.start(3);
  const follower = await group.followerOnce();
  const leader = await group.leaderOnce();
  let contexts = 0;
  group.network.observe = message => {
    if (message.type === 'appendRequest' && message.from === leader.id)
      contexts = Math.max(contexts, message.readContext);
  };
  await Promise.all(Array.from({ length: 500 }, () => follower.node.readBarrier()));
  t.true(contexts <= 2, `${contexts} attempts`);
  await group.close();
});

test('a cluster of one serves, and again after a restart that needs no flag', async t => {
  const group = await Group.start(1);
  const member = group.get(0);
  await member.node.propose(text('one'));
  await member.node.close();
  await group.restart(member);
  t.is(await member.node.propose(text('two')), '2:two');
  t.is(member.node.status().clusterId, CLUSTER_ID);
  await group.close();
});

test('an empty storage needs to be told which cluster it is of', async t => {
  const node = createRaftNode({
    storage: new MemoryStorage(new MemoryDisk()),
    transport: new Group().network.join('a'),
    stateMachine: new LogMachine(),
    clock: systemClock,
    random: Math.random,
  });
  await t.throwsAsync(node.start(), { instanceOf: NotInitializedError });
});

test('without a leader a proposal is refused in time, for certain', async t => {
  const group = await Group.start(3);
  const follower = await group.followerOnce();
  for (const member of group.members) if (member !== follower) await member.node.close();
  await until(() => follower.node.status().leader === undefined);
  await t.throwsAsync(follower.node.propose(text('x'), { timeoutMs: 100 }), { instanceOf: NotLeaderError });
  await t.throwsAsync(follower.node.readBarrier({ timeoutMs: 100 }), { instanceOf: NotLeaderError });
  await group.close();
});

test('a proposal that a cut-off leader has taken has an unknown outcome', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  await leader.node.propose(text('before'));
  for (const member of group.members) {
    group.network.cut(leader.id, member.id);
    group.network.cut(member.id, leader.id);
  }
  await t.throwsAsync(leader.node.propose(text('x'), { timeoutMs: 100 }), { instanceOf: OutcomeUnknownError });
  await group.close();
});

test('what a new leader overwrites is reported as dropped, and is nowhere', async t => {
  const group = await Group.start(3);
  const old = await group.leaderOnce();
  await old.node.propose(text('before'));
  const others = group.members.filter(member => member !== old);
  for (const member of others) {
    group.network.cut(old.id, member.id);
    group.network.cut(member.id, old.id);
  }
  const lost = t.throwsAsync(old.node.propose(text('lost')), { code: 'RAFT_PROPOSAL_DROPPED' });
  await until(() => others.some(member => member.node.status().role === 'leader'));
  await others[0]?.node.propose(text('kept'));
  group.network.heal();
  await lost;
  await until(() => old.machine.commands.includes('kept'));
  for (const member of group.members) t.false(member.machine.commands.includes('lost'));
  await group.close();
});

test('too much at once is refused as overload, and only that', async t => {
  const group = await Group.start(3, { options: { limits: { uncommittedBytesMax: 10_000 } } });
  const leader = await group.leaderOnce();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100 }, () => leader.node.propose(new Uint8Array(1_000))),
  );
  const refused = outcomes.filter(outcome => outcome.status === 'rejected');
  t.true(refused.length > 50);
  t.true(refused.every(outcome => outcome.reason instanceof OverloadedError));
  t.is(leader.machine.commands.length, 100 - refused.length);
  await group.close();
});

test('a joiner is a learner, catches up, and becomes a voter; asked of any member', async t => {
  const group = await Group.start(1, { options: { compactEntries: 20, tailEntries: 5 } });
  const founder = await group.leaderOnce();
  for (let count = 0; count < 100; count++) await founder.node.propose(text(`c${count}`));
  t.true(founder.node.status().lastIndex > 100);
  const second = await group.add(1, founder.node.status().membership);
  t.is(second.node.status().role, 'learner');
  const membership = await founder.node.addMember(memberEntry(1));
  t.deepEqual(
    membership.members.map(member => member.role),
    ['voter', 'voter'],
  );
  t.is(second.machine.commands.length, 100, 'through a snapshot, since the log no longer has it all');

  await group.add(2, membership);
  await until(() => second.node.status().leader === founder.id);
  t.is((await second.node.addMember(memberEntry(2))).members.length, 3, 'forwarded to the leader');
  t.is((await founder.node.addMember(memberEntry(2))).members.length, 3, 'a second time changes nothing');
  await t.throwsAsync(founder.node.addMember({ ...memberEntry(3), name: 'm2' }), { code: 'RAFT_MEMBERSHIP_REFUSED' });

  await founder.node.removeMember(memberEntry(2).id);
  await t.throwsAsync(founder.node.addMember(memberEntry(2)), { code: 'RAFT_MEMBERSHIP_REFUSED' }, 'ids are used once');
  await group.close();
});

test('a dead joiner does not cost the quorum (etcd #3505)', async t => {
  const group = await Group.start(1);
  const founder = await group.leaderOnce();
  await t.throwsAsync(founder.node.addMember(memberEntry(1), { timeoutMs: 200 }), { instanceOf: OutcomeUnknownError });
  t.is(await founder.node.propose(text('still here')), '1:still here');
  await group.close();
});

test('leadership is announced once the own term has begun to be applied, and moves on demand', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  const follower = await group.followerOnce();
  const seen: Leadership[] = [];
  const stop = follower.node.onLeadership(leadership => seen.push(leadership));
  t.false(seen[0]?.isLeader);
  await leader.node.propose(text('one'));
  await follower.node.transferLeadership(follower.id);
  await until(() => seen.some(leadership => leadership.isLeader));
  t.is(seen.at(-1)?.leader, follower.id);
  t.is(follower.machine.commands.length, 1);
  stop();
  await group.close();
});

test('a failed write stops the member for good, and is told once', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  leader.disk.setFault(() => Promise.reject(new Error('the disk failed')));
  await t.throwsAsync(leader.node.propose(text('x')), { instanceOf: OutcomeUnknownError });
  t.like(leader.fatal, { code: 'RAFT_STORAGE_FAILED' });
  await t.throwsAsync(leader.node.propose(text('y')), { instanceOf: NotLeaderError });
  await until(() => group.leader() !== undefined);
  await group.close();
});

test('a hung disk makes a leader step down, and another one lead', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  let release = () => {};
  const held = new Promise<void>(resolve => {
    release = resolve;
  });
  leader.disk.setFault(() => held);
  leader.node.propose(text('x')).catch(() => {});
  await until(() => group.members.some(member => member !== leader && member.node.status().role === 'leader'));
  t.not(leader.node.status().role, 'leader');
  release();
  await group.close();
});

test('a follower that was away is sent a snapshot and goes on from its disk after a restart', async t => {
  const group = await Group.start(3, { options: { compactEntries: 20, tailEntries: 5 } });
  const leader = await group.leaderOnce();
  const away = await group.followerOnce();
  await away.node.close();
  for (let count = 0; count < 100; count++) await leader.node.propose(text(`c${count}`));
  await group.restart(away);
  await until(() => away.machine.commands.length === 100);
  t.deepEqual(away.machine.commands, leader.machine.commands);
  await away.node.close();
  await group.restart(away);
  await until(() => away.machine.commands.length === 100);
  await group.close();
});

test('a crash between replacing the log and the state is healed by another snapshot', async t => {
  const group = await Group.start(3, { options: { compactEntries: 20, tailEntries: 5 } });
  const leader = await group.leaderOnce();
  const away = await group.followerOnce();
  await away.node.close();
  for (let count = 0; count < 100; count++) await leader.node.propose(text(`c${count}`));
  await group.restart(away, {
    reach: point => {
      if (point === 'afterReset') throw new Error('crashed here');
    },
  });
  await until(() => away.fatal !== undefined);
  away.disk.crash();
  await group.restart(away);
  await until(() => away.machine.commands.length === 100);
  t.deepEqual(away.machine.commands, leader.machine.commands);
  await group.close();
});

test('a member on a state that was put there by a restore leads alone, and others join it by snapshot', async t => {
  const group = new Group();
  const { id } = memberEntry(0);
  const members = [{ ...memberEntry(0), role: 'voter' as const }];
  const membership = { clusterId: CLUSTER_ID, members };
  const disk = new MemoryDisk();
  const storage = new MemoryStorage(disk);
  await storage.open();
  await storage.initialize({ clusterId: CLUSTER_ID, memberId: id, name: 'm0' }, membership);
  await storage.reset({ index: 50, term: 3, membership }, { term: 3, votedFor: undefined, commit: 50 });
  await storage.close();
  const founder = await group.add(0, membership, {
    storage: new MemoryStorage(disk),
    stateMachine: new LogMachine({ appliedIndex: 50, commands: ['restored'] }),
  });
  await group.leaderOnce();
  t.is(await founder.node.propose(text('new')), '2:new');
  const joiner = await group.add(1, founder.node.status().membership);
  await founder.node.addMember(memberEntry(1));
  t.deepEqual(joiner.machine.commands, ['restored', 'new']);
  await group.close();
});

test('times that do not fit each other are refused', t => {
  t.throws(() => resolveOptions({ heartbeatMs: 50, electionTimeoutMs: 100 }), { instanceOf: RangeError });
  t.throws(() => resolveOptions({ tickMs: 100, heartbeatMs: 50 }), { instanceOf: RangeError });
  t.like(resolveOptions(), { heartbeatMs: 50, electionTimeoutMs: 500, tickMs: 10 });
});
