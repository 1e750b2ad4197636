import test from 'ava';
import type { AppendRequest } from './messages.ts';
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
import type { Membership } from './types.ts';

function appendRequest(request: Partial<AppendRequest>): AppendRequest {
  return {
    type: 'appendRequest',
    from: 'b',
    to: 'a',
    term: 1,
    previousIndex: 0,
    previousTerm: 0,
    entries: [],
    commit: 0,
    acknowledgedIndex: 0,
    readContext: 0,
    ...request,
  };
}

function follower(options: { terms?: readonly number[]; term?: number; commit?: number } = {}): TestMember {
  const { terms = [], term = Math.max(1, ...terms), commit = 0 } = options;
  return new TestMember({
    id: 'a',
    membership: membershipOf('a', 'b', 'c'),
    entries: entriesOf(...terms),
    hardState: { term, votedFor: undefined, commit },
  });
}

test('a proposal is applied everywhere, in order', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.elect('a');
  cluster.propose('a', 'one');
  cluster.propose('a', 'two');
  cluster.settle();
  for (const id of ['a', 'b', 'c']) t.deepEqual(commandsOf(cluster.get(id)), ['one', 'two']);
});

test('the news that more is committed can wait for the next append, but not for ever', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const { core } = cluster.elect('a');
  cluster.propose('a', 'one');
  cluster.settle();
  core.propose(Buffer.from('two'));
  const held = { canApply: true, holdCommit: true };
  const first = core.ready(held);
  core.advance({ persisted: first.persist?.sequence ?? 0 });
  const [append] = first.messages.filter(message => message.to === 'b');
  if (append?.type !== 'appendRequest') return t.fail('the proposal is sent');
  core.step({
    type: 'appendResponse',
    from: 'b',
    to: 'a',
    term: append.term,
    success: true,
    matchIndex: append.previousIndex + append.entries.length,
    hintTerm: 0,
    previousIndex: append.previousIndex,
    readContext: append.readContext,
    needsSnapshot: false,
  });
  const second = core.ready(held);
  t.is(second.committed.length, 1, 'it is committed and applied here');
  t.deepEqual(second.messages, [], 'and told nobody');
  t.true(second.isCommitUntold);
  core.advance({ applied: second.committed.at(-1)?.index ?? 0 });
  const told = core.ready();
  t.deepEqual(
    told.messages.map(message => message.type === 'appendRequest' && message.commit),
    [second.committed.at(-1)?.index, second.committed.at(-1)?.index],
  );
  t.false(told.isCommitUntold);
  return undefined;
});

test('proposals of one turn share one message per follower and one write', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const { core } = cluster.elect('a');
  for (const text of ['one', 'two', 'three']) core.propose(Buffer.from(text));
  const ready = core.ready();
  t.is(ready.persist?.entries.length, 3);
  t.deepEqual(
    ready.messages.map(message => message.type === 'appendRequest' && message.entries.length),
    [3, 3],
  );
});

// Thesis figure 3.6: what followers may have when a leader of term 8 comes to power.
const LEADER_TERMS = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
const FIGURE_3_6: Record<string, readonly number[]> = {
  a: [1, 1, 1, 4, 4, 5, 5, 6, 6],
  b: [1, 1, 1, 4],
  c: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
  d: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
  e: [1, 1, 1, 4, 4, 4, 4],
  f: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
};
for (const [name, terms] of Object.entries(FIGURE_3_6)) {
  test(`a leader repairs the log of follower (${name}) of thesis figure 3.6`, t => {
    const membership = membershipOf('leader', 'x', 'y');
    const make = (id: string, own: readonly number[]) =>
      new TestMember({
        id,
        membership,
        entries: entriesOf(...own),
        hardState: { term: 7, votedFor: undefined, commit: 3 },
      });
    const cluster = new TestCluster(make('leader', LEADER_TERMS), make('x', terms), make('y', LEADER_TERMS));
    cluster.elect('leader');
    cluster.tick(2);
    t.deepEqual(cluster.get('x').terms, [...LEADER_TERMS, 8]);
    t.is(cluster.get('x').core.status().commitIndex, 11);
  });
}

