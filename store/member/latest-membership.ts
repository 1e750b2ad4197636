/** Who belongs to the cluster, as far as a log says that nobody has started yet. */
import { type Membership, membershipCodec, type RecoveredState } from '../../raft/index.ts';

/** Every membership that the log holds, oldest first; the last one is in force (thesis 4.1: from when it is appended). */
export function membershipsOf({ snapshot, entries }: RecoveredState): readonly [Membership, ...Membership[]] {
  const changes = entries.filter(({ kind }) => kind === 'membership').map(({ data }) => membershipCodec.decode(data));
  return [snapshot.membership, ...changes];
}

export function latestMembership(recovered: RecoveredState): Membership {
  return membershipsOf(recovered).at(-1) ?? recovered.snapshot.membership;
}
