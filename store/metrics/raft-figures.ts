/** Figures about consensus: who leads, what is proposed, how fast the log's disk is. */
import type { RaftStatus } from '../../raft/index.ts';
import { API_LEVEL, API_VERSION } from '../etcd/version.ts';
import { counter, type Figure, gauge } from './exposition.ts';
import type { RaftTally } from './tallies.ts';

export function raftFigures(tally: RaftTally, status: () => RaftStatus): readonly Figure[] {
  return [
    gauge('has_leader', '1 if this member knows a leader.', 'etcd_server_has_leader', () =>
      Number(status().leader !== undefined),
    ),
    gauge('is_leader', '1 if this member leads.', 'etcd_server_is_leader', () => Number(status().role === 'leader')),
    gauge('is_learner', '1 if this member does not vote.', 'etcd_server_is_learner', () =>
      Number(status().role === 'learner'),
    ),
    gauge('term', 'The present term.', undefined, () => status().term),
    {
      type: 'gauge',
      name: 'member_info',
      help: 'Which member of which cluster this is; always 1.',
      labels: ['member', 'cluster'],
      read: () => {
        const { id, clusterId } = status();
        return [{ labels: { member: id, cluster: clusterId }, value: 1 }];
      },
      etcd: { name: 'etcd_server_id', labels: ['server_id'] },
    },
    {
      type: 'gauge',
      name: 'etcd_version_info',
      help: 'The version of etcd whose API this member speaks; always 1.',
      labels: ['version'],
      read: () => [{ labels: { version: API_VERSION }, value: 1 }],
      etcd: { name: 'etcd_server_version', labels: ['server_version'] },
    },
    {
      type: 'gauge',
      name: 'etcd_level_info',
      help: 'The level of etcd’s API that all members speak; always 1.',
      labels: ['version'],
      read: () => [{ labels: { version: API_LEVEL }, value: 1 }],
      etcd: { name: 'etcd_cluster_version', labels: ['cluster_version'] },
    },
    {
      type: 'gauge',
      name: 'members',
      help: 'Members of the cluster, by role.',
      labels: ['role'],
      read: () => {
        const { members } = status().membership;
        const count = (role: string) => members.filter(member => member.role === role).length;
        return ['voter', 'learner'].map(role => ({ labels: { role }, value: count(role) }));
      },
    },
    counter(
      'leader_changes_seen_total',
      'Times that a new leader was seen.',
      'etcd_server_leader_changes_seen_total',
      () => tally.leaderChanges,
    ),
    counter('leader_losses_total', 'Times that no leader was known any more.', undefined, () => tally.leaderLosses),
    gauge(
      'proposals_committed_total',
      'Index up to which the log is committed, as this member knows.',
      'etcd_server_proposals_committed_total',
      () => status().commitIndex,
    ),
    gauge(
      'proposals_applied_total',
      'Index up to which the log is applied here.',
      'etcd_server_proposals_applied_total',
      () => status().appliedIndex,
    ),
    gauge(
      'proposals_pending',
      'Proposals made here that wait for their result.',
      'etcd_server_proposals_pending',
      () => status().pendingProposals,
    ),
    counter(
      'proposals_failed_total',
      'Proposals made here that failed.',
      'etcd_server_proposals_failed_total',
      () => tally.failedProposals,
    ),
    gauge('log_last_index', 'Index of the last entry in the log.', undefined, () => status().lastIndex),
    gauge('log_memory_bytes', 'What the log holds in memory.', undefined, () => status().logBytes),
    {
      type: 'histogram',
      name: 'log_fsync_duration_seconds',
      help: 'Writes to the log, with fsync.',
      read: () => tally.appends,
      etcd: { name: 'etcd_disk_wal_fsync_duration_seconds' },
    },
    gauge(
      'log_write_under_way_seconds',
      'How long the log’s write that is under way has taken by now.',
      undefined,
      () => status().appendingMs / 1000,
    ),
    counter(
      'log_write_bytes_total',
      'Bytes of entries written to the log.',
      'etcd_disk_wal_write_bytes_total',
      () => tally.appendedBytes,
    ),
    counter('log_entries_total', 'Entries written to the log.', undefined, () => tally.appendedEntries),
    {
      type: 'histogram',
      name: 'commit_duration_seconds',
      help: 'On the leader: from handing a batch to its disk and the followers to knowing that it is committed.',
      read: () => tally.commits,
    },
    {
      type: 'histogram',
      name: 'apply_duration_seconds',
      help: 'Applying a batch of committed commands.',
      read: () => tally.applies,
      etcd: {
        name: 'etcd_server_apply_duration_seconds',
        fixed: { version: 'v3', op: 'Batch', success: 'true' },
      },
    },
    counter('applied_commands_total', 'Commands applied.', undefined, () => tally.appliedEntries),
    counter(
      'slow_applies_total',
      'Batches that took longer than 100 ms to apply.',
      'etcd_server_slow_apply_total',
      () => tally.slowApplies,
    ),
    {
      type: 'histogram',
      name: 'read_index_duration_seconds',
      help: 'Confirming linearizable reads with a quorum; the reads of one turn share one confirmation.',
      read: () => tally.readIndexes,
    },
    counter(
      'slow_read_indexes_total',
      'Confirmations that took longer than 500 ms.',
      'etcd_server_slow_read_indexes_total',
      () => tally.slowReadIndexes,
    ),
    counter(
      'read_indexes_failed_total',
      'Reads that nobody confirmed in time.',
      'etcd_server_read_indexes_failed_total',
      () => tally.failedReads,
    ),
  ];
}
