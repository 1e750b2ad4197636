/**
 * The scenarios of the Raft paper and of the thesis (Ongaro 2014) as stories. Those that need a single member only stand in
 * `election.test.ts` and `replication.test.ts`; docs/others-bugs.md says which test covers what.
 */
import test from 'ava';
import { asVoter, leaveJoint, replacing } from './membership.ts';
import type { Message } from './messages.ts';
import {
  commandsOf,
  ELECTION_TICKS,
  entriesOf,
  jsonCodec,
  member,
  membershipOf,
  TestCluster,
  TestMember,
} from './testing/cluster.ts';
import type { MemberId, Membership } from './types.ts';

function commitOf(cluster: TestCluster, id: MemberId): number {
  return cluster.get(id).core.status().commitIndex;
}

// ---- figure 7 of the paper (thesis 3.6) -------------------------------------------------------------------------------

const LEADER = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
const FIGURE_7: Record<string, { readonly terms: readonly number[]; readonly grants: boolean }> = {
  a: { terms: [1, 1, 1, 4, 4, 5, 5, 6, 6], grants: true },
  b: { terms: [1, 1, 1, 4], grants: true },
  c: { terms: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6], grants: false },
  d: { terms: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7], grants: false },
  e: { terms: [1, 1, 1, 4, 4, 4, 4], grants: true },
  f: { terms: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3], grants: true },
};

test('the leader of figure 7 is elected by those whose logs are no further, and makes all logs its own', t => {
  const membership = membershipOf('leader', ...Object.keys(FIGURE_7));
  const make = (id: MemberId, terms: readonly number[]) =>
    new TestMember({
      id,
      membership,
      entries: entriesOf(...terms),
      hardState: { term: 7, votedFor: undefined, commit: 3 },
    });
  const cluster = new TestCluster(
    make('leader', LEADER),
    ...Object.entries(FIGURE_7).map(([id, { terms }]) => make(id, terms)),
  );
  const granted = new Map<MemberId, boolean>();
  cluster.drops = message => {
    if (message.type === 'voteResponse') granted.set(message.from, message.granted);
    return false;
  };
  cluster.elect('leader');
  t.deepEqual(
    Object.fromEntries([...granted].sort()),
    Object.fromEntries(Object.entries(FIGURE_7).map(([id, { grants }]) => [id, grants])),
  );
  cluster.tick(4);
  for (const id of Object.keys(FIGURE_7)) {
    t.deepEqual(cluster.get(id).terms, [...LEADER, 8], id);
    t.is(commitOf(cluster, id), 11, id);
  }
});

// ---- figure 8 of the paper (thesis figure 3.7) ------------------------------------------------------------------------

/** Figure 8 (b): S1's entry of term 2 is on S1 and S2; S5 led in term 3 and has an entry that nobody else has. */
function figure8b(): TestCluster {
  const membership = membershipOf('S1', 'S2', 'S3', 'S4', 'S5');
  const make = (id: MemberId, terms: readonly number[], term: number) =>
    new TestMember({
      id,
      membership,
      entries: entriesOf(...terms),
      hardState: { term, votedFor: undefined, commit: 1 },
      // One entry a message, so that a message can be lost between two entries.
      limits: { appendBytesMax: 1 },
    });
  return new TestCluster(
    make('S1', [1, 2], 2),
    make('S2', [1, 2], 2),
    make('S3', [1], 3),
    make('S4', [1], 3),
    make('S5', [1, 3], 3),
  );
}

/** (c): S1 leads in term 4 and brings its old entry to S3; its new entry is still on its way. */
function figure8c(): TestCluster {
  const cluster = figure8b();
  cluster.isolate('S4', 'S5');
  cluster.drops = message => message.type === 'appendRequest' && message.entries.some(({ term }) => term === 4);
  cluster.elect('S1');
  cluster.tick(2, ['S1']);
  return cluster;
}

