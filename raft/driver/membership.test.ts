import test, { type ExecutionContext } from 'ava';
import type { Message } from '../core/messages.ts';
import type { Membership } from '../core/types.ts';
import { until } from '../transport/testing/until.ts';
import { membershipCodec } from './codec.ts';
import { NotInitializedError, OutcomeUnknownError } from './node.ts';
import { systemClock } from './system-clock.ts';
import { GROUP_OPTIONS, Group, type GroupMember, memberEntry } from './testing/group.ts';

const REFUSED = 'RAFT_MEMBERSHIP_REFUSED';

function text(value: string): Uint8Array {
  return Buffer.from(value);
}

async function started(t: ExecutionContext, size: number): Promise<Group> {
  const group = await Group.start(size);
  t.teardown(() => group.close());
  return group;
}

/** A member that is there but belongs to nothing yet. */
function stranger(group: Group, number: number, through: GroupMember): Promise<GroupMember> {
  return group.add(number, through.node.status().membership);
}

function rolesOf(membership: Membership): Record<string, string> {
  return Object.fromEntries(membership.members.map(({ name, role }) => [name, role]));
}

/** All memberships that go over the network, by the place of their entry. */
function memberships(group: Group): Map<number, Membership> {
  const seen = new Map<number, Membership>();
  group.network.observe = (message: Message) => {
    if (message.type !== 'appendRequest') return;
    for (const entry of message.entries) {
      if (entry.kind === 'membership') seen.set(entry.index, membershipCodec.decode(entry.data));
    }
  };
  return seen;
}

async function othersOf(group: Group, leader: GroupMember): Promise<[GroupMember, GroupMember]> {
  const [one, other] = group.members.filter(member => member !== leader);
  if (one === undefined || other === undefined) throw new Error('there are three members');
  await until(() => [one, other].every(member => member.node.status().leader === leader.id));
  return [one, other];
}

test('a learner stays a learner until it is promoted, and counts in no quorum', async t => {
  const group = await started(t, 1);
  const founder = await group.leaderOnce();
  const learner = await stranger(group, 1, founder);
  t.deepEqual(rolesOf(await founder.node.addLearner(memberEntry(1))), { m0: 'voter', m1: 'learner' });
  await founder.node.addLearner(memberEntry(1));
  t.is(founder.node.status().membership.members.length, 2, 'a second time changes nothing');
  await founder.node.propose(text('one'));
  await until(() => learner.machine.commands.length === 1);
  t.is(learner.node.status().role, 'learner');
  await t.throwsAsync(learner.node.addLearner({ ...memberEntry(2), name: 'm1' }), {
    code: REFUSED,
    message: /name m1/,
  });

  t.deepEqual(
    rolesOf(await learner.node.promoteMember(learner.id)),
    { m0: 'voter', m1: 'voter' },
    'asked of a learner',
  );
  await founder.node.promoteMember(learner.id);
  await t.throwsAsync(founder.node.addLearner(memberEntry(1)), { code: REFUSED, message: /voter already/ });
  await t.throwsAsync(founder.node.promoteMember('f'.repeat(16)), { code: REFUSED, message: /no member/ });
});

test('a learner that does not answer, or has not caught up, is not promoted (thesis 4.2.1)', async t => {
  const group = await started(t, 1);
  const founder = await group.leaderOnce();
  await founder.node.addLearner(memberEntry(1));
  await t.throwsAsync(founder.node.promoteMember(memberEntry(1).id), { code: REFUSED, message: /m1 does not answer/ });
  const learner = await stranger(group, 1, founder);
  await until(() => learner.node.status().commitIndex > 1);
  let release = () => {};
  const held = new Promise<void>(resolve => {
    release = resolve;
  });
  learner.disk.setFault(() => held);
  for (let count = 0; count < 20; count++) await founder.node.propose(text(`c${count}`));
  await t.throwsAsync(founder.node.promoteMember(learner.id), {
    code: REFUSED,
    message: /of 2\d and is still catching up/,
  });
  t.deepEqual(rolesOf(founder.node.status().membership), { m0: 'voter', m1: 'learner' });
  release();
});

