/**
 * Quorum arithmetic, apart from everything else. A configuration is a list of voter sets, of which each must agree:
 * one set normally, two during joint consensus (thesis 4.3), so that the callers need not change for it.
 */
import type { MemberId } from './types.ts';

export type VoterSets = readonly (readonly MemberId[])[];
export type VoteResult = 'won' | 'lost' | 'pending';

/**
 * The largest value that a majority of each set has reached: for match indices the index that is committed, for read
 * contexts the one that is confirmed. Without voters nothing is ever reached.
 */
export function quorumValue(sets: VoterSets, reachedBy: (id: MemberId) => number): number {
  let reached = Number.POSITIVE_INFINITY;
  for (const set of sets) {
    if (set.length === 0) return 0;
    const values = set.map(reachedBy).sort((a, b) => b - a);
    // A majority of n is floor(n/2)+1 members, whether n is odd or even.
    reached = Math.min(reached, values[Math.floor(set.length / 2)] ?? 0);
  }
  return sets.length === 0 ? 0 : reached;
}

/** How an election stands: won once a majority of each set said yes, lost once one set cannot say yes any more. */
export function voteResult(sets: VoterSets, votes: ReadonlyMap<MemberId, boolean>): VoteResult {
  if (sets.length === 0) return 'lost';
  let pending = false;
  for (const set of sets) {
    const majority = Math.floor(set.length / 2) + 1;
    const granted = set.filter(id => votes.get(id) === true).length;
    const open = set.filter(id => votes.get(id) === undefined).length;
    if (granted >= majority) continue;
    if (granted + open < majority) return 'lost';
    pending = true;
  }
  return pending ? 'pending' : 'won';
}

/** True if a majority of each set satisfies `holds`. */
export function hasQuorum(sets: VoterSets, holds: (id: MemberId) => boolean): boolean {
  return quorumValue(sets, id => (holds(id) ? 1 : 0)) === 1;
}