test('figure 8 (c) to (d): an old entry on a majority is not committed, and may still be overwritten', t => {
  const cluster = figure8c();
  t.deepEqual(cluster.get('S3').terms, [1, 2], 'a majority has the entry of term 2');
  t.is(commitOf(cluster, 'S1'), 1, 'and yet it is not committed');
  cluster.heal();
  cluster.isolate('S1');
  cluster.drops = () => false;
  cluster.tick(ELECTION_TICKS, ['S2', 'S3', 'S4']);
  cluster.elect('S5');
  cluster.tick(3, ['S5']);
  for (const id of ['S2', 'S3', 'S4', 'S5']) t.deepEqual(cluster.get(id).terms.slice(0, 2), [1, 3], id);
  cluster.heal();
  cluster.tick(3);
  t.deepEqual(cluster.get('S1').terms, cluster.get('S5').terms, 'S1 gives way too');
});

test('figure 8 (e): once an entry of the own term is on a majority, all before it is safe', t => {
  const cluster = figure8c();
  cluster.drops = () => false;
  cluster.tick(2, ['S1']);
  t.is(commitOf(cluster, 'S1'), 3, 'the old entry is committed with the new one');
  cluster.heal();
  cluster.isolate('S1');
  cluster.tick(ELECTION_TICKS, ['S2', 'S3', 'S4']);
  for (let round = 0; round < 5; round++) {
    cluster.tick(2 * ELECTION_TICKS, ['S5']);
    t.not(cluster.get('S5').core.status().role, 'leader', 'S5 cannot win any more');
  }
  const next = cluster.get('S2').core.status().role === 'leader' ? 'S2' : 'S3';
  cluster.elect(next);
  t.deepEqual(cluster.get(next).terms.slice(0, 3), [1, 2, 4]);
});

// ---- 3.10: leadership transfer ------------------------------------------------------------------------------------------

test('a transfer lets the target catch up first, takes no proposals meanwhile, and needs no timeout (3.10)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const { core } = cluster.elect('a');
  cluster.isolate('b');
  cluster.propose('a', 'missed');
  cluster.settle();
  cluster.heal();
  const sent: Message['type'][] = [];
  cluster.drops = message => {
    if (message.to === 'b') sent.push(message.type);
    return false;
  };
  t.is(core.transferLeadership('b'), 'begun');
  t.like(core.propose(Buffer.from('x')), { accepted: false, reason: 'transferring' });
  t.like(core.proposeMembership(core.configuration.membership), { accepted: false, reason: 'transferring' });
  cluster.settle();
  t.false(sent.includes('timeoutNow'), 'not while it lacks an entry');
  cluster.tick(2, ['a']);
  t.true(sent.indexOf('timeoutNow') > sent.indexOf('appendRequest'));
  t.deepEqual(cluster.leaders, ['b']);
  t.is(core.status().role, 'follower');
  t.deepEqual(commandsOf(cluster.get('b')), ['missed']);
  t.is(cluster.get('b').core.status().term, 2, 'one election, of which nobody had to wait for a timeout');
});

test('leadership is handed to voters only, and flows again when the target stays silent (3.10)', t => {
  const cluster = new TestCluster(
    ...['a', 'b', 'l'].map(id => new TestMember({ id, membership: membershipOf('a', 'b', member('l', 'learner')) })),
  );
  const { core } = cluster.elect('a');
  t.is(core.transferLeadership('l'), 'notVoter');
  t.is(core.transferLeadership('a'), 'notVoter');
  cluster.drops = message => message.type === 'timeoutNow';
  t.is(core.transferLeadership('b'), 'begun');
  cluster.tick(ELECTION_TICKS, ['a']);
  t.true(core.propose(Buffer.from('x')).accepted);
  t.deepEqual(cluster.leaders, ['a']);
});

// ---- 4.1, 4.2: one member at a time, learners, removed and disruptive members -------------------------------------------

