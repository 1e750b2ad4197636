import test from 'ava';
import { until } from '../transport/testing/until.ts';
import type { RaftObserver } from './observer.ts';
import { Group, memberEntry } from './testing/group.ts';

/** Keeps what it is told, by name of the call. */
function recorder() {
  const calls = new Map<string, unknown[][]>();
  // Each property is a function that notes how it was called, which satisfies every method of the interface.
  const observer = new Proxy({} as RaftObserver, {
    get: (_, name) =>
      typeof name === 'string'
        ? (...values: unknown[]) => void calls.set(name, [...(calls.get(name) ?? []), values])
        : undefined,
  });
  return { observer, of: (name: keyof RaftObserver) => calls.get(name) ?? [] };
}

const bytes = (value: string) => Buffer.from(value);

test('a leader tells of its log, its commits, its state machine and its reads, once a batch', async t => {
  const { observer, of } = recorder();
  const group = await Group.start(1, { observer });
  const leader = await group.leaderOnce();
  await leader.node.propose(bytes('before'));
  const before = of('appended').length;
  await Promise.all(Array.from({ length: 100 }, () => leader.node.propose(bytes('ten bytes!'))));
  const batches = of('appended').slice(before);
  t.true(batches.length < 5, `${batches.length} writes for a hundred proposals of one turn`);
  t.is(
    batches.reduce((sum, [, entries]) => sum + Number(entries), 0),
    100,
  );
  t.is(
    batches.reduce((sum, [, , size]) => sum + Number(size), 0),
    1_000,
  );
  t.true(of('committed').length > 0 && of('committed').every(([ms]) => Number(ms) >= 0));
  t.is(
    of('applied').reduce((sum, [, entries]) => sum + Number(entries), 0),
    101,
  );
  await leader.node.readBarrier();
  t.true(of('readIndexed').length >= 1);
  t.deepEqual(of('leaderChanged'), [[leader.id, leader.node.status().term]]);
  t.is(leader.node.status().pendingProposals, 0);
  t.is(leader.node.status().appendingMs, 0);
  await group.close();
});

test('what fails is counted: proposals, reads, and a leader that is lost', async t => {
  const { observer, of } = recorder();
  const group = await Group.start(3, { observer });
  const follower = await group.followerOnce();
  for (const member of group.members) if (member !== follower) await member.node.close();
  await until(() => of('leaderChanged').length > 0 && of('leaderChanged').at(-1)?.[0] === undefined);
  t.is(follower.node.status().leader, undefined);
  const before = of('proposalsFailed').length;
  await t.throwsAsync(follower.node.propose(bytes('x'), { timeoutMs: 50 }));
  await t.throwsAsync(follower.node.readBarrier({ timeoutMs: 50 }));
  t.is(of('proposalsFailed').length, before + 1);
  t.is(of('readsFailed').length, 1);
  await group.close();
});

test('a snapshot is told of on both sides, with its bytes', async t => {
  const { observer, of } = recorder();
  const group = await Group.start(1, { observer, options: { compactEntries: 20, tailEntries: 5 } });
  const founder = await group.leaderOnce();
  for (let count = 0; count < 60; count++) await founder.node.propose(bytes(`c${count}`));
  await group.add(1, founder.node.status().membership, { observer });
  await founder.node.addMember(memberEntry(1));
  t.deepEqual(of('snapshotSending'), [[memberEntry(1).id]]);
  t.deepEqual(of('snapshotReceiving'), [[founder.id]]);
  for (const name of ['snapshotSent', 'snapshotReceived'] as const) {
    const [peer, transfer] = of(name)[0] ?? [];
    t.is(peer, name === 'snapshotSent' ? memberEntry(1).id : founder.id);
    t.like(transfer, { isComplete: true });
    t.true((transfer as { bytes: number }).bytes > 0);
  }
  await group.close();
});

test('a write that hangs shows how long it has', async t => {
  const group = await Group.start(1);
  const leader = await group.leaderOnce();
  let release = () => {};
  leader.disk.setFault(() => new Promise<void>(resolve => (release = resolve)));
  const proposed = leader.node.propose(bytes('x'));
  await until(() => leader.node.status().appendingMs > 20);
  t.is(leader.node.status().pendingProposals, 1);
  leader.disk.setFault(() => Promise.resolve());
  release();
  await proposed;
  await until(() => leader.node.status().appendingMs === 0);
  await group.close();
});
