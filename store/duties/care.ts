/** How a member looks after itself and, as the leader, after the others: its disk, and whether all hold the same. */
import type { RaftNode } from '../../raft/index.ts';
import type { LocalClient } from '../client/local.ts';
import type { Clock } from '../clock.ts';
import type { StoreLimits } from '../limits.ts';
import type { Logger } from '../logger.ts';
import type { PeerMethods } from '../member/peer-methods.ts';
import type { ApplyResult } from '../mvcc/command.ts';
import type { Replica } from '../replica.ts';
import { HashCheck } from './hash-check.ts';
import { type DiskSpace, DiskWatch } from './space.ts';

export interface CareOptions {
  readonly raft: RaftNode<ApplyResult>;
  readonly replica: Replica;
  readonly client: LocalClient;
  readonly methods: PeerMethods;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: StoreLimits;
  readonly memberId: string;
  readonly space: () => Promise<DiskSpace>;
}

/** Begins at once; `hashCheck` compares only while it is started, which is the leader's duty. */
export function beginCare(options: CareOptions): { readonly hashCheck: HashCheck; stop(): void } {
  const { raft, replica, client, methods, clock, logger, limits, memberId, space } = options;
  const execute: LocalClient['execute'] = command => client.execute(command);
  const hashCheck = new HashCheck({ peers: raft, replica, clock, logger, checkMs: limits.hashCheckMs, execute });
  hashCheck.register(methods);
  const diskWatch = new DiskWatch({
    clock,
    logger,
    memberId,
    space,
    reserveBytes: limits.diskReserveBytes,
    checkMs: limits.diskCheckMs,
    alarms: () => replica.state.alarms,
    execute,
  });
  diskWatch.start();
  return {
    hashCheck,
    stop() {
      hashCheck.stop();
      diskWatch.stop();
    },
  };
}
