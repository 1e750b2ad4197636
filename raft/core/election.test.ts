import test from 'ava';
import type { VoteRequest } from './messages.ts';
import { ELECTION_TICKS, entriesOf, member, membershipOf, TestCluster, TestMember } from './testing/cluster.ts';

function voteRequest(request: Partial<VoteRequest> & Pick<VoteRequest, 'from' | 'to' | 'term'>): VoteRequest {
  return { type: 'voteRequest', lastLogIndex: 0, lastLogTerm: 0, transfer: false, ...request };
}

test('a member whose timeout passes is elected by a majority (thesis 3.4)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.elect('a');
  t.deepEqual(cluster.leaders, ['a']);
  t.is(cluster.get('b').core.status().leader, 'a');
  t.is(cluster.get('c').core.status().term, 1);
});

test('two of four members are no majority (hashicorp/raft 163a55f)', t => {
  const cluster = TestCluster.of('a', 'b', 'c', 'd');
  cluster.isolate('c');
  cluster.isolate('d');
  cluster.tick(5 * ELECTION_TICKS, ['a']);
  t.deepEqual(cluster.leaders, []);
  cluster.heal();
  cluster.isolate('d');
  cluster.elect('a');
  t.deepEqual(cluster.leaders, ['a']);
});

test('a member votes once a term, and only for who has its log (thesis 3.6.1)', t => {
  const voter = new TestMember({
    id: 'a',
    membership: membershipOf('a', 'b', 'c'),
    entries: entriesOf(1, 2),
    hardState: { term: 2, votedFor: undefined, commit: 0 },
  });
  const ask = (request: Partial<VoteRequest> & { from: string; term: number }) => {
    voter.core.step(voteRequest({ to: 'a', ...request }));
    return voter.pump().map(answer => answer.type === 'voteResponse' && answer.granted);
  };
  t.deepEqual(ask({ from: 'b', term: 3, lastLogIndex: 9, lastLogTerm: 1 }), [false], 'an older last term');
  t.deepEqual(ask({ from: 'b', term: 3, lastLogIndex: 1, lastLogTerm: 2 }), [false], 'a shorter log');
  t.deepEqual(ask({ from: 'b', term: 3, lastLogIndex: 2, lastLogTerm: 2 }), [true]);
  t.deepEqual(ask({ from: 'b', term: 3, lastLogIndex: 2, lastLogTerm: 2 }), [true], 'the same candidate again');
  t.deepEqual(ask({ from: 'c', term: 3, lastLogIndex: 5, lastLogTerm: 3 }), [false], 'another candidate');
});

test('a vote is on disk before it is told, and survives a restart (thesis 3.8)', t => {
  const membership = membershipOf('a', 'b', 'c');
  const voter = new TestMember({ id: 'a', membership });
  voter.isDiskHeld = true;
  voter.core.step(voteRequest({ from: 'b', to: 'a', term: 1 }));
  t.deepEqual(voter.pump(), [], 'nothing is said while the disk is busy');
  t.like(voter.releaseDisk()[0], { type: 'voteResponse', granted: true });
  t.like(voter.hardState, { term: 1, votedFor: 'b' });

  const again = new TestMember({ id: 'a', membership, hardState: voter.hardState });
  again.core.step(voteRequest({ from: 'c', to: 'a', term: 1 }));
  t.like(again.pump()[0], { type: 'voteResponse', granted: false });
});

test('a candidate asks for votes only when its own is on disk', t => {
  const candidate = new TestMember({ id: 'a', membership: membershipOf('a', 'b', 'c') });
  candidate.isDiskHeld = true;
  for (let tick = 0; tick < ELECTION_TICKS; tick++) candidate.core.tick();
  t.deepEqual(
    candidate.pump().map(message => message.type),
    ['preVoteRequest', 'preVoteRequest'],
  );
  candidate.core.step({ type: 'preVoteResponse', from: 'b', to: 'a', term: 1, granted: true });
  t.deepEqual(candidate.pump(), []);
  t.deepEqual(
    candidate.releaseDisk().map(message => message.type),
    ['voteRequest', 'voteRequest'],
  );
});

