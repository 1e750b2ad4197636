/** Counts what the member does: plain numbers, added to where things happen, read when somebody asks for metrics. */
import type { MemberId, RaftObserver, SnapshotTransfer } from '../../raft/index.ts';
import { type Applied, type Command, isTombstone } from '../mvcc/command.ts';
import type { ReplicaObserver } from '../observer.ts';
import { DISK_BOUNDS_SECONDS, Distribution, FAST_BOUNDS_SECONDS, TRANSFER_BOUNDS_SECONDS } from './distribution.ts';

/** Applying a batch for longer than this is slow (etcd warns from 100 ms on). */
const SLOW_APPLY_MS = 100;
/** Confirming a read for longer than this is slow (etcd asks again after 500 ms). */
const SLOW_READ_INDEX_MS = 500;

/** What concerns one peer. */
export class PeerTally {
  /** Two members may hold two connections, one dialled by each. */
  connections = 0;
  disconnects = 0;
  sentBytes = 0;
  receivedBytes = 0;
  sendFailures = 0;
  receiveFailures = 0;
  heartbeatFailures = 0;
  readonly roundTrips = new Distribution(FAST_BOUNDS_SECONDS);
  readonly snapshotsSent = new TransferTally();
  readonly snapshotsReceived = new TransferTally();
}

export class TransferTally {
  underWay = 0;
  complete = 0;
  failed = 0;
  bytes = 0;
  readonly durations = new Distribution(TRANSFER_BOUNDS_SECONDS);

  ended({ isComplete, durationMs, bytes }: SnapshotTransfer): void {
    this.underWay--;
    this.bytes += bytes;
    if (isComplete) {
      this.complete++;
      this.durations.observeMs(durationMs);
    } else this.failed++;
  }
}

export class RaftTally implements RaftObserver {
  leaderChanges = 0;
  leaderLosses = 0;
  failedProposals = 0;
  failedReads = 0;
  slowApplies = 0;
  slowReadIndexes = 0;
  appendedEntries = 0;
  appendedBytes = 0;
  appliedEntries = 0;
  readonly appends = new Distribution(DISK_BOUNDS_SECONDS);
  readonly commits = new Distribution(DISK_BOUNDS_SECONDS);
  readonly applies = new Distribution(FAST_BOUNDS_SECONDS);
  readonly readIndexes = new Distribution(FAST_BOUNDS_SECONDS);
  readonly peers = new Map<MemberId, PeerTally>();

  leaderChanged(leader: MemberId | undefined): void {
    if (leader === undefined) this.leaderLosses++;
    else this.leaderChanges++;
  }
  proposalsFailed(count: number): void {
    this.failedProposals += count;
  }
  appended(durationMs: number, entries: number, bytes: number): void {
    this.appends.observeMs(durationMs);
    this.appendedEntries += entries;
    this.appendedBytes += bytes;
  }
  committed(durationMs: number): void {
    this.commits.observeMs(durationMs);
  }
  applied(durationMs: number, entries: number): void {
    this.applies.observeMs(durationMs);
    this.appliedEntries += entries;
    if (durationMs > SLOW_APPLY_MS) this.slowApplies++;
  }
  readIndexed(durationMs: number): void {
    this.readIndexes.observeMs(durationMs);
    if (durationMs > SLOW_READ_INDEX_MS) this.slowReadIndexes++;
  }
  readsFailed(count: number): void {
    this.failedReads += count;
  }
  heartbeatFailed(peer: MemberId): void {
    this.peer(peer).heartbeatFailures++;
  }
  peerConnected(peer: MemberId): void {
    this.peer(peer).connections++;
  }
  peerDisconnected(peer: MemberId): void {
    const tally = this.peer(peer);
    tally.connections--;
    tally.disconnects++;
  }
  peerSent(peer: MemberId, bytes: number): void {
    this.peer(peer).sentBytes += bytes;
  }
  peerReceived(peer: MemberId, bytes: number): void {
    this.peer(peer).receivedBytes += bytes;
  }
  peerSendFailed(peer: MemberId): void {
    this.peer(peer).sendFailures++;
  }
  peerReceiveFailed(peer: MemberId): void {
    this.peer(peer).receiveFailures++;
  }
  peerRoundTrip(peer: MemberId, durationMs: number): void {
    this.peer(peer).roundTrips.observeMs(durationMs);
  }
  snapshotSending(to: MemberId): void {
    this.peer(to).snapshotsSent.underWay++;
  }
  snapshotSent(to: MemberId, transfer: SnapshotTransfer): void {
    this.peer(to).snapshotsSent.ended(transfer);
  }
  snapshotReceiving(from: MemberId): void {
    this.peer(from).snapshotsReceived.underWay++;
  }
  snapshotReceived(from: MemberId, transfer: SnapshotTransfer): void {
    this.peer(from).snapshotsReceived.ended(transfer);
  }

