/** What the leader alone does for the store: ending leases, forgetting history, alarms, comparing. Follows leadership. */
import type { RaftNode } from '../../raft/index.ts';
import type { LocalClient } from '../client/local.ts';
import type { Clock } from '../clock.ts';
import { STORE_LIMITS, type StoreLimits } from '../limits.ts';
import type { ApplyResult } from '../mvcc/command.ts';
import type { Replica } from '../replica.ts';
import { AlarmKeeper } from './alarm-keeper.ts';
import { Compactor } from './compactor.ts';
import type { HashCheck } from './hash-check.ts';
import { LeaseKeeper } from './lease-keeper.ts';

export interface DutiesOptions {
  readonly raft: RaftNode<ApplyResult>;
  readonly replica: Replica;
  readonly client: LocalClient;
  readonly clock: Clock;
  readonly limits?: StoreLimits;
  /** How long history can be read and watched; as in `limits` by default. */
  readonly historyKeepMs?: number;
  /** Compares the members, if they are to be compared. */
  readonly hashCheck?: HashCheck;
}

/** Takes the duties up and lays them down as leadership comes and goes; the answer ends it. */
export function followLeadership(options: DutiesOptions): () => void {
  const { raft, replica, client, clock, hashCheck, limits = STORE_LIMITS } = options;
  const leases = new LeaseKeeper({
    clock,
    leases: () => replica.state.leases,
    onLease: listener => replica.onLease(listener),
    propose: command => client.execute(command),
  });
  client.leaseTimes.follow(leases);
  const compactor = new Compactor({
    clock,
    keepMs: options.historyKeepMs ?? limits.historyKeepMs,
    revisionsMax: limits.historyRevisionsMax,
    revisions: () => replica.state,
    compact: revision => client.compact(revision),
  });
  const alarms = new AlarmKeeper({
    clock,
    quotaBytes: limits.quotaBytes,
    state: () => replica.state,
    status: () => raft.status(),
    propose: command => client.execute(command),
  });
  let term = 0;
  const stop = () => {
    leases.stop();
    compactor.stop();
    alarms.stop();
    hashCheck?.stop();
    term = 0;
  };
  const unfollow = raft.onLeadership(leadership => {
    if (!leadership.isLeader) stop();
    else if (leadership.term !== term) {
      term = leadership.term;
      leases.start(term);
      compactor.start();
      alarms.start();
      hashCheck?.start();
    }
  });
  return () => {
    unfollow();
    stop();
  };
}
