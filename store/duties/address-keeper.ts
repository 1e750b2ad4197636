/**
 * A member that was started with another name or other addresses than the membership has for it tells the cluster, until the cluster has
 * taken note. Its peers find it again as soon as it has dialled them.
 */
import type { RaftNode } from '../../raft/index.ts';
import type { Clock } from '../clock.ts';
import { ADDRESS_RETRY_MS } from '../limits.ts';
import type { Logger } from '../logger.ts';

export interface AddressKeeperOptions {
  readonly raft: Pick<RaftNode<unknown>, 'status' | 'updateMember'>;
  readonly memberId: string;
  readonly wanted: { readonly name: string; readonly peerAddress: string; readonly clientUrl: string };
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Starts at once; the answer ends it. Does nothing where everything is as it should be. */
export function keepAddresses(options: AddressKeeperOptions): () => void {
  const { raft, memberId, wanted, clock, logger } = options;
  let isStopped = false;
  let cancel = () => {};
  const differs = () => {
    const own = raft.status().membership.members.find(({ id }) => id === memberId);
    return (
      own !== undefined &&
      (own.name !== wanted.name || own.peerAddress !== wanted.peerAddress || own.clientUrl !== wanted.clientUrl)
    );
  };
  const attempt = async () => {
    if (isStopped || !differs()) return;
    try {
      await raft.updateMember(memberId, wanted);
      logger.info(wanted, 'the cluster knows the new addresses of this member');
    } catch (error) {
      if (isStopped) return;
      logger.info({ error, ...wanted }, 'the cluster could not be told the new addresses of this member yet');
      cancel = clock.setTimeout(() => void attempt(), ADDRESS_RETRY_MS);
    }
  };
  void attempt();
  return () => {
    isStopped = true;
    cancel();
  };
}
