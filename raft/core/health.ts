/**
 * Whether a change of the voters would leave the cluster able to go on. Raft itself would allow it and then stand still:
 * a change counts as soon as it is in the log, so it needs a quorum of what it brings to come about (thesis 4.1).
 */
import { configurationOf } from './membership.ts';
import type { MemberId, Membership } from './types.ts';

/**
 * Says why too few voters of `next` answer, or undefined if enough do. Changes that leave the voters as they are cannot cost
 * the quorum: a learner can always be added, and whoever does not answer can always be taken out.
 */
export function refuseUnreachable(
  present: Membership,
  next: Membership,
  isReachable: (id: MemberId) => boolean,
): string | undefined {
  const before = configurationOf(present);
  const after = configurationOf(next);
  if (isSameSet(before.voters, after.voters) && after.voterSets.length === 1) return undefined;
  for (const set of after.voterSets) {
    const majority = Math.floor(set.length / 2) + 1;
    const silent = set.filter(id => !isReachable(id));
    const answering = set.length - silent.length;
    if (answering >= majority) continue;
    const names = silent.map(id => after.members.get(id)?.name ?? id).join(', ');
    const them = silent.length === 1 ? 'it' : 'them';
    const voters = set.length === 1 ? 'the only voter' : `of the ${set.length} voters`;
    return `${voters} that this would leave, ${answering} ${answering === 1 ? 'answers' : 'answer'} and ${majority} must (no answer from ${names}): bring ${them} back first, or remove or replace ${them} instead`;
  }
  return undefined;
}

function isSameSet(a: ReadonlySet<MemberId>, b: ReadonlySet<MemberId>): boolean {
  return a.size === b.size && [...a].every(id => b.has(id));
}
