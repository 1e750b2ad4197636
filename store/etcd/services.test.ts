import { status } from '@grpc/grpc-js';
import test from 'ava';
import { HEALTH_SERVING } from './proto/concurrency.ts';
import { ALARM_ACTIVATE, ALARM_DEACTIVATE, ALARM_GET, ALARM_NO_SPACE, ALARM_NONE } from './proto/maintenance.ts';
import { Auth, Cluster, Election, Health, KV, Lease, Lock, Maintenance } from './proto/services.ts';
import { makeDoor } from './testing/door.ts';

const b = (text: string) => Buffer.from(text);
const s = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
const withCode = (code: number, details: string | RegExp) => ({
  message: details instanceof RegExp ? details : `${code} ${status[code]}: ${details}`,
});

test('a lease is granted, renewed, looked at, listed, revoked', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  const given = await etcd.call(Lease.leaseGrant, { ttl: 600 });
  const chosen = await etcd.call(Lease.leaseGrant, { ttl: 300, id: 424242 });
  t.deepEqual([given.ttl, chosen.id, chosen.ttl], [600, 424242, 300]);
  await t.throwsAsync(
    etcd.call(Lease.leaseGrant, { ttl: 300, id: 424242 }),
    withCode(status.FAILED_PRECONDITION, 'etcdserver: lease already exists'),
  );
  await t.throwsAsync(
    etcd.call(Lease.leaseGrant, { ttl: 9_000_000_001 }),
    withCode(status.OUT_OF_RANGE, 'etcdserver: too large lease TTL'),
  );
  await etcd.call(KV.put, { key: b('k'), lease: chosen.id });
  const time = await etcd.call(Lease.leaseTimeToLive, { id: chosen.id, keys: true });
  t.deepEqual([time.grantedTtl, time.keys.map(s)], [300, ['k']]);
  t.true(time.ttl > 200 && time.ttl <= 300);
  t.is((await etcd.call(Lease.leaseTimeToLive, { id: 1_000 })).ttl, -1);
  const { leases } = await etcd.call(Lease.leaseLeases, {});
  t.deepEqual(
    leases.map(({ id }) => id),
    [given.id, chosen.id].sort((one, other) => one - other),
  );
  const stream = etcd.stream(Lease.leaseKeepAlive);
  stream.send({ id: chosen.id });
  t.like(await stream.next(), { id: chosen.id, ttl: 300 });
  stream.send({ id: 1_000 });
  t.like(await stream.next(), { id: 1_000, ttl: 0 });
  stream.end();
  await etcd.call(Lease.leaseRevoke, { id: chosen.id });
  t.is((await etcd.call(KV.range, { key: b('k') })).count, 0);
  await t.throwsAsync(
    etcd.call(Lease.leaseRevoke, { id: chosen.id }),
    withCode(status.NOT_FOUND, 'etcdserver: requested lease not found'),
  );
});

test('the status, the hash and the members of a cluster of one', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  await etcd.call(KV.put, { key: b('k'), value: b('v') });
  const answer = await etcd.call(Maintenance.status, {});
  t.like(answer, { leader: 0xaan, raftTerm: 1, errors: [], isLearner: false });
  t.true(answer.dbSize > 0 && answer.raftIndex >= answer.raftAppliedIndex);
  const hash = await etcd.call(Maintenance.hashKv, {});
  t.like(hash, { compactRevision: -1, hashRevision: 2 });
  const { members } = await etcd.call(Cluster.memberList, { linearizable: true });
  t.deepEqual(
    members.map(({ id, name, isLearner }) => [id, name, isLearner]),
    [[0xaan, 'single', false]],
  );
  const refused = [
    [etcd.call(Cluster.memberRemove, { id: 5n }), status.NOT_FOUND, 'etcdserver: member not found'],
    [
      etcd.call(Cluster.memberPromote, { id: 0xaan }),
      status.FAILED_PRECONDITION,
      'etcdserver: can only promote a learner member',
    ],
    [
      etcd.call(Cluster.memberAdd, { peerUrls: ['nonsense'] }),
      status.INVALID_ARGUMENT,
      'etcdserver: given member URLs are invalid',
    ],
    [
      etcd.call(Maintenance.moveLeader, { targetId: 5n }),
      status.FAILED_PRECONDITION,
      'etcdserver: bad leader transferee',
    ],
  ] as const;
  for (const [call, code, details] of refused) await t.throwsAsync(call, withCode(code, details));
  t.is((await etcd.call(Health.check, {})).status, HEALTH_SERVING);
  await t.throwsAsync(etcd.call(Health.check, { service: 'x' }), withCode(status.NOT_FOUND, 'unknown service'));
});

