/**
 * How a watch learns that it has seen everything up to a revision, though nothing in its range has happened.
 *
 * etcd answers a request for progress on the stream, but older servers let that answer overtake events that are still on
 * their way (etcd issue 15220), and a cache that believed it would take old state for new. There, the watch covers all keys
 * of ours instead and a key is written that it must see: what comes before that event has been seen, by the order of
 * revisions alone.
 */

/** The first of each line of versions whose answers can be trusted; also what Kubernetes asks for. */
const TRUSTED: Readonly<Record<string, number>> = { '3.4': 31, '3.5': 13 };

export type ProgressMethod = 'request' | 'barrier';

/** Which way is right for a server of this version, such as `3.5.16`. */
export function progressMethod(version: string): ProgressMethod {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  const first = TRUSTED[`${major}.${minor}`];
  const isTrusted = first === undefined ? major > 3 || (major === 3 && minor > 5) : patch >= first;
  return isTrusted ? 'request' : 'barrier';
}
