/**
 * What the leader among masters does for a store in etcd: it forgets old history, for etcd does so only where its operator
 * asked for it. Leases are etcd's own business.
 */
import type { StoreClient } from '../../client/client.ts';
import type { Clock } from '../../clock.ts';
import { Compactor } from '../../duties/compactor.ts';
import { HISTORY_KEEP_MS } from '../../limits.ts';
import type { Election } from './election.ts';

export interface EtcdDutiesOptions {
  readonly store: { readonly client: Pick<StoreClient, 'compact'>; readonly revision: () => number };
  readonly election: Pick<Election, 'onLeadership'>;
  readonly clock: Clock;
  /** How long history can be read and watched; undefined for the default. */
  readonly historyKeepMs?: number;
}

/** Takes the duties up and lays them down as leadership comes and goes; the answer ends it. */
export function followElection(options: EtcdDutiesOptions): () => void {
  const { store, election, clock, historyKeepMs = HISTORY_KEEP_MS } = options;
  let compactedRevision = 0;
  const compactor = new Compactor({
    clock,
    keepMs: historyKeepMs,
    revisions: () => ({ revision: store.revision(), compactedRevision }),
    compact: async revision => {
      await store.client.compact(revision);
      compactedRevision = revision;
    },
  });
  const unfollow = election.onLeadership(({ isLeader }) => (isLeader ? compactor.start() : compactor.stop()));
  return () => {
    unfollow();
    compactor.stop();
  };
}