test('a member that comes back from a partition deposes nobody (pre-vote, thesis 9.6)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.elect('a');
  cluster.isolate('c');
  cluster.tick(10 * ELECTION_TICKS);
  t.is(cluster.get('c').core.status().term, 1, 'asking around does not touch the term');
  cluster.heal();
  cluster.tick(3 * ELECTION_TICKS);
  t.deepEqual(cluster.leaders, ['a']);
  t.is(cluster.get('a').core.status().term, 1);
  t.is(cluster.get('c').core.status().leader, 'a');
});

test('granting a pre-vote neither binds nor puts off the own campaign (hashicorp/raft #609)', t => {
  const voter = new TestMember({ id: 'a', membership: membershipOf('a', 'b', 'c') });
  for (let tick = 0; tick < ELECTION_TICKS - 1; tick++) voter.core.tick();
  voter.core.step({ ...voteRequest({ from: 'b', to: 'a', term: 1 }), type: 'preVoteRequest' });
  t.like(voter.pump()[0], { type: 'preVoteResponse', granted: true, term: 1 });
  t.is(voter.core.status().term, 0);
  voter.core.tick();
  t.is(voter.core.status().role, 'preCandidate');
});

test('a vote request is ignored while a leader is heard, unless leadership is handed over (thesis 4.2.3)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.elect('a');
  const request = voteRequest({ from: 'c', to: 'b', term: 9, lastLogIndex: 9, lastLogTerm: 9 });
  cluster.get('b').core.step(request);
  t.deepEqual(cluster.get('b').pump(), []);
  t.is(cluster.get('b').core.status().term, 1);
  cluster.get('b').core.step({ ...request, transfer: true });
  t.like(cluster.get('b').pump()[0], { type: 'voteResponse', granted: true, term: 9 });
});

test('a leader that hears no majority steps down (check-quorum, thesis 6.2)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.elect('a');
  cluster.isolate('a');
  cluster.tick(2 * ELECTION_TICKS, ['a']);
  t.not(cluster.get('a').core.status().role, 'leader');
});

test('a learner never campaigns, but votes when asked (etcd #10998)', t => {
  const learner = new TestMember({ id: 'l', membership: membershipOf('a', member('l', 'learner')) });
  for (let tick = 0; tick < 5 * ELECTION_TICKS; tick++) learner.core.tick();
  t.deepEqual(learner.pump(), []);
  learner.core.step(voteRequest({ from: 'a', to: 'l', term: 1 }));
  t.like(learner.pump()[0], { type: 'voteResponse', granted: true });
});

test('nobody listens to a removed member', t => {
  const membership = { ...membershipOf('a', 'b'), removed: ['x'] };
  const voter = new TestMember({ id: 'a', membership });
  voter.core.step(voteRequest({ from: 'x', to: 'a', term: 5 }));
  t.deepEqual(voter.pump(), []);
  t.is(voter.core.status().term, 0);
});

test('leadership moves to the member that is told to campaign, at once (thesis 3.10)', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.elect('a');
  t.is(cluster.get('a').core.transferLeadership('b'), 'begun');
  t.like(cluster.get('a').core.propose(Buffer.from('x')), { accepted: false, reason: 'transferring' });
  cluster.settle();
  t.deepEqual(cluster.leaders, ['b']);
  t.is(cluster.get('b').core.status().term, 2);
});

test('a transfer to a member that does not answer is given up after an election timeout', t => {
  const cluster = TestCluster.of('a', 'b', 'c');
  cluster.elect('a');
  cluster.isolate('b');
  cluster.get('a').core.transferLeadership('b');
  cluster.tick(ELECTION_TICKS, ['a']);
  t.is(cluster.get('a').core.transferTarget, undefined);
  t.true(cluster.get('a').core.propose(Buffer.from('x')).accepted);
  t.is(cluster.get('a').core.transferLeadership('nobody'), 'notVoter');
});
