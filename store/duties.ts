/** What the leader alone does for the store: ending leases and forgetting old history. Follows leadership. */
import type { RaftNode } from '../raft/index.ts';
import type { LocalClient } from './client/local.ts';
import type { Clock } from './clock.ts';
import { Compactor } from './compactor.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { HISTORY_KEEP_MS } from './limits.ts';
import type { ApplyResult } from './mvcc/command.ts';
import type { Replica } from './replica.ts';

export interface DutiesOptions {
  readonly raft: RaftNode<ApplyResult>;
  readonly replica: Replica;
  readonly client: LocalClient;
  readonly clock: Clock;
  /** How long history can be read and watched; undefined for the default. */
  readonly historyKeepMs?: number;
}

/** Takes the duties up and lays them down as leadership comes and goes; the answer ends it. */
export function followLeadership(options: DutiesOptions): () => void {
  const { raft, replica, client, clock, historyKeepMs = HISTORY_KEEP_MS } = options;
  const leases = new LeaseKeeper({
    clock,
    leases: () => replica.state.leases,
    onLease: listener => replica.onLease(listener),
    propose: command => client.execute(command),
  });
  const compactor = new Compactor({
    clock,
    keepMs: historyKeepMs,
    revisions: () => replica.state,
    compact: revision => client.compact(revision),
  });
  let term = 0;
  const stop = () => {
    leases.stop();
    compactor.stop();
    term = 0;
  };
  const unfollow = raft.onLeadership(leadership => {
    if (!leadership.isLeader) stop();
    else if (leadership.term !== term) {
      term = leadership.term;
      leases.start(term);
      compactor.start();
    }
  });
  return () => {
    unfollow();
    stop();
  };
}