test('a leader that takes itself out does not count itself, and leads until that is committed (4.2.2)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const { core } = cluster.elect('a');
  cluster.isolate('c');
  t.true(core.proposeMembership({ ...membershipOf('b', 'c'), removed: ['a'] }).accepted);
  cluster.settle();
  t.is(core.status().commitIndex, 1, 'a and b have it, but only b counts');
  t.is(core.status().role, 'leader');
  cluster.heal();
  cluster.tick(2, ['a']);
  t.is(core.status().commitIndex, 2);
  t.is(core.status().role, 'follower');
});

test('a removal that only the removed member has is still brought to its end by it (4.2.2)', t => {
  const cluster = TestCluster.of('a', 'b');
  t.true(cluster.elect('a').core.status().role === 'leader');
  cluster.isolate('b');
  t.true(cluster.get('a').core.proposeMembership({ ...membershipOf('b'), removed: ['a'] }).accepted);
  cluster.settle();
  for (const id of ['a', 'b']) cluster.restart(id);
  cluster.heal();
  // b cannot be elected: it needs the vote of a, whose log is ahead of its own.
  cluster.tick(4 * ELECTION_TICKS);
  t.deepEqual(cluster.leaders, ['b']);
  t.true(cluster.get('b').core.committedConfiguration.removed.has('a'));
  const { term } = cluster.get('b').core.status();
  cluster.tick(4 * ELECTION_TICKS);
  t.deepEqual(cluster.leaders, ['b']);
  t.is(cluster.get('b').core.status().term, term, 'and then it disturbs nobody');
});

test('an empty new member holds up nothing (4.2.1)', t => {
  const cluster = TestCluster.of('a', 'b');
  const { core } = cluster.elect('a');
  const learning = membershipOf('a', 'b', member('c', 'learner'));
  t.true(core.proposeMembership(learning).accepted);
  cluster.settle();
  for (let count = 0; count < 5; count++) cluster.propose('a', String(count));
  cluster.settle();
  t.is(core.status().commitIndex, core.status().lastIndex);
});

test('a member that does not know of its removal disturbs nobody, whatever it tries (4.2.3)', t => {
  const cluster = TestCluster.of('a', 'b', 'c', 'd');
  const { core } = cluster.elect('a');
  t.true(core.proposeMembership({ ...membershipOf('a', 'b', 'c'), removed: ['d'] }).accepted);
  cluster.tick(2);
  t.true(cluster.get('d').core.configuration.voters.has('d'), 'it was not told');
  for (let round = 0; round < 10; round++) {
    for (let tick = 0; tick < 2 * ELECTION_TICKS; tick++) {
      cluster.get('d').core.tick();
      cluster.tick(1, ['a', 'b', 'c']);
    }
  }
  // Even a real vote request of a much higher term changes nothing.
  const request = { type: 'voteRequest', from: 'd', term: 99, lastLogIndex: 99, lastLogTerm: 99 } as const;
  for (const to of ['a', 'b', 'c']) cluster.get(to).core.step({ ...request, to, transfer: true });
  cluster.settle();
  t.deepEqual(cluster.leaders, ['a']);
  t.is(core.status().term, 1);
});

test('a learner that was made a voter without knowing it votes, so that the others can go on (4.2.1, etcd #10998)', t => {
  const learning = membershipOf('a', member('b', 'learner'));
  const cluster = new TestCluster(...['a', 'b'].map(id => new TestMember({ id, membership: learning })));
  const { core } = cluster.elect('a');
  cluster.tick(2);
  cluster.drops = message => message.to === 'b' && message.type === 'appendRequest';
  t.true(core.proposeMembership(membershipOf('a', 'b')).accepted);
  cluster.settle();
  t.is(core.status().commitIndex, 1, 'two voters now, of which one has not heard of it');
  cluster.restart('a');
  cluster.drops = () => false;
  cluster.tick(ELECTION_TICKS, ['b']);
  t.is(cluster.get('b').core.status().role, 'follower', 'it is a learner as far as it knows');
  cluster.elect('a');
  cluster.tick(2);
  t.is(commitOf(cluster, 'b'), 3);
});