test('a repeated append does not cut what came after it (hashicorp/raft 0f31a01)', t => {
  const each = follower({ terms: [1, 1, 1] });
  each.core.step(appendRequest({ entries: entriesOf(1, 1), commit: 1 }));
  t.deepEqual(each.terms, [1, 1, 1]);
  t.like(each.pump()[0], { type: 'appendResponse', success: true, matchIndex: 2 });
});

test('a follower commits no further than what the leader has just confirmed', t => {
  const each = follower({ terms: [1, 1, 1] });
  each.core.step(appendRequest({ previousIndex: 1, previousTerm: 1, commit: 3 }));
  t.is(each.core.status().commitIndex, 1);
});

test('a member whose disk was rolled back to an older copy stops instead of promising on (etcd #13509, moby #29180)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.elect('a');
  const older = cluster.get('b').restarted();
  for (const text of ['one', 'two']) cluster.propose('a', text);
  cluster.tick(2);
  cluster.members.set('b', older);
  t.throws(() => cluster.tick(2), { code: 'RAFT_LOG_CORRUPT', message: /acknowledged entry 3, but its log ends at 1/ });
});

test('a message for another member is not taken (swarmkit #1815)', t => {
  const each = follower();
  each.core.step(appendRequest({ to: 'x', term: 7 }));
  t.is(each.core.status().term, 1);
  t.deepEqual(each.pump(), []);
});

test('a leader that slept through an election answers no read with what it knew (etcd #20418)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const { core } = cluster.elect('a');
  cluster.isolate('a');
  cluster.tick(ELECTION_TICKS, ['c']);
  cluster.elect('b');
  cluster.propose('b', 'newer');
  cluster.settle();
  // It wakes: no tick has passed for it, so it still takes itself for the leader.
  cluster.heal();
  t.is(core.status().role, 'leader');
  t.not(core.readIndex(), undefined);
  cluster.settle();
  t.deepEqual(cluster.get('a').reads, []);
  t.is(core.status().role, 'follower');
});

test('a leader that contradicts a committed entry stops the member', t => {
  const each = follower({ terms: [1, 1], commit: 2 });
  const entries = [{ index: 2, term: 2, kind: 'noop', data: new Uint8Array() }] as const;
  t.throws(() => each.core.step(appendRequest({ term: 2, previousIndex: 1, previousTerm: 1, entries })), {
    message: /contradicts a committed entry/,
  });
});

test('an acknowledgement waits for the disk; a heartbeat is answered with what is durable', t => {
  const each = follower();
  each.isDiskHeld = true;
  each.core.step(appendRequest({ entries: entriesOf(1, 1) }));
  t.deepEqual(each.pump(), []);
  each.core.step(appendRequest({ previousIndex: 2, previousTerm: 1, readContext: 4 }));
  t.like(each.pump()[0], { success: true, matchIndex: 0, readContext: 4 });
  t.like(each.releaseDisk()[0], { success: true, matchIndex: 2 });
});

test('an acknowledgement that is not durable when a new term begins is never given', t => {
  const each = follower();
  each.isDiskHeld = true;
  each.core.step(appendRequest({ entries: entriesOf(1) }));
  each.pump();
  each.core.step(
    appendRequest({
      previousIndex: 1,
      previousTerm: 1,
      entries: [{ index: 2, term: 1, kind: 'noop', data: new Uint8Array() }],
    }),
  );
  each.core.step(
    appendRequest({ from: 'c', term: 2, entries: [{ index: 1, term: 2, kind: 'noop', data: new Uint8Array() }] }),
  );
  const answers = each.releaseDisk();
  t.false(answers.some(answer => answer.type === 'appendResponse' && answer.matchIndex === 2));
});