test('taking out a voter that answers while another does not is refused; taking out the dead one is not (etcd #10114)', async t => {
  const group = await started(t, 3);
  const leader = await group.leaderOnce();
  const [alive, dead] = await othersOf(group, leader);
  await dead.node.close();
  const deadName = `m${Number.parseInt(dead.id, 16)}`;
  await t.throwsAsync(leader.node.removeMember(alive.id), {
    code: REFUSED,
    message: new RegExp(`no answer from ${deadName}`),
  });
  await t.throwsAsync(alive.node.removeMember(leader.id), { code: REFUSED }, 'nor the leader itself');
  await t.throwsAsync(leader.node.removeMember('f'.repeat(16)), { code: REFUSED, message: /no member/ });
  await stranger(group, 3, leader);
  t.is((await leader.node.addMember(memberEntry(3))).members.length, 4, 'adding goes on meanwhile');
  t.is((await alive.node.removeMember(dead.id)).members.length, 3);
  t.is((await leader.node.removeMember(dead.id)).members.length, 3, 'a second time changes nothing');
  await leader.node.propose(text('still here'));
});

test('a voter that is slow to answer is waited for before a change is refused', async t => {
  const group = await started(t, 3);
  const leader = await group.leaderOnce();
  const [one, slow] = await othersOf(group, leader);
  group.network.cut(slow.id, leader.id);
  const removing = leader.node.removeMember(one.id);
  systemClock.setTimeout(() => group.network.heal(), 3 * GROUP_OPTIONS.electionTimeoutMs);
  t.is((await removing).members.length, 2);
});

test('force skips the check of who answers, and nothing else', async t => {
  const group = await started(t, 3);
  const leader = await group.leaderOnce();
  const [alive, dead] = await othersOf(group, leader);
  await dead.node.close();
  await t.throwsAsync(leader.node.removeMember(alive.id, { force: true, timeoutMs: 300 }), {
    instanceOf: OutcomeUnknownError,
  });
  // Nothing is committed without a quorum of the new voters; once there is one, the change is made or unmade.
  await group.restart(dead);
  await until(() => group.leader() !== undefined);
  await alive.node.propose(text('still here')).catch(() => dead.node.propose(text('still here')));
  const single = await started(t, 1);
  const only = await single.leaderOnce();
  await t.throwsAsync(only.node.removeMember(only.id, { force: true }), { code: REFUSED, message: /only voter/ });
});

test('a leader that is to go hands over first, and is told once it is out', async t => {
  const group = await started(t, 3);
  const old = await group.leaderOnce();
  const [one] = await othersOf(group, old);
  const { term } = old.node.status();
  const membership = await old.node.removeMember(old.id);
  t.is(membership.members.length, 2);
  t.deepEqual(membership.removed, [old.id]);
  await until(() => old.fatal !== undefined);
  t.like(old.fatal, { code: 'RAFT_REMOVED' });
  await one.node.propose(text('after'));
  t.is(one.node.status().term, term + 1, 'no election was needed beyond the handing over');
});

test('the last but one voter can go, also if it leads', async t => {
  const group = await started(t, 2);
  const leader = await group.leaderOnce();
  const other = await group.followerOnce();
  t.is((await other.node.removeMember(leader.id)).members.length, 1);
  await until(() => leader.fatal !== undefined);
  t.like(leader.fatal, { code: 'RAFT_REMOVED' });
  await other.node.propose(text('alone'));
});

test('a member that was away when it was removed is told when it comes back, and disturbs nobody', async t => {
  const group = await started(t, 3);
  const leader = await group.leaderOnce();
  const [, away] = await othersOf(group, leader);
  await away.node.close();
  await leader.node.removeMember(away.id);
  const { term } = leader.node.status();
  await group.restart(away);
  await until(() => away.fatal !== undefined);
  t.like(away.fatal, { code: 'RAFT_REMOVED' });
  await t.throwsAsync(away.node.propose(text('x')), { code: 'RAFT_NOT_LEADER' });
  t.is(leader.node.status().term, term);
  t.is(leader.node.status().role, 'leader');
});

test('a member whose own log says that it was removed does not start again', async t => {
  const group = await started(t, 1);
  const id = memberEntry(1).id;
  const membership = { ...(await group.leaderOnce()).node.status().membership, removed: [id] };
  await t.throwsAsync(
    group.add(1, membership, {
      recovered: {
        hardState: { term: 3, votedFor: undefined, commit: 7 },
        snapshot: { index: 7, term: 3, membership },
        entries: [],
        identity: { clusterId: membership.clusterId, memberId: id, name: 'm1' },
      },
    }),
    { code: 'RAFT_REMOVED' },
  );
  await group.get(0).node.close();
});