// ---- 4.3: joint consensus -----------------------------------------------------------------------------------------------

const BEFORE = membershipOf('a', 'b', 'c', member('d', 'learner'), member('e', 'learner'));
/** From {a, b, c} to {a, d, e}. */
const JOINT: Membership = {
  ...membershipOf('a', 'd', 'e'),
  outgoing: ['a', 'b', 'c'].map(id => member(id)),
};

function five(membership = BEFORE): TestCluster {
  return new TestCluster(...['a', 'b', 'c', 'd', 'e'].map(id => new TestMember({ id, membership })));
}

/** The kinds of membership in a member's log. */
function changesOf(each: TestMember): string[] {
  const { startIndex, lastIndex } = each.core.status();
  const entries = Array.from({ length: lastIndex - startIndex }, (_, offset) =>
    each.core.entryAt(startIndex + 1 + offset),
  );
  return entries
    .filter(entry => entry?.kind === 'membership')
    .map(entry => (jsonCodec.decode(entry?.data ?? new Uint8Array()).outgoing === undefined ? 'simple' : 'joint'));
}

/** The leader `a` has the joint membership in its log, and nobody has answered yet. */
function inJoint(): TestCluster {
  const cluster = five();
  const { core } = cluster.elect('a');
  cluster.tick(2);
  cluster.isolate('b', 'c', 'd', 'e');
  if (!core.proposeMembership(JOINT).accepted) throw new Error('the joint membership is refused');
  cluster.settle();
  return cluster;
}

for (const { answering, commits } of [
  { answering: ['b', 'c'], commits: false },
  { answering: ['d', 'e'], commits: false },
  { answering: ['b', 'd'], commits: true },
  { answering: ['c', 'e'], commits: true },
]) {
  test(`while joint, a with ${answering.join(' and ')} ${commits ? 'is' : 'is not'} a majority of both (4.3)`, t => {
    const cluster = inJoint();
    const { core } = cluster.get('a');
    cluster.heal();
    cluster.isolate(...['b', 'c', 'd', 'e'].filter(id => !answering.includes(id)));
    core.readIndex();
    cluster.tick(3, ['a']);
    t.is(core.status().commitIndex > 1, commits);
    t.is(cluster.get('a').reads.length > 0, commits, 'the same holds for reads');
  });
}

test('a joint membership is left by itself, once, when it is committed; then the old voters are out (4.3)', t => {
  const cluster = inJoint();
  const { core } = cluster.get('a');
  t.true(core.configuration.isJoint);
  t.like(core.proposeMembership(membershipOf('a')), { accepted: false, reason: 'membershipPending' });
  cluster.heal();
  cluster.tick(5);
  t.false(core.configuration.isJoint);
  t.deepEqual(changesOf(cluster.get('a')), ['joint', 'simple']);
  t.deepEqual(core.configuration.membership.removed, ['b', 'c']);
  t.deepEqual([...core.configuration.voters].sort(), ['a', 'd', 'e']);
  cluster.isolate('b', 'c');
  cluster.propose('a', 'x');
  cluster.settle();
  t.deepEqual(commandsOf(cluster.get('d')), ['x']);
});

test('a joint membership is not left in the middle of a transfer: whom it goes to has the whole log (3.10, 4.3)', t => {
  const cluster = inJoint();
  const { core } = cluster.get('a');
  cluster.heal();
  cluster.drops = message => message.type === 'timeoutNow';
  t.is(core.transferLeadership('b'), 'notVoter', 'nor does it go to one that is on its way out');
  t.is(core.transferLeadership('d'), 'begun');
  cluster.tick(5, ['a']);
  t.true(core.status().commitIndex >= 2);
  t.true(core.configuration.isJoint);
  cluster.drops = () => false;
  cluster.tick(ELECTION_TICKS, ['a']);
  t.false(core.configuration.isJoint, 'but when it was given up');
});