test('a cluster of one waits for its disk too (etcd #14370)', t => {
  const alone = new TestMember({ id: 'a', membership: membershipOf('a') });
  alone.pump();
  t.is(alone.core.status().role, 'leader');
  alone.isDiskHeld = true;
  alone.core.propose(Buffer.from('x'));
  alone.pump();
  t.is(alone.core.status().commitIndex, 1);
  alone.releaseDisk();
  t.deepEqual(commandsOf(alone), ['x']);
});

test('a leader does not count its own entry before it is durable', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const leader = cluster.elect('a');
  cluster.isolate('c');
  leader.isDiskHeld = true;
  cluster.propose('a', 'x');
  cluster.settle();
  t.is(leader.core.status().commitIndex, 1, 'one follower alone is no majority');
  for (const message of leader.releaseDisk()) cluster.deliver(message);
  t.is(leader.core.status().commitIndex, 2);
});

test('a leader whose disk hangs steps down, and does not campaign (hashicorp/raft #503)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const leader = cluster.elect('a');
  leader.isDiskHeld = true;
  cluster.propose('a', 'x');
  cluster.settle();
  cluster.tick(ELECTION_TICKS, ['a']);
  t.is(leader.core.status().role, 'follower');
  cluster.tick(3 * ELECTION_TICKS, ['a']);
  t.is(leader.core.status().role, 'follower');
});

test('what is uncommitted is bounded in bytes, and the bound frees itself (etcd-io/raft a370b6f)', t => {
  const membership = membershipOf('a', 'b', 'c');
  const limits = { uncommittedBytesMax: 200 };
  const cluster = new TestCluster(...['a', 'b', 'c'].map(id => new TestMember({ id, membership, limits })));
  cluster.elect('a');
  const { core } = cluster.get('a');
  t.true(core.propose(new Uint8Array(300)).accepted, 'one large command goes alone');
  t.like(core.propose(new Uint8Array(1)), { accepted: false, reason: 'overloaded' });
  cluster.settle();
  t.true(core.propose(new Uint8Array(1)).accepted);
});

test('a follower that does not answer gets only so much', t => {
  const membership = membershipOf('a', 'b', 'c');
  const limits = { inflightEntriesMax: 4, appendBytesMax: 1 };
  const cluster = new TestCluster(...['a', 'b', 'c'].map(id => new TestMember({ id, membership, limits })));
  cluster.elect('a');
  let toB = 0;
  cluster.drops = message => {
    if (message.type === 'appendRequest' && message.to === 'b') toB += message.entries.length;
    return message.from === 'b';
  };
  for (let count = 0; count < 20; count++) cluster.propose('a', String(count));
  cluster.settle();
  t.is(toB, 4);
  cluster.drops = () => false;
  cluster.tick(5);
  t.is(commandsOf(cluster.get('b')).length, 20, 'and all of it once it answers again');
});

// ---- reads ----------------------------------------------------------------------------------------------------------

test('a read is refused until an entry of the own term is committed (thesis 6.4)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.drops = message => message.type === 'appendResponse';
  cluster.elect('a');
  t.is(cluster.get('a').core.readIndex(), undefined);
  cluster.drops = () => false;
  cluster.tick(2);
  t.is(cluster.get('a').core.readIndex(), 1);
});

test('a read is confirmed by a majority that answered after it was asked (etcd #20418)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const leader = cluster.elect('a');
  const old = leader.pump();
  t.deepEqual(old, []);
  cluster.drops = message => message.type === 'appendResponse';
  const first = leader.core.readIndex();
  cluster.settle();
  t.deepEqual(leader.reads, []);
  const second = leader.core.readIndex();
  t.not(first, second, 'each attempt has its own context');
  const answer = {
    type: 'appendResponse',
    to: 'a',
    term: 1,
    success: true,
    matchIndex: 1,
    hintTerm: 0,
    previousIndex: 1,
    needsSnapshot: false,
  } as const;
  leader.core.step({ ...answer, from: 'b', readContext: first ?? 0 });
  leader.pump();
  t.deepEqual(
    leader.reads.map(read => read.context),
    [first],
    'an answer to the first confirms no second',
  );
});

