/** The two ways to begin anew with what is left: from a snapshot file, or from the one member that survived. Offline. */
import { drawId } from '../member/ids.ts';
import { buildStore } from './build.ts';
import { loadSnapshotFile } from './file.ts';
import type { SnapshotHeader } from './format.ts';
import { REVISION_BUMP } from './limits.ts';
import { type LostEntries, readSurvivor } from './survivor.ts';

interface RecoveryOptions {
  /** Where to put the new member's data; must not be there yet, or be empty. What `openStore` calls `dataDir`. */
  readonly directory: string;
  /** By how much the revision moves on; {@link REVISION_BUMP} by default. */
  readonly bumpRevision?: number;
  readonly random: () => number;
}

export interface RestoreOptions extends RecoveryOptions {
  readonly file: string;
  /** The new member's name; that of the member that took the snapshot by default. */
  readonly name?: string;
}

/** What came out. */
export interface Recovered {
  readonly clusterId: string;
  readonly memberId: string;
  readonly name: string;
  /** Where the new cluster begins; all before it counts as compacted. */
  readonly revision: number;
  readonly keys: number;
}

/** What a reset says besides. */
export interface Reset {
  readonly oldClusterId: string;
  readonly uncommittedEntries: number;
  /** What damage took; only if there was any. */
  readonly lost?: LostEntries;
}

/** Not known yet: the member tells its real addresses when it starts. */
const UNKNOWN_PEER_ADDRESS = 'unknown.invalid:1';
const UNKNOWN_CLIENT_URL = 'https://unknown.invalid';

/**
 * Makes the data of a new cluster of one member from a snapshot. The file is checked as a whole before anything is written.
 * @throws {SnapshotError}
 */
export async function restoreStore(options: RestoreOptions): Promise<Recovered & { readonly header: SnapshotHeader }> {
  const { header, state, head } = await loadSnapshotFile(options.file);
  const name = options.name ?? header.memberName;
  const recovered = await begin(options, {
    origin: { state, head, term: header.term },
    name,
    peerAddress: UNKNOWN_PEER_ADDRESS,
    clientUrl: UNKNOWN_CLIENT_URL,
  });
  return { ...recovered, header };
}

/**
 * Makes the data of a new cluster of one member from the data of a member of a cluster that lost its quorum. Everything
 * that the survivor has is kept, also what it did not know to be committed.
 * @param options.from its data; nothing in there changes
 * @param options.acceptLoss go on with what is whole of a damaged log; `lost` then says what is gone
 * @throws what `readSurvivor` throws
 */
export async function resetStore(
  options: RecoveryOptions & { readonly from: string; readonly acceptLoss?: boolean },
): Promise<Recovered & Reset> {
  const { from, acceptLoss = false } = options;
  const survivor = await readSurvivor(from, { acceptLoss });
  const { identity, entry, uncommittedEntries, lost } = survivor;
  const recovered = await begin(options, {
    origin: survivor,
    name: identity.name,
    peerAddress: entry?.peerAddress ?? UNKNOWN_PEER_ADDRESS,
    clientUrl: entry?.clientUrl ?? UNKNOWN_CLIENT_URL,
  });
  return { ...recovered, oldClusterId: identity.clusterId, uncommittedEntries, ...(lost && { lost }) };
}

async function begin(
  { directory, bumpRevision = REVISION_BUMP, random }: RecoveryOptions,
  from: Pick<Parameters<typeof buildStore>[1], 'origin'> & {
    readonly name: string;
    readonly peerAddress: string;
    readonly clientUrl: string;
  },
): Promise<Recovered> {
  const { origin, name, peerAddress, clientUrl } = from;
  const identity = { clusterId: drawId(random), memberId: drawId(random), name };
  const keys = origin.state.liveCount;
  const { revision } = await buildStore(directory, {
    origin,
    member: { identity, peerAddress, clientUrl },
    bumpRevision,
  });
  return { ...identity, revision, keys };
}
