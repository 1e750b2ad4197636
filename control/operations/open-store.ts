/**
 * Opens a master's member of the store, whatever state its directory is in. A member whose log is damaged or gone cannot
 * know what it promised and must never vote again under its id: it sets its data aside and takes its own place as a new
 * member, which the others let in by one replacement. That needs others; a master that is alone is told to restore.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Beginning,
  type Membership,
  type OpenStore,
  type OpenStoreOptions,
  openStore,
  RemovedError,
  setAside,
} from '../../store/index.ts';
import type { Clock } from '../client/clock.ts';
import {
  type AddMemberRequest,
  addMemberAnswerSchema,
  type MembersAnswer,
  membersAnswerSchema,
  PATHS,
} from '../join/protocol.ts';
import { codeOf, EXIT_DO_NOT_RESTART, OperationError } from './errors.ts';
import { paths, STORE } from './layout.ts';
import { type MemberFile, otherVoters, readMemberFile, writeMemberFile } from './member-file.ts';
import type { Peers } from './peers.ts';

export interface MasterStoreOptions {
  /** The master's, of which the store is a part. */
  readonly dataDir: string;
  readonly isJoining: boolean;
  /** Joins as a learner and stays one until it is promoted. */
  readonly isLearner: boolean;
  /** The member, by name or id, whose place it takes when it joins. */
  readonly replaces: string | undefined;
  /** Who belongs to the cluster, for a first join. */
  readonly discover: () => Promise<Membership>;
  readonly peers: Peers;
  readonly store: Omit<OpenStoreOptions, 'dataDir' | 'beginning' | 'announce'>;
  readonly clock: Clock;
  readonly logger: NonNullable<OpenStoreOptions['logger']>;
}

/** How often the file is compared with what is known. */
const MEMBER_FILE_CHECK_MS = 2_000;
const LOST_LOG: ReadonlySet<string> = new Set(['RAFT_LOG_CORRUPT', 'STORE_LOG_MISSING']);

/** True if a member has begun in this directory. */
export function hasStore(dataDir: string): boolean {
  return existsSync(join(paths.store(dataDir), 'raft', 'log', 'CURRENT'));
}

/** @throws {OperationError} {RemovedError} {JoinError} and what `openStore` throws */
export async function openMasterStore(options: MasterStoreOptions): Promise<OpenStore> {
  const { dataDir, isJoining, discover } = options;
  const known = await readMemberFile(dataDir);
  const isWiped = !hasStore(dataDir) && known !== undefined;
  if (isWiped && (otherVoters(known).length > 0 || !isJoining)) {
    return rebuild(options, known, new Error(`${paths.store(dataDir)} is gone`));
  }
  try {
    return await open(options, isJoining ? { type: 'join', discover } : { type: 'bootstrap' });
  } catch (error) {
    if (codeOf(error) === 'STORE_STATE_CORRUPT') throw needsSnapshot(options, error);
    if (!LOST_LOG.has(codeOf(error))) throw error;
    return rebuild(options, known, error);
  }
}

/** Keeps `member.json` true, from now on; the answer ends it. */
export function keepMemberFile(options: {
  readonly dataDir: string;
  readonly store: OpenStore;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}): () => void {
  const { dataDir, store, clock, onFailure } = options;
  let written = '';
  let cancel = () => {};
  let isStopped = false;
  const write = async () => {
    const { membership } = store.raft.status();
    const file = memberFileOf(store, membership);
    const text = JSON.stringify(file);
    // One that is not in it (yet, or any more) knows nothing worth keeping.
    if (text === written || !file.members.some(({ id }) => id === file.memberId)) return;
    await writeMemberFile(dataDir, file);
    written = text;
  };
  const keep = () => {
    void write()
      .catch(onFailure)
      .then(() => {
        if (!isStopped) cancel = clock.setTimeout(keep, MEMBER_FILE_CHECK_MS);
      });
  };
  keep();
  return () => {
    isStopped = true;
    cancel();
  };
}