test('a leader without a majority confirms no read', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const leader = cluster.elect('a');
  cluster.isolate('a');
  leader.core.readIndex();
  cluster.settle();
  t.deepEqual(leader.reads, []);
});

test('a cluster of one confirms reads at once', t => {
  const alone = new TestMember({ id: 'a', membership: membershipOf('a') });
  alone.pump();
  alone.core.readIndex();
  alone.pump();
  t.deepEqual(alone.reads, [{ context: 1, index: 1 }]);
});

// ---- membership -----------------------------------------------------------------------------------------------------

function withLearner(membership: Membership, id: string): Membership {
  return { ...membership, members: [...membership.members, member(id, 'learner')] };
}

test('a learner gets the log but counts in no quorum, until it is made a voter (thesis 4.2.1)', t => {
  const cluster = TestCluster.of('a', 'b');
  cluster.members.set('c', new TestMember({ id: 'c', membership: membershipOf('a', 'b') }));
  const { core } = cluster.elect('a');
  t.true(core.proposeMembership(withLearner(core.configuration.membership, 'c')).accepted);
  cluster.tick(2);
  cluster.propose('a', 'x');
  cluster.settle();
  t.deepEqual(commandsOf(cluster.get('c')), ['x']);
  cluster.isolate('b');
  cluster.propose('a', 'y');
  cluster.settle();
  t.deepEqual(commandsOf(cluster.get('a')), ['x'], 'leader and learner are no majority of two voters');
  cluster.heal();
  cluster.tick(2);
  t.true(core.proposeMembership(membershipOf('a', 'b', 'c')).accepted);
  cluster.tick(2);
  cluster.isolate('b');
  cluster.propose('a', 'z');
  cluster.settle();
  t.deepEqual(commandsOf(cluster.get('a')), ['x', 'y', 'z'], 'but of three');
});

test('one change at a time, of one member, after the own term has committed (thesis 4.1)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const { core } = cluster.elect('a');
  const { membership } = core.configuration;
  const refusal = (next: Membership) => {
    const result = core.proposeMembership(next);
    return result.accepted ? 'accepted' : (result.detail ?? result.reason);
  };
  t.regex(refusal(membershipOf('a')), /one member/);
  t.regex(refusal(membershipOf('a', 'b', 'c', 'd')), /learner/);
  t.regex(refusal({ ...membership, clusterId: 'other' }), /cluster/);
  t.regex(
    refusal({
      ...withLearner(membership, 'd'),
      removed: [],
      members: [...membership.members, { ...member('d', 'learner'), name: 'name-a' }],
    }),
    /name/,
  );
  t.is(refusal(withLearner(membership, 'd')), 'accepted');
  t.is(refusal(withLearner(core.configuration.membership, 'e')), 'membershipPending');
});

test('no membership changes before an entry of the own term is committed (raft-dev, July 2015)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.drops = message => message.type === 'appendResponse';
  const { core } = cluster.elect('a');
  const next = withLearner(core.configuration.membership, 'd');
  t.like(core.proposeMembership(next), { accepted: false, reason: 'membershipPending' });
  cluster.drops = () => false;
  cluster.tick(2);
  t.true(core.proposeMembership(next).accepted);
});

test('a membership that is cut from the log is no longer in force (thesis 4.1)', t => {
  const each = follower({ terms: [1] });
  const other = withLearner(membershipOf('a', 'b', 'c'), 'd');
  each.core.step(
    appendRequest({
      previousIndex: 1,
      previousTerm: 1,
      entries: [{ index: 2, term: 1, kind: 'membership', data: jsonCodec.encode(other) }],
    }),
  );
  t.true(each.core.configuration.members.has('d'));
  each.core.step(
    appendRequest({
      from: 'c',
      term: 2,
      previousIndex: 1,
      previousTerm: 1,
      entries: [{ index: 2, term: 2, kind: 'noop', data: new Uint8Array() }],
    }),
  );
  t.false(each.core.configuration.members.has('d'));
});