test('until a joint membership is left, other changes wait; they are not refused', t => {
  const cluster = inJoint();
  const { core } = cluster.get('a');
  cluster.heal();
  const held: Message[] = [];
  cluster.drops = message => {
    const isHeld = message.type === 'appendResponse' && message.success && message.matchIndex > 1;
    if (isHeld) held.push(message);
    return isHeld;
  };
  cluster.tick(3, ['a']);
  // The answers commit the joint entry; the leader has not come to leave it yet.
  for (const message of held) core.step(message);
  t.true(core.status().commitIndex >= 2);
  t.true(core.configuration.isJoint);
  t.like(core.proposeMembership(membershipOf('a', 'd', 'e')), { accepted: false, reason: 'membershipPending' });
});

test('whoever leads when the joint entry is committed leaves it; an attempt that was lost is made again (4.3)', t => {
  const cluster = inJoint();
  cluster.heal();
  // The leader commits the joint entry and writes the entry that leaves it; that one reaches nobody.
  const leaves = (message: Message) =>
    message.type === 'appendRequest' &&
    message.entries.some(entry => entry.kind === 'membership' && jsonCodec.decode(entry.data).outgoing === undefined);
  cluster.drops = leaves;
  cluster.tick(3);
  t.deepEqual(changesOf(cluster.get('a')), ['joint', 'simple']);
  t.deepEqual(changesOf(cluster.get('d')), ['joint']);
  cluster.drops = () => false;
  cluster.isolate('a');
  cluster.tick(ELECTION_TICKS, ['b', 'c', 'e']);
  cluster.elect('d');
  t.deepEqual(changesOf(cluster.get('d')), ['joint', 'simple'], 'the next leader leaves it');
  cluster.heal();
  cluster.tick(5, ['a', 'd', 'e']);
  for (const id of ['a', 'd', 'e']) t.deepEqual(changesOf(cluster.get(id)), ['joint', 'simple'], id);
});

test('an election while joint needs a majority of both (4.3)', t => {
  const cluster = inJoint();
  cluster.heal();
  // The joint entry is everywhere but not known to be committed; then a is gone.
  cluster.drops = message => message.type === 'appendResponse' && message.success && message.matchIndex > 1;
  cluster.tick(3, ['a']);
  cluster.drops = () => false;
  for (const id of ['b', 'c', 'd', 'e']) t.true(cluster.get(id).core.configuration.isJoint);
  cluster.isolate('a', 'd', 'e');
  cluster.tick(4 * ELECTION_TICKS, ['b', 'c']);
  t.true(
    ['b', 'c'].every(id => cluster.get(id).core.status().role !== 'leader'),
    'the old voters alone elect nobody',
  );
  cluster.heal();
  cluster.isolate('a', 'b', 'c');
  cluster.tick(4 * ELECTION_TICKS, ['d', 'e']);
  t.true(
    ['d', 'e'].every(id => cluster.get(id).core.status().role !== 'leader'),
    'nor do the new ones',
  );
  cluster.heal();
  cluster.isolate('a');
  cluster.tick(ELECTION_TICKS, ['b', 'c']);
  cluster.elect('d');
  cluster.tick(3, ['d']);
  t.false(cluster.get('d').core.configuration.isJoint, 'and the change goes on');
});

test('a leader that is not among the new voters leads through the change and then goes (4.2.2, 4.3)', t => {
  const cluster = five();
  const { core } = cluster.elect('b');
  cluster.tick(2);
  t.true(core.proposeMembership(JOINT).accepted);
  cluster.tick(4);
  t.is(core.status().role, 'follower');
  t.false(core.configuration.isJoint);
  cluster.tick(ELECTION_TICKS, ['a', 'e']);
  cluster.elect('d');
  t.deepEqual(cluster.leaders, ['d']);
});

