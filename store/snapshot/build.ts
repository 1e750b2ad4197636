/**
 * Makes the data directory of a new cluster's first member out of a state: from a snapshot file, or from what a survivor
 * still has. New cluster id and member id, so that nobody who belonged to the old cluster can take part by accident; the
 * revision moves on and everything older counts as compacted, so that no client takes the new history for the old one:
 * watches are told "compacted" and read anew.
 */
import assert from 'node:assert';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LevelStorage, type MemberIdentity, type Membership } from '../../raft/index.ts';
import { LevelBackend } from '../backend/level.ts';
import type { BatchHead } from '../codec/change.ts';
import { encodeImage } from '../codec/image.ts';
import type { Image } from '../mvcc/image.ts';
import type { Mvcc } from '../mvcc/mvcc.ts';

/** A state and where in which log it stood. */
export interface Origin {
  /** Used up: it is compacted on the way. */
  readonly state: Mvcc;
  readonly head: BatchHead;
  /** At least the term of the last entry in the state. */
  readonly term: number;
}

export interface NewMember {
  readonly identity: MemberIdentity;
  readonly peerAddress: string;
  readonly clientUrl: string;
}

/** Writes `directory/raft` and `directory/state`, durably. Resolves with the revision that the new cluster begins at. */
export async function buildStore(
  directory: string,
  options: { readonly origin: Origin; readonly member: NewMember; readonly bumpRevision: number },
): Promise<{ readonly revision: number }> {
  const { origin, member, bumpRevision } = options;
  assert(bumpRevision >= 0 && Number.isSafeInteger(origin.state.revision + bumpRevision), 'revisions stay exact');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const image = movedOn(origin.state, bumpRevision);
  // A log that begins at 0 would tell newcomers that it holds everything.
  const head = { ...origin.head, appliedIndex: Math.max(1, origin.head.appliedIndex), counters: image.counters };
  await writeState(join(directory, 'state'), image, head);
  await writeLog(join(directory, 'raft'), { member, index: head.appliedIndex, term: Math.max(1, origin.term) });
  return { revision: image.counters.revision };
}

/** What is there now, under a later revision, without its past. */
function movedOn(state: Mvcc, bumpRevision: number): Image {
  // What this frees is left out by the image.
  state.apply({ type: 'compact', revision: state.revision }, { term: 0 });
  const image = state.image();
  const revision = image.counters.revision + bumpRevision;
  return {
    counters: { ...image.counters, revision, compactedRevision: revision },
    leases: image.leases,
    // They were about other members, and whatever of them is still true is found out again.
    alarms: [],
    auth: image.auth,
    read(after, budgetBytes) {
      const page = image.read(after, budgetBytes);
      // A tombstone of the very last revision is there for watches only.
      return { ...page, items: page.items.filter(item => item.version > 0) };
    },
    release: () => image.release(),
  };
}

async function writeState(directory: string, image: Image, head: BatchHead): Promise<void> {
  const backend = new LevelBackend({ directory });
  await backend.open();
  try {
    const checkpoint = backend.beginCheckpoint();
    for (const chunk of encodeImage(image, head)) await checkpoint.write(chunk);
    await checkpoint.commit();
  } finally {
    await backend.close();
  }
}

async function writeLog(
  directory: string,
  log: { readonly member: NewMember; readonly index: number; readonly term: number },
): Promise<void> {
  const { identity, peerAddress, clientUrl } = log.member;
  const membership: Membership = {
    clusterId: identity.clusterId,
    members: [{ id: identity.memberId, name: identity.name, peerAddress, clientUrl, role: 'voter' }],
  };
  const storage = new LevelStorage({ directory });
  await storage.open();
  try {
    await storage.initialize(identity, membership);
    const { index, term } = log;
    await storage.reset({ index, term, membership }, { term, votedFor: undefined, commit: index });
  } finally {
    await storage.close();
  }
}