test('a dead voter is replaced in one joint change, also by one of its name (thesis 4.3)', async t => {
  const group = await started(t, 3);
  const seen = memberships(group);
  const leader = await group.leaderOnce();
  const [alive, dead] = await othersOf(group, leader);
  await dead.node.close();
  const deadName = `m${Number.parseInt(dead.id, 16)}`;
  const fresh = { ...memberEntry(3), name: deadName };
  await stranger(group, 3, leader);
  const membership = await alive.node.replaceMember(dead.id, fresh);
  t.deepEqual(Object.values(rolesOf(membership)), ['voter', 'voter', 'voter']);
  t.is(membership.outgoing, undefined, 'the joint membership is left when this ends');
  t.deepEqual(membership.removed, [dead.id]);
  const voters = (of: readonly { role: string }[]) => of.filter(({ role }) => role === 'voter').length;
  t.deepEqual(
    [...seen.values()].map(each => [voters(each.members), each.outgoing?.length]),
    [
      [3, undefined],
      [3, 3],
      [3, undefined],
    ],
    'learner in, joint, left once; never one voter more or less',
  );
  t.deepEqual(await leader.node.replaceMember(dead.id, fresh), membership, 'a second time changes nothing');
  await group.restart(dead);
  await until(() => dead.fatal !== undefined);
  t.like(dead.fatal, { code: 'RAFT_REMOVED' });
});

test('a leader can be replaced too', async t => {
  const group = await started(t, 3);
  const leader = await group.leaderOnce();
  await othersOf(group, leader);
  await stranger(group, 3, leader);
  const membership = await leader.node.replaceMember(leader.id, memberEntry(3));
  t.false(membership.members.some(({ id }) => id === leader.id));
  t.is(membership.members.length, 3);
  await until(() => leader.fatal !== undefined);
});

test('a member that others could not read back is refused on the leader too, before it is in the log', async t => {
  const group = await started(t, 3);
  const leader = await group.leaderOnce();
  const { lastIndex } = leader.node.status();
  for (const wrong of [{ name: '' }, { id: 'short' }]) {
    await t.throwsAsync(leader.node.addLearner({ ...memberEntry(7), ...wrong }), { code: REFUSED });
  }
  await t.throwsAsync(leader.node.updateMember(leader.id, { name: '' }), { code: REFUSED });
  t.is(leader.node.status().lastIndex, lastIndex);
});

test('replacements that make no sense are refused', async t => {
  const group = await started(t, 1);
  const founder = await group.leaderOnce();
  await founder.node.addLearner(memberEntry(1));
  const { id } = memberEntry(1);
  await t.throwsAsync(founder.node.replaceMember(id, memberEntry(2)), { code: REFUSED, message: /learner/ });
  await t.throwsAsync(founder.node.replaceMember(founder.id, memberEntry(0)), { code: REFUSED, message: /own place/ });
  await t.throwsAsync(founder.node.replaceMember('f'.repeat(16), memberEntry(2)), {
    code: REFUSED,
    message: /no member/,
  });
  const two = await started(t, 2);
  const leader = await two.leaderOnce();
  const follower = await two.followerOnce();
  const existing = memberEntry(Number.parseInt(follower.id, 16));
  await t.throwsAsync(leader.node.replaceMember(leader.id, existing), { code: REFUSED, message: /voter already/ });
});

