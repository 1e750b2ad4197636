/** Situations that chance meets too rarely. */
import test from 'ava';
import { DirectedCluster } from './directed.ts';
import { GOOD_DISK } from './member-disk.ts';

test('an entry of an older term on a majority is not committed by that (figures 3.7 and 3.8 of the thesis)', async t => {
  // One entry at a time is on its way, so that the old one can arrive without the new one behind it.
  const cluster = new DirectedCluster(5, () => ({ limits: { inflightEntriesMax: 1, appendBytesMax: 1 } }));
  const { reference } = cluster;
  cluster.onlyAround(0, [1, 2, 3, 4]);
  await cluster.until('member 0 leads', () => cluster.leads(0));
  cluster.propose(0, 'first');
  await cluster.until('all have begun', () => reference.length === 1 && cluster.isInAgreement);

  // (a) The leader gets an entry to one follower, and dies.
  cluster.onlyAround(0, [1]);
  const oldIndex = (cluster.at(0).place.node?.status().lastIndex ?? 0) + 1;
  const oldTerm = cluster.at(0).place.node?.status().term ?? 0;
  cluster.propose(0, 'old');
  let isOnFollower = false;
  cluster.onMessage = message => {
    isOnFollower ||= message.type === 'appendResponse' && message.success && message.matchIndex === oldIndex;
  };
  await cluster.until('one follower has the entry', () => isOnFollower);
  await cluster.pass(20);
  cluster.at(0).member.crash();

  // (b) Another leads, writes its own entry at that index, and dies before anybody else has it.
  cluster.onlyAround(4, [2, 3]);
  cluster.onMessage = message => {
    if (message.type === 'appendRequest' && message.from === cluster.idOf(4)) cluster.silence(4);
  };
  await cluster.until('member 4 leads', () => cluster.leads(4));
  await cluster.pass(20);
  const between = cluster.at(4).place.node?.status();
  t.is(between?.lastIndex, oldIndex);
  t.true((between?.term ?? 0) > oldTerm);
  cluster.at(4).member.crash();

  // (c) The first leads again and brings the old entry to a majority, but nothing of its own term.
  cluster.at(0).member.start();
  cluster.onlyAround(0, [1, 2]);
  let isOnMajority = false;
  cluster.onMessage = message => {
    const isOwn = message.type === 'appendRequest' && message.entries.some(({ index }) => index > oldIndex);
    if (isOwn) cluster.network.cut(message.from, message.to);
    isOnMajority ||=
      message.type === 'appendResponse' &&
      message.from === cluster.idOf(2) &&
      message.success &&
      message.matchIndex === oldIndex;
  };
  await cluster.until('three of five have the old entry', () => isOnMajority);
  await cluster.pass(20);
  t.true(cluster.leads(0));
  t.is(reference.positionOf('old'), undefined, 'it is not committed');
  cluster.at(0).member.crash();

  // (d) So the other may win again, and replace it.
  cluster.onMessage = () => {};
  cluster.at(4).member.start();
  cluster.onlyAround(4, [2, 3]);
  await cluster.until('member 4 leads', () => cluster.leads(4));
  cluster.propose(4, 'last');
  await cluster.until('its entries are committed', () => reference.positionOf('last') === 1);

  cluster.network.heal();
  cluster.at(0).member.start();
  await cluster.until('all agree', () => cluster.isInAgreement);
  t.is(reference.positionOf('old'), undefined);
  t.is(reference.length, 2);
});

test('nothing is applied while a snapshot is being taken over, though the log goes on', async t => {
  // The first leader forgets its log at once, the second one never: it can go on where the snapshot is not needed.
  const cluster = new DirectedCluster(3, number => ({ compactEntries: number === 0 ? 5 : 10_000, tailEntries: 0 }));
  const { reference } = cluster;
  cluster.onlyAround(0, [1, 2]);
  await cluster.until('member 0 leads', () => cluster.leads(0));
  cluster.network.heal();
  cluster.silence(2);
  cluster.network.cut(cluster.idOf(0), cluster.idOf(2));
  cluster.network.cut(cluster.idOf(1), cluster.idOf(2));
  for (let count = 0; count < 20; count++) cluster.propose(0, `command ${count}`);
  await cluster.until('all is applied without member 2', () => reference.length === 20);
  await cluster.pass(100);

  // Member 2 comes back with a slow disk, and is sent a snapshot.
  const { member, place } = cluster.at(2);
  member.disk.faults = { ...GOOD_DISK, writeMsMin: 300, writeMsMax: 300 };
  cluster.network.heal();
  await cluster.until('a snapshot comes in', () => place.machine?.isRestoring === true);
  cluster
    .at(0)
    .place.node?.transferLeadership(cluster.idOf(1))
    .catch(() => {});
  let appliedMeanwhile = 0;
  let isMeanwhile = false;
  await cluster.until('the log of member 2 grows and is committed meanwhile', () => {
    const status = place.node?.status();
    isMeanwhile ||= place.machine?.isRestoring === true && (status?.commitIndex ?? 0) > 0;
    if (place.machine?.isRestoring === true) appliedMeanwhile = Math.max(appliedMeanwhile, place.machine.length);
    return isMeanwhile && place.machine?.isRestoring === false;
  });
  t.is(appliedMeanwhile, 0);

  await cluster.until('all agree', () => cluster.isInAgreement);
  t.is(reference.length, 20);
});
