/** Who a member is: what its data directory says, or what its beginning makes it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { MemberIdentity, Membership, MembershipEntry, RecoveredState } from '../../raft/index.ts';
import { drawId } from './ids.ts';
import { latestMembership } from './latest-membership.ts';
import { DataDirectoryError, LogMissingError, type OpenStoreOptions } from './options.ts';
import { keptPlace } from './unstarted.ts';

/** Whether the membership that it starts with names a voter besides it. */
export function hasOtherVoters({ identity, membership }: Start): boolean {
  return membership.members.some(({ id, role }) => role === 'voter' && id !== identity.memberId);
}

/** Who a member is and what it starts from. */
export interface Start {
  readonly identity: MemberIdentity;
  readonly membership: Membership;
}

/** Who this member is: what the directory says, or what its beginning makes it. */
export async function resolveStart(options: OpenStoreOptions, recovered: RecoveredState): Promise<Start> {
  const { dataDir, name, clusterId } = options;
  const { identity } = recovered;
  if (identity === undefined) {
    if (existsSync(join(dataDir, 'state', 'CURRENT'))) {
      throw new LogMissingError(
        `${dataDir} holds a state but no log, so this member cannot know what it promised: remove the directory and join again as a new member`,
      );
    }
    return newStart(options);
  }
  if (clusterId !== undefined && identity.clusterId !== clusterId) {
    throw new DataDirectoryError(
      `${dataDir} belongs to cluster ${identity.clusterId}, not to ${clusterId}: choose another --data-dir`,
    );
  }
  if (identity.name !== name) {
    throw new DataDirectoryError(
      `${dataDir} belongs to the member ${identity.name}, not to ${name}: choose another --data-dir or another --name`,
    );
  }
  return { identity, membership: latestMembership(recovered) };
}

async function newStart(options: OpenStoreOptions): Promise<Start> {
  const { name, random, beginning, clientUrl, peer } = options;
  const memberId = drawId(random);
  if (beginning.type === 'join') {
    const membership = await beginning.discover();
    const kept = keptPlace(membership.members, peer.address);
    return { identity: { clusterId: membership.clusterId, memberId: kept?.id ?? memberId, name }, membership };
  }
  const clusterId = options.clusterId ?? drawId(random);
  const self: MembershipEntry = { id: memberId, name, peerAddress: peer.address, clientUrl, role: 'voter' };
  return { identity: { clusterId, memberId, name }, membership: { clusterId, members: [self] } };
}