test('a joint membership survives compaction and restart, and travels with snapshots (etcd-io/raft bd3c759, e515a67)', t => {
  const cluster = inJoint();
  cluster.heal();
  const leaves = (message: Message) =>
    message.type === 'appendRequest' &&
    message.entries.some(entry => entry.kind === 'membership' && jsonCodec.decode(entry.data).outgoing === undefined);
  cluster.drops = leaves;
  cluster.tick(3);
  const each = cluster.get('d');
  const { appliedIndex } = each.core.status();
  each.core.compact(appliedIndex);
  t.true(each.core.configuration.isJoint);
  const again = cluster.restart('d');
  t.true(again.core.configuration.isJoint);
  t.is(again.core.configuration.voterSets.length, 2);
  const metadata = again.core.snapshotMetadata(appliedIndex);
  t.is(metadata?.membership.outgoing?.length, 3);
  if (metadata === undefined) return;
  const late = new TestMember({ id: 'e', membership: BEFORE });
  late.core.installSnapshot(metadata);
  t.deepEqual(late.core.configuration.voterSets, again.core.configuration.voterSets);
  // And it is left from there, by whoever leads.
  cluster.drops = () => false;
  cluster.isolate('a');
  for (const id of ['b', 'c', 'e']) cluster.restart(id);
  cluster.elect('d');
  cluster.tick(3, ['d']);
  t.false(again.core.configuration.isJoint);
});

test('what is no joint change is refused', t => {
  const { core } = five().elect('a');
  const cluster = five();
  cluster.elect('a');
  cluster.tick(2);
  const leader = cluster.get('a').core;
  const refusal = (next: Membership) => {
    const result = leader.proposeMembership(next);
    return result.accepted ? 'accepted' : (result.detail ?? result.reason);
  };
  t.regex(refusal({ ...JOINT, outgoing: [member('a'), member('b')] }), /voters of now/);
  t.regex(refusal({ ...JOINT, ...membershipOf('a', 'x') }), /learner/);
  t.regex(refusal({ ...JOINT, ...membershipOf('a', member('b', 'learner'), 'd') }), /cannot become a learner/);
  t.regex(refusal({ ...JOINT, members: [] }), /at least one voter/);
  t.is(core.configuration.isJoint, false);
});

test('a replacement is one joint change: the name and the number of voters stay', t => {
  const learner = { ...member('n', 'learner'), name: 'name-b', replaces: 'b' };
  const before = { ...membershipOf('a', 'b', 'c', learner), removed: ['z'] };
  const joint = replacing(before, 'b', 'n');
  t.deepEqual(joint.members, [member('a'), member('c'), asVoter(learner)]);
  t.deepEqual(joint.outgoing, [member('a'), member('b'), member('c')]);
  t.deepEqual(joint.removed, ['z'], 'who is on its way out still counts');
  const after = leaveJoint(joint);
  t.is(after.outgoing, undefined);
  t.deepEqual(after.removed, ['z', 'b']);
});

test('the end of a joint change that only an outgoing voter has is still brought about by it (4.2.2, 4.3)', t => {
  const before = membershipOf('a', member('b', 'learner'));
  const cluster = new TestCluster(...['a', 'b'].map(id => new TestMember({ id, membership: before })));
  const { core } = cluster.elect('a');
  cluster.tick(2);
  t.true(core.proposeMembership({ ...membershipOf('b'), outgoing: [member('a')] }).accepted);
  // Everything gets through but the entry that leaves the joint membership.
  cluster.drops = message =>
    message.type === 'appendRequest' &&
    message.entries.some(({ kind, data }) => kind === 'membership' && jsonCodec.decode(data).outgoing === undefined);
  cluster.tick(2);
  t.deepEqual(changesOf(cluster.get('a')), ['joint', 'simple']);
  t.deepEqual(changesOf(cluster.get('b')), ['joint']);
  for (const id of ['a', 'b']) cluster.restart(id);
  cluster.drops = () => false;
  cluster.tick(6 * ELECTION_TICKS);
  t.deepEqual(cluster.leaders, ['b']);
  t.deepEqual(changesOf(cluster.get('b')), ['joint', 'simple']);
});