  peer(id: MemberId): PeerTally {
    let tally = this.peers.get(id);
    if (tally === undefined) {
      tally = new PeerTally();
      this.peers.set(id, tally);
    }
    return tally;
  }
}

export class StateTally implements ReplicaObserver {
  puts = 0;
  deletes = 0;
  transactions = 0;
  refusals = 0;
  events = 0;
  leasesGranted = 0;
  leasesRenewed = 0;
  leasesRevoked = 0;
  leasesExpired = 0;
  compactions = 0;
  writtenBytes = 0;
  readonly leaseTimes = new Distribution(LEASE_BOUNDS_SECONDS);
  readonly writes = new Distribution(DISK_BOUNDS_SECONDS);
  readonly flushes = new Distribution(DISK_BOUNDS_SECONDS);
  readonly checkpoints = new Distribution(TRANSFER_BOUNDS_SECONDS);
  readonly restores = new Distribution(TRANSFER_BOUNDS_SECONDS);

  commandApplied(command: Command, { result, writes }: Applied): void {
    if (!result.ok) this.refusals++;
    for (const change of writes) {
      if (change.type !== 'revision') continue;
      this.events += change.items.length;
      for (const item of change.items) {
        if (isTombstone(item)) this.deletes++;
        else this.puts++;
      }
    }
    if (command.type === 'transaction') this.transactions++;
    else if (result.ok) this.#count(command, writes);
  }
  stateWritten(durationMs: number, bytes: number): void {
    this.writes.observeMs(durationMs);
    this.writtenBytes += bytes;
  }
  stateFlushed(durationMs: number): void {
    this.flushes.observeMs(durationMs);
  }
  checkpointWritten(durationMs: number): void {
    this.checkpoints.observeMs(durationMs);
  }
  snapshotRestored(durationMs: number): void {
    this.restores.observeMs(durationMs);
  }

  #count(command: Exclude<Command, { type: 'transaction' }>, changes: Applied['writes']): void {
    switch (command.type) {
      case 'leaseGrant':
        this.leasesGranted++;
        this.leaseTimes.observe(command.ttlSeconds);
        return;
      case 'leaseKeepAlive':
        this.leasesRenewed++;
        return;
      case 'leaseRevoke':
        this.leasesRevoked++;
        return;
      case 'leaseExpire':
        // Those that were renewed in time stay.
        for (const change of changes) if (change.type === 'leaseGone') this.leasesExpired++;
        return;
      case 'compact':
        this.compactions++;
        return;
    }
  }
}

/** From one second to eleven days, as etcd has them. */
const LEASE_BOUNDS_SECONDS = Array.from({ length: 21 }, (_, power) => 2 ** power);

/** What became of one kind of request. */
export class RequestTally {
  ok = 0;
  readonly failures = new Map<string, number>();
  readonly durations = new Distribution(FAST_BOUNDS_SECONDS);

  succeeded(durationMs: number): void {
    this.ok++;
    this.durations.observeMs(durationMs);
  }
  failed(durationMs: number, code: string): void {
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
    this.durations.observeMs(durationMs);
  }
}
