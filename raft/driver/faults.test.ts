/** Disks that fail, hang or go back in time, under whole members: nothing that was said is unsaid, and somebody leads. */
import test, { type ExecutionContext } from 'ava';
import type { Message } from '../core/messages.ts';
import { LogCorruptError } from '../storage/storage.ts';
import { until } from '../transport/testing/until.ts';
import { OutcomeUnknownError } from './node.ts';
import { Group, type GroupMember, memberEntry } from './testing/group.ts';
import { forgottenPromise, NOTHING_HEARD, Witness } from './witness.ts';

const text = (word: string) => Buffer.from(word);

/** Holds all writes of a member back until it is told to go on. */
function hang(member: GroupMember): () => void {
  let release = () => {};
  const held = new Promise<void>(resolve => {
    release = resolve;
  });
  member.disk.setFault(() => held);
  return () => {
    member.disk.setFault(undefined);
    release();
  };
}

/** What another member knows to be durable on this one. */
function matchOf(group: Group, member: GroupMember): number {
  return group.leader()?.node.status().progress?.[member.id]?.matchIndex ?? 0;
}

/** Keeps a member's disks as they are now; the answer puts them back. */
function copyOf(member: GroupMember): () => void {
  const putBack = member.disk.copy();
  const { appliedIndex, commands } = member.machineDisk;
  return () => {
    putBack();
    Object.assign(member.machineDisk, { appliedIndex, commands });
  };
}

test('a failed fsync ends the member at once; it is told once, and no other write is tried', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  await leader.node.propose(text('before'));
  let writes = 0;
  leader.disk.setFault(async () => {
    writes++;
    throw new Error('EIO: i/o error, fsync');
  });
  await t.throwsAsync(leader.node.propose(text('lost')), { instanceOf: OutcomeUnknownError });
  t.like(leader.fatal, { code: 'RAFT_STORAGE_FAILED' });
  const next = await nextLeader(group, leader);
  await next.node.propose(text('after'));
  t.is(writes, 1);
  await group.close();
});

test('a leader whose fsync hangs steps down, though its heartbeats would go on; what it took may still come about', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  await leader.node.propose(text('before'));
  const { term } = leader.node.status();
  const release = hang(leader);
  const outcome = leader.node.propose(text('hanging')).then(
    () => 'done',
    (error: Error) => error.name,
  );
  const next = await nextLeader(group, leader);
  t.true(next.node.status().term > term);
  t.not(leader.node.status().role, 'leader');
  await next.node.propose(text('after'));
  release();
  await until(() => leader.machine.commands.includes('after'));
  t.deepEqual(leader.machine.commands, next.machine.commands);
  t.true(['done', 'OutcomeUnknownError', 'ProposalDroppedError'].includes(await outcome));
  await group.close();
});

test('a leader whose fsync hangs does not come back as long as it hangs', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  const release = hang(leader);
  leader.node.propose(text('hanging')).catch(() => {});
  const next = await nextLeader(group, leader);
  const { term } = next.node.status();
  for (let n = 0; n < 50; n++) await next.node.propose(text(`${n}`));
  t.is(next.node.status().term, term, 'it disturbs nobody');
  release();
  await group.close();
});

test('a follower whose fsync hangs acknowledges nothing more, and no heartbeat hides that', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  const slow = await group.followerOnce();
  await leader.node.propose(text('before'));
  const before = leader.node.status().commitIndex;
  await until(() => matchOf(group, slow) >= before);
  const release = hang(slow);
  for (let n = 0; n < 30; n++) await leader.node.propose(text(`${n}`));
  t.is(leader.node.status().role, 'leader');
  // One write was begun and did not end; what it holds and all that follows is not acknowledged.
  t.true(matchOf(group, slow) <= before);
  // It answers heartbeats all the while.
  await until(() => leader.node.status().progress?.[slow.id]?.active === true);
  t.true(matchOf(group, slow) <= before);
  t.false(slow.machine.commands.includes('29'), 'and applies nothing that it does not have');
  release();
  await until(() => slow.machine.commands.includes('29'));
  await group.close();
});

test('with a majority of hanging disks nothing is committed', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  await leader.node.propose(text('before'));
  await until(() => group.members.every(member => member.machine.commands.length === 1));
  const releases = group.members.filter(member => member !== leader).map(hang);
  const outcome = await leader.node.propose(text('x'), { timeoutMs: 400 }).then(
    () => 'done',
    (error: Error) => error.name,
  );
  t.is(outcome, 'OutcomeUnknownError');
  t.true(group.members.every(member => member.machine.commands.length === 1));
  for (const release of releases) release();
  await until(() => group.members.every(member => member.machine.commands.includes('x')));
  await group.close();
});

test('a member whose data were put back to an earlier day is found out by what others heard it acknowledge', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  const follower = await group.followerOnce();
  for (let n = 0; n < 5; n++) await leader.node.propose(text(`${n}`));
  await until(() => follower.machine.commands.length === 5);
  const putBack = copyOf(follower);
  for (let n = 5; n < 10; n++) await leader.node.propose(text(`${n}`));
  await until(() => matchOf(group, follower) >= leader.node.status().commitIndex);
  await follower.node.close();
  putBack();
  await refuses(t, group, follower, /has acknowledged entry/);
  await leader.node.propose(text('the others go on'));
  await group.close();
});