test('what is said of a member can change; its role cannot change with it (etcd #21736)', async t => {
  const group = await started(t, 2);
  const leader = await group.leaderOnce();
  const follower = await group.followerOnce();
  await leader.node.addLearner(memberEntry(2));
  const { id } = memberEntry(2);
  await follower.node.updateMember(id, { peerAddress: 'elsewhere:9', clientUrl: 'https://elsewhere' });
  const entry = leader.node.status().membership.members.find(member => member.id === id);
  t.deepEqual(entry, {
    ...memberEntry(2),
    peerAddress: 'elsewhere:9',
    clientUrl: 'https://elsewhere',
    role: 'learner',
  });
  await leader.node.updateMember(leader.id, { name: 'renamed' });
  await until(() => follower.node.status().membership.members.some(({ name }) => name === 'renamed'));
  const { lastIndex } = leader.node.status();
  await leader.node.updateMember(leader.id, { name: 'renamed' });
  t.is(leader.node.status().lastIndex, lastIndex, 'nothing is written where nothing changes');
  await t.throwsAsync(leader.node.updateMember(id, { name: 'renamed' }), { code: REFUSED, message: /name/ });
  await t.throwsAsync(leader.node.updateMember('f'.repeat(16), {}), { code: REFUSED });
  // Announced again at another address, it is still a learner.
  await leader.node.addLearner({ ...memberEntry(2), peerAddress: 'third:9' });
  t.is(leader.node.status().membership.members.find(member => member.id === id)?.role, 'learner');
});

test('a change that loses its leader goes on with the next one', async t => {
  const group = await started(t, 3);
  const leader = await group.leaderOnce();
  const [one] = await othersOf(group, leader);
  await stranger(group, 3, leader);
  const adding = one.node.addMember(memberEntry(3));
  await leader.node.close();
  const membership = await adding;
  t.is(membership.members.find(({ id }) => id === memberEntry(3).id)?.role, 'voter');
});

test('a member that joins does not believe that somebody was removed until the log says so', async t => {
  const group = await started(t, 3);
  const leader = await group.leaderOnce();
  // As a member tells whose log has a removal that was never committed.
  const membership = { ...leader.node.status().membership, removed: [leader.id] };
  const joiner = await group.add(3, membership);
  await leader.node.addMember(memberEntry(3));
  await leader.node.propose(text('one'));
  await until(() => joiner.machine.commands.length === 1);
  t.is(leader.fatal, undefined);
  t.is(leader.node.status().role, 'leader');
});

test('a member that joins a cluster without voters begins none of its own', async t => {
  const group = new Group();
  await t.throwsAsync(group.add(0, { clusterId: 'c'.repeat(16), members: [] }), { instanceOf: NotInitializedError });
  await t.throwsAsync(
    group.restart(group.get(0)),
    { instanceOf: NotInitializedError },
    'nothing was left for a restart',
  );
});

test('members ask each other, and the leader, what only they know', async t => {
  const group = new Group();
  t.teardown(() => group.close());
  const members = [0, 1, 2].map(number => ({ ...memberEntry(number), role: 'voter' as const }));
  const coded = Object.assign(new Error('not here'), { code: 'STORE_ODD' });
  for (const number of [0, 1, 2]) {
    await group.add(
      number,
      { clusterId: 'c'.repeat(16), members },
      {
        async onRequest(from, method, body) {
          if (method === 'odd') throw coded;
          return text(`${number} answers ${method}(${Buffer.from(body)}) of ${Number.parseInt(from, 16)}`);
        },
      },
    );
  }
  const leader = await group.leaderOnce();
  const [one, other] = await othersOf(group, leader);
  const number = (member: GroupMember) => Number.parseInt(member.id, 16);
  const ask = async (by: GroupMember, to: string, method = 'propose') =>
    String(Buffer.from(await by.node.request(to, method, text('x'), { timeoutMs: 1_000 })));
  t.is(await ask(one, other.id), `${number(other)} answers propose(x) of ${number(one)}`, 'no name collides with raft');
  t.is(await ask(one, 'leader'), `${number(leader)} answers propose(x) of ${number(one)}`);
  t.is(await ask(leader, 'leader'), `${number(leader)} answers propose(x) of ${number(leader)}`);
  t.is(await ask(one, one.id), `${number(one)} answers propose(x) of ${number(one)}`);
  await t.throwsAsync(ask(one, 'leader', 'odd'), { code: 'STORE_ODD', message: 'not here' });
  for (const member of [leader, other]) await member.node.close();
  await t.throwsAsync(ask(one, other.id), { code: 'RAFT_NOT_LEADER' });
  await until(() => one.node.status().leader === undefined);
  await t.throwsAsync(ask(one, 'leader'), { code: 'RAFT_NOT_LEADER' });

  const plain = await started(t, 1);
  const only = await plain.leaderOnce();
  await t.throwsAsync(ask(only, 'leader', 'anything'), { code: 'RAFT_UNKNOWN_METHOD' });
});
