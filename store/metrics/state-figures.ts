/** Figures about the replicated state: its size, its history, its disk, leases, watches, alarms. */
import type { Replica } from '../replica.ts';
import { counter, type Figure, gauge } from './exposition.ts';
import type { StateTally } from './tallies.ts';

export interface StateSources {
  readonly replica: Replica;
  readonly quotaBytes: number;
  readonly sizeOf: (folder: 'raft' | 'state') => Promise<number>;
  readonly alarms: () => readonly { readonly type: string; readonly memberId: string }[];
  readonly hashChecks: () => Readonly<Record<string, number>>;
}

export function stateFigures(tally: StateTally, sources: StateSources): readonly Figure[] {
  const { replica } = sources;
  const state = () => replica.state;
  return [
    ...sizeFigures(sources),
    gauge('keys', 'Keys that live.', 'etcd_debugging_mvcc_keys_total', () => state().liveCount),
    gauge('revision', 'The present revision.', 'etcd_debugging_mvcc_current_revision', () => state().revision),
    gauge(
      'compacted_revision',
      'The oldest revision that can be read.',
      'etcd_debugging_mvcc_compact_revision',
      () => state().compactedRevision,
    ),
    counter('puts_total', 'Keys written.', both('put_total'), () => tally.puts),
    counter('deletes_total', 'Keys deleted.', both('delete_total'), () => tally.deletes),
    counter(
      'transactions_total',
      'Transactions applied, single writes included.',
      both('txn_total'),
      () => tally.transactions,
    ),
    counter('refused_commands_total', 'Commands that the state refused.', undefined, () => tally.refusals),
    counter('compactions_total', 'Compactions applied.', undefined, () => tally.compactions),
    ...diskFigures(tally),
    ...leaseFigures(tally, replica),
    ...watchFigures(tally, replica),
    {
      type: 'gauge',
      name: 'alarms',
      help: 'Alarms that are raised, by type and the member that they concern.',
      labels: ['type', 'member'],
      read: () => sources.alarms().map(({ type, memberId }) => ({ labels: { type, member: memberId }, value: 1 })),
      etcd: { name: 'etcd_debugging_server_alarms', labels: ['alarm_type', 'server_id'] },
    },
    {
      type: 'counter',
      name: 'hash_checks_total',
      help: 'On the leader: comparisons of members’ hashes, by result.',
      labels: ['result'],
      read: () => Object.entries(sources.hashChecks()).map(([result, value]) => ({ labels: { result }, value })),
    },
  ];
}

function sizeFigures({ replica, quotaBytes, sizeOf }: StateSources): readonly Figure[] {
  return [
    {
      type: 'gauge',
      name: 'db_total_size_bytes',
      help: 'Files of state and log on disk.',
      read: async () => (await sizeOf('state')) + (await sizeOf('raft')),
      etcd: [{ name: 'etcd_mvcc_db_total_size_in_bytes' }, { name: 'etcd_debugging_mvcc_db_total_size_in_bytes' }],
    },
    {
      type: 'gauge',
      name: 'db_size_bytes',
      help: 'Files on disk, by what they hold.',
      labels: ['part'],
      read: async () => [
        { labels: { part: 'state' }, value: await sizeOf('state') },
        { labels: { part: 'log' }, value: await sizeOf('raft') },
      ],
    },
    gauge(
      'live_bytes',
      'Live keys and values: what the quota is about.',
      'etcd_mvcc_db_total_size_in_use_in_bytes',
      () => replica.state.liveBytes,
    ),
    gauge(
      'quota_bytes',
      'What live keys and values may be together.',
      'etcd_server_quota_backend_bytes',
      () => quotaBytes,
    ),
    gauge('history_revisions', 'Revisions that can still be read and watched.', undefined, () => {
      const { revision, compactedRevision } = replica.state;
      return revision - compactedRevision;
    }),
    gauge('unwritten_bytes', 'What is applied but not yet with the disk.', undefined, () => replica.unwrittenBytes),
  ];
}

function diskFigures(tally: StateTally): readonly Figure[] {
  return [
    {
      type: 'histogram',
      name: 'state_write_duration_seconds',
      help: 'Handing applied batches to the state on disk, without fsync: the log is what is durable.',
      read: () => tally.writes,
      etcd: { name: 'etcd_disk_backend_commit_duration_seconds' },
    },
    counter('state_written_bytes_total', 'Bytes handed to the state on disk.', undefined, () => tally.writtenBytes),
    {
      type: 'histogram',
      name: 'state_flush_duration_seconds',
      help: 'Making the state on disk durable, before the log forgets.',
      read: () => tally.flushes,
    },
    {
      type: 'histogram',
      name: 'checkpoint_duration_seconds',
      help: 'Writing the whole state anew.',
      read: () => tally.checkpoints,
      etcd: { name: 'etcd_disk_backend_snapshot_duration_seconds' },
    },
    {
      type: 'histogram',
      name: 'snapshot_restore_duration_seconds',
      help: 'Taking over the snapshot of another member.',
      read: () => tally.restores,
    },
  ];
}

function leaseFigures(tally: StateTally, replica: Replica): readonly Figure[] {
  const lease = (name: string) => `etcd_debugging_lease_${name}`;
  return [
    gauge('leases', 'Leases that live.', undefined, () => replica.state.leases.length),
    counter('leases_granted_total', 'Leases granted.', lease('granted_total'), () => tally.leasesGranted),
    counter('leases_renewed_total', 'Leases renewed.', lease('renewed_total'), () => tally.leasesRenewed),
    counter('leases_revoked_total', 'Leases revoked by a client.', lease('revoked_total'), () => tally.leasesRevoked),
    counter(
      'leases_expired_total',
      'Leases whose time was over.',
      'etcd_server_lease_expired_total',
      () => tally.leasesExpired,
    ),
    {
      type: 'histogram',
      name: 'lease_ttl_seconds',
      help: 'For how long leases were granted.',
      read: () => tally.leaseTimes,
      etcd: { name: lease('ttl_total') },
    },
  ];
}

function watchFigures(tally: StateTally, replica: Replica): readonly Figure[] {
  const watches = () => replica.watches.counts;
  return [
    gauge('watchers', 'Watches that are open.', 'etcd_debugging_mvcc_watcher_total', () => watches().watchers),
    gauge(
      'slow_watchers',
      'Watches whose reader has not taken what is there for it.',
      'etcd_debugging_mvcc_slow_watcher_total',
      () => watches().slow,
    ),
    counter(
      'events_total',
      'Changes that watches could be told of.',
      'etcd_debugging_mvcc_events_total',
      () => tally.events,
    ),
    counter('watch_events_total', 'Events handed to watches.', undefined, () => watches().events),
    counter('watch_batches_total', 'Batches handed to watches.', undefined, () => watches().batches),
    counter('watches_lost_total', 'Watches that lost their place in the history.', undefined, () => watches().lost),
  ];
}

/** etcd moved these from one prefix to the other; dashboards use both. */
function both(name: string): readonly string[] {
  return [`etcd_mvcc_${name}`, `etcd_debugging_mvcc_${name}`];
}
