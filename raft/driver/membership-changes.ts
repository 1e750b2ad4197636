/** Adds and removes members on the leader, one step of the membership at a time (thesis 4.1, 4.2.1). */
import { withMember, withoutMember } from '../core/membership.ts';
import type { RaftCore } from '../core/raft.ts';
import type { MemberId, Membership, MembershipEntry } from '../core/types.ts';
import { MembershipRefusedError, NotLeaderError, OutcomeUnknownError } from './node.ts';
import { DRIVER_LIMITS } from './options.ts';

export interface MembershipContext {
  readonly core: RaftCore;
  readonly now: () => number;
  readonly electionTimeoutMs: number;
  /** Resolves at the next tick; rejects when the member stops. */
  readonly nextTick: () => Promise<void>;
  /** Resolves once this very entry is applied here. */
  readonly applied: (index: number, term: number, deadlineMs: number) => Promise<void>;
  readonly wake: () => void;
}

/** Adds a learner, lets it catch up, makes it a voter. Called again after a failure, it goes on where it stopped. */
export async function addMember(
  context: MembershipContext,
  member: Omit<MembershipEntry, 'role'>,
  deadlineMs: number,
): Promise<Membership> {
  const present = context.core.configuration.members.get(member.id);
  if (present?.role === 'voter') return context.core.configuration.membership;
  await change(context, membership => withMember(membership, { ...member, role: 'learner' }), deadlineMs);
  await caughtUp(context, member.id, deadlineMs);
  return change(context, membership => withMember(membership, { ...member, role: 'voter' }), deadlineMs);
}

export function removeMember(context: MembershipContext, id: MemberId, deadlineMs: number): Promise<Membership> {
  return change(context, membership => withoutMember(membership, id), deadlineMs);
}

/** Proposes a change as soon as no other is pending, and waits until it is committed. */
async function change(
  context: MembershipContext,
  plan: (membership: Membership) => Membership,
  deadlineMs: number,
): Promise<Membership> {
  const { core } = context;
  for (;;) {
    const next = plan(core.configuration.membership);
    const result = core.proposeMembership(next);
    if (result.accepted) {
      context.wake();
      await context.applied(result.index, result.term, deadlineMs);
      return next;
    }
    if (result.reason === 'membershipRefused') throw new MembershipRefusedError(result.detail);
    if (result.reason === 'notLeader') throw new NotLeaderError('this member no longer leads');
    if (context.now() >= deadlineMs) throw new OutcomeUnknownError('another membership change did not end in time');
    await context.nextTick();
  }
}

/**
 * Waits until replicating what the leader had at the start of a round took less than an election timeout: then making
 * the member a voter cannot hold up commitment for long (thesis 4.2.1).
 */
async function caughtUp(context: MembershipContext, id: MemberId, deadlineMs: number): Promise<void> {
  const { core, now } = context;
  for (let round = 0; round < DRIVER_LIMITS.catchUpRoundsMax; round++) {
    const goal = core.status().lastIndex;
    const begunMs = now();
    while ((core.progress?.get(id)?.matchIndex ?? -1) < goal) {
      if (core.progress === undefined) throw new NotLeaderError('this member no longer leads');
      if (now() >= deadlineMs) {
        throw new OutcomeUnknownError(`member ${id} has not caught up in time; it stays a learner`);
      }
      await context.nextTick();
    }
    if (now() - begunMs < context.electionTimeoutMs) return;
  }
  throw new OutcomeUnknownError(`member ${id} is too slow to catch up; it stays a learner`);
}
