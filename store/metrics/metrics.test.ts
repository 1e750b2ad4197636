import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { Registry } from 'prom-client';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { bytes, open } from '../client/contract.ts';
import { TestCluster } from '../testing/cluster.ts';

const authority = await TestAuthority.create();
const makeCluster = async () => TestCluster.create(await authority.issue('member'), Math.random);

/** Every series of a registry, by its name with labels as written. */
async function read(registry: Registry): Promise<ReadonlyMap<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter(line => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map(line => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))] as const;
    }),
  );
}

/** What the panels of etcd's own dashboards and alerts ask for. */
const DASHBOARD = [
  'etcd_server_has_leader',
  'etcd_server_is_leader',
  'etcd_server_is_learner',
  'etcd_server_version',
  'etcd_cluster_version',
  'etcd_server_leader_changes_seen_total',
  'etcd_server_proposals_committed_total',
  'etcd_server_proposals_applied_total',
  'etcd_server_proposals_pending',
  'etcd_server_proposals_failed_total',
  'etcd_server_heartbeat_send_failures_total',
  'etcd_server_slow_apply_total',
  'etcd_server_slow_read_indexes_total',
  'etcd_server_read_indexes_failed_total',
  'etcd_server_quota_backend_bytes',
  'etcd_disk_wal_fsync_duration_seconds_bucket',
  'etcd_disk_backend_commit_duration_seconds_bucket',
  'etcd_network_peer_sent_bytes_total',
  'etcd_network_peer_received_bytes_total',
  'etcd_network_peer_round_trip_time_seconds_bucket',
  'etcd_network_peer_sent_failures_total',
  'etcd_network_active_peers',
  'etcd_network_client_grpc_received_bytes_total',
  'etcd_network_client_grpc_sent_bytes_total',
  'etcd_mvcc_db_total_size_in_bytes',
  'etcd_mvcc_db_total_size_in_use_in_bytes',
  'etcd_debugging_mvcc_db_total_size_in_bytes',
  'etcd_debugging_mvcc_keys_total',
  'etcd_debugging_mvcc_watcher_total',
  'etcd_debugging_mvcc_slow_watcher_total',
  'etcd_debugging_mvcc_events_total',
  'etcd_debugging_mvcc_put_total',
  'etcd_debugging_mvcc_delete_total',
  'etcd_debugging_mvcc_range_total',
  'etcd_debugging_mvcc_txn_total',
  'etcd_debugging_lease_granted_total',
  'etcd_debugging_lease_revoked_total',
  'etcd_server_lease_expired_total',
];

test('three members serve what an etcd dashboard asks for, with true values', async t => {
  await using cluster = await makeCluster();
  const registries = [new Registry(), new Registry(), new Registry()];
  for (const [number, metrics] of registries.entries()) await cluster.start(`m${number}`, { metrics });
  const [leader, follower] = cluster.members;
  const [first, second] = registries;
  if (!leader || !follower || !first || !second) throw new Error('three were started');
  await using watch = open(leader.client, { key: '/a', startRevision: 0 });
  const lease = await leader.client.grantLease(100);
  for (let number = 0; number < 50; number++) await follower.client.put('/a', bytes(`${number}`), { lease: lease.id });
  await leader.client.range({ key: '/a' });
  await leader.client.delete('/a');
  await leader.client.revokeLease(lease.id);
  await t.throwsAsync(leader.client.revokeLease(lease.id));
  t.is((await watch.next()).events[0]?.type, 'put');
  // The follower has applied all of that once it can read it.
  await follower.client.range({ key: '/a' });

  const at = await read(first);
  const names = new Set([...at.keys()].map(series => series.replace(/\{.*$/, '')));
  for (const name of DASHBOARD) t.true(names.has(name), name);
  t.like(Object.fromEntries(at), {
    raftsman_store_has_leader: 1,
    etcd_server_has_leader: 1,
    raftsman_store_is_leader: 1,
    'raftsman_store_members{role="voter"}': 3,
    raftsman_store_revision:
      leader.raft.status().role === 'leader' ? (await leader.client.status()).revision : Number.NaN,
    raftsman_store_keys: 0,
    raftsman_store_live_bytes: 0,
    raftsman_store_puts_total: 50,
    etcd_mvcc_put_total: 50,
    raftsman_store_deletes_total: 1,
    raftsman_store_events_total: 51,
    raftsman_store_leases_granted_total: 1,
    raftsman_store_leases_revoked_total: 1,
    raftsman_store_leases: 0,
    raftsman_store_watchers: 1,
    raftsman_store_proposals_pending: 0,
    'raftsman_store_client_requests_total{method="range",outcome="ok"}': 1,
    'raftsman_store_client_requests_total{method="leaseRevoke",outcome="STORE_LEASE_NOT_FOUND"}': 1,
  });
  const other = await read(second);
  t.is(other.get('raftsman_store_is_leader'), 0);
  t.is(other.get('raftsman_store_puts_total'), 50, 'counted where it is applied, on every member');
  t.is(other.get('raftsman_store_client_requests_total{method="put",outcome="ok"}'), 50, 'counted where it was asked');
  t.is(at.get('raftsman_store_client_requests_total{method="put",outcome="ok"}'), 0);
  const peer = follower.identity.memberId;
  t.true((at.get(`raftsman_store_peer_sent_bytes_total{peer="${peer}"}`) ?? 0) > 1_000);
  t.is(at.get(`etcd_network_active_peers{Local="${leader.identity.memberId}",Remote="${peer}"}`), 1);
  t.true((at.get('raftsman_store_log_fsync_duration_seconds_count') ?? 0) >= 50);
  t.true((at.get('raftsman_store_commit_duration_seconds_count') ?? 0) >= 50);
  t.true((at.get('raftsman_store_db_total_size_bytes') ?? 0) > 1_000);
  t.is(at.get('raftsman_store_db_total_size_bytes'), at.get('etcd_mvcc_db_total_size_in_bytes'));
});

test('a leader that goes is seen as a change and a loss', async t => {
  await using cluster = await makeCluster();
  const metrics = new Registry();
  await cluster.start('m0');
  await cluster.start('m1', { metrics });
  await cluster.start('m2');
  const before = (await read(metrics)).get('etcd_server_leader_changes_seen_total') ?? 0;
  await cluster.members[0]?.close();
  await cluster.members[1]?.client.put('/a', bytes('x'));
  t.true(((await read(metrics)).get('etcd_server_leader_changes_seen_total') ?? 0) > before);
});

test('docs/metrics.md lists every figure, and no other', async t => {
  const registry = new Registry();
  await using cluster = await makeCluster();
  await cluster.start('m0', { metrics: registry });
  const page = await readFile(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
  const listed = new Set(page.match(/\b(?:raftsman_store|etcd|grpc_server)_\w+/g));
  const served = new Set(registry.getMetricsAsArray().map(({ name }) => name));
  t.deepEqual([...listed].toSorted(), [...served].toSorted());
});