function memberFileOf(store: OpenStore, { clusterId, members }: Membership): MemberFile {
  const { memberId, name } = store.identity;
  return {
    version: 1,
    clusterId,
    memberId,
    name,
    members: members.map(({ id, name, peerAddress, clientUrl, role }) => ({ id, name, peerAddress, clientUrl, role })),
  };
}

function open(options: MasterStoreOptions, beginning: Beginning): Promise<OpenStore> {
  return openStore({
    ...options.store,
    dataDir: paths.store(options.dataDir),
    beginning,
    announce: member => announce(options, member),
  });
}

/** Has the cluster take this member in, in whatever way it is to come. */
async function announce(
  { dataDir, peers, isLearner, replaces }: MasterStoreOptions,
  member: AddMemberRequest,
): Promise<void> {
  const known = await readMemberFile(dataDir);
  if (known?.memberId === member.id) {
    const { members } = await askMembers(peers);
    if (!members.some(({ id }) => id === member.id)) {
      throw new RemovedError(`member ${member.id} (${member.name}) was removed from the cluster`);
    }
  }
  const place = known !== undefined && known.memberId !== member.id ? known.memberId : replaces;
  const body: AddMemberRequest = {
    ...member,
    ...(isLearner && { learner: true }),
    ...(place !== undefined && { replaces: place }),
  };
  await peers.ask({ path: PATHS.addMember, body, answer: addMemberAnswerSchema });
}

/** Takes this member's own place under a new id. */
async function rebuild(options: MasterStoreOptions, known: MemberFile | undefined, cause: unknown): Promise<OpenStore> {
  const { dataDir, clock, logger, peers } = options;
  if (known === undefined || otherVoters(known).length === 0) throw needsSnapshot(options, cause);
  logger.error(
    { err: cause },
    `the log cannot be trusted: this master takes no part until another master answers and gives it everything anew. If no other is left, stop it and keep what is whole (\`raftsman reset --data-dir ${dataDir} --accept-loss\`), or restore a snapshot (\`raftsman snapshot restore FILE --data-dir ${dataDir} --force\`)`,
  );
  // Before anything is moved: there must be somebody to get the data from.
  const present = await askMembers(peers);
  if (present.clusterId !== known.clusterId) throw foreignCluster(dataDir, known.clusterId, present.clusterId);
  const place = await setAside(dataDir, [STORE], { reason: 'damaged', at: new Date(clock.now()) });
  logger.error(
    { err: cause, place },
    'the log cannot be trusted; it was set aside, and this master joins as a new member',
  );
  return open(options, { type: 'join', discover: async () => membershipOf(present) });
}

function askMembers(peers: Peers): Promise<MembersAnswer> {
  return peers.ask({ path: PATHS.members, answer: membersAnswerSchema });
}

function membershipOf({ clusterId, members }: MembersAnswer): Membership {
  return { clusterId, members };
}

function needsSnapshot({ dataDir }: MasterStoreOptions, cause: unknown): OperationError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const rest =
    codeOf(cause) === 'RAFT_LOG_CORRUPT'
      ? `, or keep what is whole of this one: \`raftsman reset --data-dir ${dataDir} --accept-loss\``
      : '';
  return new OperationError(
    `${reason}. No other master has the data: restore the latest snapshot with \`raftsman snapshot restore FILE --data-dir ${dataDir} --force\` (\`ls ${paths.snapshots(dataDir)}\`)${rest}`,
    { exitCode: EXIT_DO_NOT_RESTART, cause },
  );
}

/** The cluster went on without this member, under another identity. */
export function foreignCluster(dataDir: string, own: string, other: string): OperationError {
  return new OperationError(
    `the data in ${dataDir} is of the cluster ${own}, but the masters it knows now form the cluster ${other}: that one was reset or restored without this master. To take part in it, move ${dataDir} away and start with --join and --token; to keep this data, make a cluster of it elsewhere with \`raftsman reset\``,
    { exitCode: EXIT_DO_NOT_RESTART },
  );
}
