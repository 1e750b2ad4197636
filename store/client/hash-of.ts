/** Answers for the running hash of one member, as etcd's HashKV does for its data. */
import type { Mvcc } from '../mvcc/mvcc.ts';
import { CompactedError, FutureRevisionError, InvalidRequestError, type StoreHash } from './client.ts';

export interface HashSource {
  readonly state: Pick<Mvcc, 'revision' | 'compactedRevision'>;
  /** Undefined for a revision that is not remembered. */
  hashAt(revision: number): number | undefined;
}

/** @throws {FutureRevisionError} {CompactedError} {InvalidRequestError} as `StoreClient.hash` says */
export function hashOf(source: HashSource, revision: number): StoreHash {
  const { revision: present, compactedRevision } = source.state;
  const asked = revision === 0 ? present : revision;
  if (asked > present)
    throw new FutureRevisionError(`revision ${asked} is not there yet; this member is at ${present}`);
  if (asked < compactedRevision) throw new CompactedError(compactedRevision);
  const hash = source.hashAt(asked);
  if (hash === undefined) throw new InvalidRequestError(`the hash at revision ${asked} is not remembered`);
  return { hash, revision: asked, compactedRevision };
}
