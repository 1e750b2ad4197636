/**
 * Is a member alive, and can it serve? Two questions, because they call for different things: who is not alive should be
 * started again, who is not ready should not be asked. A member that is cut off from its peers is alive: starting it again
 * would bring back nobody, and a cluster that has lost its quorum needs all that it still has (etcd's `/livez` and `/readyz`
 * differ in the same way). A process that hangs answers neither.
 */
import type { RaftStatus } from '../../raft/index.ts';
import type { Alarm } from '../client/client.ts';
import { LOG_WRITE_STALLED_MS, READ_CHECK_MS } from '../limits.ts';

/** One condition. */
export interface StoreHealthCheck {
  readonly name: string;
  /** Throws, or rejects with, the reason while it does not hold. */
  check(): void | Promise<void>;
}

export interface StoreHealth {
  /** Where one of these fails the process should be started again. */
  readonly live: readonly StoreHealthCheck[];
  /** Where one of these fails, others should be asked. Includes all of `live`. */
  readonly ready: readonly StoreHealthCheck[];
}

export interface HealthSources {
  readonly raft: {
    status(): Pick<RaftStatus, 'id' | 'role' | 'leader' | 'appendingMs'>;
    readBarrier(options: { readonly timeoutMs: number }): Promise<number>;
  };
  readonly replica: {
    readonly servingProblem: string | undefined;
    readonly state: { readonly alarms: readonly Alarm[] };
  };
  /** Why the member has stopped for good, if it has. */
  readonly failure: () => Error | undefined;
}

export function storeHealth({ raft, replica, failure }: HealthSources): StoreHealth {
  const disk: StoreHealthCheck = {
    name: 'store-disk',
    check() {
      const error = failure();
      if (error !== undefined) throw new Error(`the store has stopped for good: ${error.message}`);
      const { appendingMs } = raft.status();
      if (appendingMs <= LOG_WRITE_STALLED_MS) return;
      throw new Error(`a write to the log has not come back for ${Math.round(appendingMs / 1000)} s: the disk hangs`);
    },
  };
  const leader: StoreHealthCheck = {
    name: 'store-leader',
    check() {
      if (raft.status().leader === undefined) throw new Error('no leader is known: there is no quorum, or an election');
    },
  };
  const voter: StoreHealthCheck = {
    name: 'store-voter',
    check() {
      if (raft.status().role === 'learner') throw new Error('this member is a learner, which does not serve yet');
    },
  };
  const data: StoreHealthCheck = {
    name: 'store-data',
    check() {
      if (replica.servingProblem !== undefined) throw new Error(replica.servingProblem);
      const corrupt = replica.state.alarms.find(({ type }) => type === 'CORRUPT');
      if (corrupt?.memberId === raft.status().id) throw new Error('this member’s data differs from the others’');
    },
  };
  const read: StoreHealthCheck = {
    name: 'store-read',
    async check() {
      // Without a leader it is certain already; there is no need to wait.
      leader.check();
      await raft.readBarrier({ timeoutMs: READ_CHECK_MS }).catch((cause: unknown) => {
        throw new Error(`what is committed was not applied here within ${READ_CHECK_MS} ms`, { cause });
      });
    },
  };
  return { live: [disk], ready: [disk, leader, voter, data, read] };
}