test('alarms are raised, listed and taken back; a full store says so', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  await etcd.call(Maintenance.alarm, { action: ALARM_ACTIVATE, alarm: ALARM_NO_SPACE, memberId: 0xaan });
  const { alarms } = await etcd.call(Maintenance.alarm, { action: ALARM_GET, alarm: ALARM_NONE });
  t.deepEqual(alarms, [{ memberId: 0xaan, alarm: ALARM_NO_SPACE }]);
  await t.throwsAsync(
    etcd.call(KV.put, { key: b('k') }),
    withCode(status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded'),
  );
  t.regex((await etcd.call(Maintenance.status, {})).errors.join(), /memberID:170 alarm:NOSPACE/);
  await etcd.call(Maintenance.alarm, { action: ALARM_DEACTIVATE, alarm: ALARM_NO_SPACE, memberId: 0xaan });
  t.is((await etcd.call(Maintenance.alarm, {})).alarms.length, 0);
  await etcd.call(KV.put, { key: b('k') });
});

test('authentication is off, and says why it stays so', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  t.like(await etcd.call(Auth.authStatus, {}), { enabled: false });
  await t.throwsAsync(
    etcd.call(Auth.authEnable, {}),
    withCode(status.FAILED_PRECONDITION, 'etcdserver: root user does not exist'),
  );
  await etcd.call(Auth.userAdd, { name: 'root' });
  await t.throwsAsync(
    etcd.call(Auth.authEnable, {}),
    withCode(status.FAILED_PRECONDITION, 'etcdserver: root user does not have root role'),
  );
  await t.throwsAsync(
    etcd.call(Auth.authenticate, { name: 'root' }),
    withCode(status.FAILED_PRECONDITION, 'etcdserver: authentication is not enabled'),
  );
});

test('a lock is held by one at a time, and passes on', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  const leases = [await etcd.call(Lease.leaseGrant, { ttl: 600 }), await etcd.call(Lease.leaseGrant, { ttl: 600 })];
  const first = await etcd.call(Lock.lock, { name: b('l'), lease: leases[0]?.id });
  t.is(s((await etcd.call(Lock.lock, { name: b('l'), lease: leases[0]?.id })).key), s(first.key));
  let isHeld = false;
  const second = etcd.call(Lock.lock, { name: b('l'), lease: leases[1]?.id }).then(held => {
    isHeld = true;
    return held;
  });
  while ((await etcd.call(KV.range, { key: b('l/'), rangeEnd: b('l0') })).count < 2);
  t.false(isHeld);
  await etcd.call(Lock.unlock, { key: first.key });
  t.not(s((await second).key), s(first.key));
  // Who gives up waiting leaves the line.
  await t.throwsAsync(etcd.call(Lock.lock, { name: b('l'), lease: leases[0]?.id }, { timeoutMs: 300 }), {
    message: /DEADLINE_EXCEEDED/,
  });
  while ((await etcd.call(KV.range, { key: b('l/'), rangeEnd: b('l0') })).count > 1);
  await etcd.call(Lease.leaseRevoke, { id: leases[1]?.id });
  t.is((await etcd.call(KV.range, { key: b('l/'), rangeEnd: b('l0') })).count, 0);
});

test('an election has one leader, who proclaims and resigns', async t => {
  await using door = await makeDoor();
  const { etcd } = door;
  const one = await etcd.call(Lease.leaseGrant, { ttl: 600 });
  const two = await etcd.call(Lease.leaseGrant, { ttl: 600 });
  await t.throwsAsync(etcd.call(Election.leader, { name: b('e') }), { message: /election: no leader/ });
  const { leader } = await etcd.call(Election.campaign, { name: b('e'), lease: one.id, value: b('1') });
  const next = etcd.call(Election.campaign, { name: b('e'), lease: two.id, value: b('2') });
  t.is(s((await etcd.call(Election.leader, { name: b('e') })).kv?.value), '1');
  await etcd.call(Election.proclaim, { leader, value: b('one') });
  t.is(s((await etcd.call(Election.leader, { name: b('e') })).kv?.value), 'one');
  await etcd.call(Election.resign, { leader });
  await next;
  t.is(s((await etcd.call(Election.leader, { name: b('e') })).kv?.value), '2');
  await t.throwsAsync(etcd.call(Election.proclaim, { leader, value: b('x') }), { message: /election: not leader/ });
});
