/**
 * Notices that the cluster was reset or restored while this master was away: its peers then refuse it for ever, and only
 * an operator can help. Asked only while there is no leader, so that a working cluster is never doubted.
 */

import type { OpenStore } from '../../store/index.ts';
import type { Clock } from '../client/clock.ts';
import { membersAnswerSchema, PATHS } from '../join/protocol.ts';
import { foreignCluster } from './open-store.ts';
import type { Peers } from './peers.ts';

const CHECK_MS = 5_000;
const ANSWER_TIMEOUT_MS = 3_000;

export interface ForeignWatchOptions {
  readonly dataDir: string;
  readonly store: OpenStore;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly onFound: (error: Error) => void;
}

/** Starts at once; the answer ends it. */
export function watchForForeignCluster(options: ForeignWatchOptions): () => void {
  const { dataDir, store, peers, clock, onFound } = options;
  let isStopped = false;
  let cancel = () => {};
  const check = async () => {
    const { leader, clusterId, membership, id } = store.raft.status();
    if (leader !== undefined) return;
    const others = membership.members.filter(member => member.id !== id);
    const question = { path: PATHS.identity, answer: membersAnswerSchema.pick({ clusterId: true }) };
    const answers = await Promise.all(
      others.map(({ clientUrl }) => peers.askOne(clientUrl, question, ANSWER_TIMEOUT_MS).catch(() => undefined)),
    );
    const found = judge(
      clusterId,
      answers.map(answer => answer?.clusterId),
    );
    if (found !== undefined && !isStopped) onFound(foreignCluster(dataDir, clusterId, found));
  };
  const again = () => {
    if (isStopped) return;
    cancel = clock.setTimeout(
      () =>
        void check()
          .catch(() => {})
          .then(again),
      CHECK_MS,
    );
  };
  again();
  return () => {
    isStopped = true;
    cancel();
  };
}

/** The other cluster, if somebody answers from one and nobody from ours. Silence proves nothing. */
export function judge(own: string, answers: readonly (string | undefined)[]): string | undefined {
  if (answers.includes(own)) return undefined;
  return answers.find(answer => answer !== undefined);
}