test('who heard a promise and is away when the member starts still ends it later', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  const follower = await group.followerOnce();
  await leader.node.propose(text('x'));
  await until(() => follower.machine.commands.length === 1);
  const putBack = copyOf(follower);
  for (let n = 0; n < 5; n++) await leader.node.propose(text(`${n}`));
  await until(() => matchOf(group, follower) >= leader.node.status().commitIndex);
  await follower.node.close();
  putBack();
  const others = group.members.filter(member => member !== follower);
  for (const other of others) {
    group.network.cut(follower.id, other.id);
    group.network.cut(other.id, follower.id);
  }
  await group.restart(follower);
  t.is(follower.fatal, undefined, 'it cannot know, and does not wait for ever');
  group.network.heal();
  await until(() => follower.fatal !== undefined);
  t.like(follower.fatal, { code: 'RAFT_LOG_CORRUPT' });
  await leader.node.propose(text('the others go on'));
  await group.close();
});

test('a member whose data were put back to before its vote does not vote again', async t => {
  const group = await Group.start(3);
  const leader = await group.leaderOnce();
  const follower = await group.followerOnce();
  await leader.node.propose(text('x'));
  const putBack = copyOf(follower);
  await leader.node.transferLeadership();
  const next = await nextLeader(group, leader);
  await next.node.propose(text('y'));
  await until(() => follower.machine.commands.length === 2);
  const other = group.members.find(member => member !== follower && member !== next) ?? next;
  await follower.node.close();
  putBack();
  if (follower === next) await nextLeader(group, follower);
  await refuses(t, group, follower, /has been in term|has acknowledged entry/);
  t.truthy(other);
  await group.close();
});

test('a member that comes back as it went is not suspected, whoever leads by then', async t => {
  const group = await Group.start(3, { options: { compactEntries: 20, tailEntries: 5 } });
  for (let round = 0; round < 6; round++) {
    const leader = await group.leaderOnce();
    for (let n = 0; n < 15; n++) await leader.node.propose(text(`${round}.${n}`));
    const away = group.members[round % 3];
    if (away === undefined) continue;
    await away.node.close();
    away.disk.crash({ pendingKept: round % 2 });
    await until(() => group.members.some(one => one !== away && one.node.status().role === 'leader'));
    await group.restart(away, { options: { compactEntries: 20, tailEntries: 5 } });
  }
  await until(() => group.members.every(member => member.machine.commands.includes('5.14')));
  t.true(group.members.every(member => member.fatal === undefined));
  await group.close();
});

test('a log that lost its end is found out by the state that knows more', async t => {
  const group = await Group.start(1);
  const alone = await group.leaderOnce();
  await alone.node.propose(text('a'));
  const putBack = alone.disk.copy();
  await alone.node.propose(text('b'));
  await alone.node.close();
  putBack();
  await t.throwsAsync(group.restart(alone), { instanceOf: LogCorruptError, message: /lost its end/ });
});

test('what counts as a promise, and when it is forgotten', t => {
  const witness = new Witness({ witnessedMax: 256 });
  const from = memberEntry(1).id;
  const to = memberEntry(0).id;
  const ack = (term: number, matchIndex: number, success = true): Message => ({
    type: 'appendResponse',
    from,
    to,
    term,
    success,
    matchIndex,
    hintTerm: 0,
    previousIndex: 0,
    needsSnapshot: false,
    readContext: 0,
  });
  t.deepEqual(witness.of(from), NOTHING_HEARD);
  witness.note({ type: 'preVoteRequest', from, to, term: 9, lastLogIndex: 1, lastLogTerm: 1, transfer: false });
  t.deepEqual(witness.of(from), NOTHING_HEARD, 'a pre-vote promises nothing');
  witness.note({ type: 'voteRequest', from, to, term: 3, lastLogIndex: 1, lastLogTerm: 1, transfer: false });
  witness.note(ack(3, 7));
  witness.note(ack(3, 5));
  witness.note(ack(2, 50));
  witness.note(ack(3, 60, false));
  t.deepEqual(witness.of(from), { term: 3, ackTerm: 3, ackIndex: 7 });
  witness.note(ack(4, 2));
  t.deepEqual(witness.of(from), { term: 4, ackTerm: 4, ackIndex: 2 });
  const heard = { term: 4, ackTerm: 4, ackIndex: 7 };
  t.is(forgottenPromise({ term: 4, lastIndex: 7 }, heard), undefined);
  t.is(forgottenPromise({ term: 5, lastIndex: 3 }, heard), undefined, 'a later leader may have cut it');
  t.regex(forgottenPromise({ term: 3, lastIndex: 9 }, heard) ?? '', /term 4/);
  t.regex(forgottenPromise({ term: 4, lastIndex: 6 }, heard) ?? '', /entry 7/);
});

async function refuses(t: ExecutionContext, group: Group, member: GroupMember, message: RegExp): Promise<void> {
  const error = await t.throwsAsync(group.restart(member), { instanceOf: LogCorruptError });
  t.regex(error?.message ?? '', message);
  t.regex(error?.message ?? '', /must not vote/);
}

async function nextLeader(group: Group, than: GroupMember): Promise<GroupMember> {
  const leads = () => group.members.find(member => member !== than && isLeading(member));
  await until(() => leads() !== undefined);
  const next = leads();
  if (next === undefined) throw new Error('the leader is gone again');
  return next;
}

function isLeading(member: GroupMember): boolean {
  return member.fatal === undefined && member.node.status().role === 'leader';
}