test('a leader that is removed goes once that is committed (thesis 4.2.2)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  const { core } = cluster.elect('a');
  t.true(core.proposeMembership({ ...membershipOf('b', 'c'), removed: ['a'] }).accepted);
  cluster.settle();
  t.is(core.status().role, 'follower');
  t.is(cluster.get('b').core.status().commitIndex, 2, 'the others know before it goes');
  cluster.tick(ELECTION_TICKS, ['c']);
  cluster.elect('b');
  t.deepEqual(cluster.leaders, ['b']);
});

test('a removal that is not committed shuts nobody out', t => {
  const each = follower({ terms: [1] });
  const without = { ...membershipOf('a', 'b'), removed: ['c'] };
  each.core.step(
    appendRequest({
      previousIndex: 1,
      previousTerm: 1,
      entries: [{ index: 2, term: 1, kind: 'membership', data: jsonCodec.encode(without) }],
    }),
  );
  each.pump();
  each.core.step(appendRequest({ from: 'c', term: 2, previousIndex: 1, previousTerm: 1 }));
  t.is(each.core.status().leader, 'c');
});

// ---- snapshots ------------------------------------------------------------------------------------------------------

function compactedCluster(): TestCluster {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.elect('a');
  cluster.isolate('c');
  for (let count = 0; count < 10; count++) cluster.propose('a', String(count));
  cluster.settle();
  cluster.get('a').core.compact(8);
  cluster.heal();
  cluster.tick(2);
  return cluster;
}

test('a follower behind the start of the log is sent a snapshot, then the rest (thesis 5)', t => {
  const cluster = compactedCluster();
  const { core } = cluster.get('a');
  t.deepEqual(cluster.get('a').snapshotsWanted, ['c']);
  const metadata = core.snapshotMetadata(11);
  t.truthy(metadata);
  if (metadata === undefined) return;
  core.snapshotStarted('c', metadata.index);
  t.is(core.compactableIndex(), 11);
  const slow = cluster.get('c').core;
  t.true(slow.wantsSnapshot(metadata, 1));
  slow.installSnapshot(metadata);
  t.true(slow.needsSnapshot, 'until the state machine has it');
  cluster.settle();
  slow.snapshotRestored(metadata.index);
  core.snapshotEnded('c', true);
  cluster.propose('a', 'after');
  cluster.tick(3);
  t.deepEqual(commandsOf(cluster.get('c')), ['after']);
  t.is(slow.status().startIndex, 11);
});

test('a snapshot that brings nothing new is refused', t => {
  const cluster = compactedCluster();
  const metadata = cluster.get('a').core.snapshotMetadata(9);
  t.truthy(metadata);
  if (metadata === undefined) return;
  t.false(cluster.get('b').core.wantsSnapshot(metadata, 1), 'it has that already');
  t.false(cluster.get('c').core.wantsSnapshot(metadata, 0), 'it is of an old term');
  t.false(cluster.get('a').core.wantsSnapshot(metadata, 1), 'a leader needs none');
});

test('a member whose state machine is older than its log takes entries and asks for a snapshot', t => {
  const membership = membershipOf('a', 'b', 'c');
  const each = new TestMember({
    id: 'a',
    membership,
    snapshot: { index: 5, term: 1, membership },
    hardState: { term: 1, votedFor: undefined, commit: 5 },
    appliedIndex: 3,
  });
  each.core.step(
    appendRequest({
      previousIndex: 5,
      previousTerm: 1,
      commit: 6,
      entries: [{ index: 6, term: 1, kind: 'noop', data: new Uint8Array() }],
    }),
  );
  t.like(each.pump()[0], { success: true, matchIndex: 6, needsSnapshot: true });
  t.deepEqual(each.applied, []);
  for (let tick = 0; tick < 5 * ELECTION_TICKS; tick++) each.core.tick();
  t.is(each.core.status().role, 'follower', 'it cannot lead without its state');
});

test('a state machine that is ahead of its log means that the log lost entries', t => {
  const membership = membershipOf('a', 'b', 'c');
  t.throws(() => new TestMember({ id: 'a', membership, appliedIndex: 3 }), { message: /ahead of the log/ });
});
