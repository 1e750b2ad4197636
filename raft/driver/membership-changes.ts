/**
 * Changes of the membership, carried out by the leader: one step at a time (thesis 4.1), a new voter only after it has caught
 * up as a learner (4.2.1), a replacement as one joint change (4.3). Each can be asked for again after a failure, of whoever
 * leads then: what was done already is found done, and the rest goes on.
 */
import { refuseUnreachable } from '../core/health.ts';
import { asVoter, replacing, withMember, withoutMember } from '../core/membership.ts';
import type { RaftCore } from '../core/raft.ts';
import type { MemberId, Membership, MembershipEntry } from '../core/types.ts';
import type { DriverLimits } from './limits.ts';
import {
  type MemberChanges,
  MembershipRefusedError,
  type NewMember,
  NotLeaderError,
  OutcomeUnknownError,
} from './node.ts';

export interface MembershipContext {
  readonly limits: Pick<DriverLimits, 'answerPatienceMs' | 'catchUpRoundsMax'>;
  readonly core: RaftCore;
  readonly now: () => number;
  readonly electionTimeoutMs: number;
  readonly electionTicks: number;
  /** Resolves at the next tick; rejects when the member stops. */
  readonly nextTick: () => Promise<void>;
  /** Resolves once this very entry is applied here. */
  readonly applied: (index: number, term: number, deadlineMs: number) => Promise<void>;
  readonly wake: () => void;
}

/** How one change is to be carried out. */
export interface ChangeOptions {
  readonly deadlineMs: number;
  /** Skips the check that a quorum of what will be answers. */
  readonly force: boolean;
}

/** What is to be in force next; undefined if it is already. @throws {MembershipRefusedError} */
type Plan = (membership: Membership) => Membership | undefined;

interface Prepared {
  readonly present: Membership;
  /** Undefined if there is nothing to do. */
  readonly next: Membership | undefined;
}

export class MembershipChanges {
  readonly #context: MembershipContext;

  constructor(context: MembershipContext) {
    this.#context = context;
  }

  addLearner(member: NewMember, options: ChangeOptions): Promise<Membership> {
    return this.#change(membership => {
      if (find(membership, member.id)?.role === 'voter') throw refused(`${member.name} is a voter already`);
      return withLearner(membership, { ...member, role: 'learner' });
    }, options);
  }

  async promote(id: MemberId, options: ChangeOptions): Promise<Membership> {
    await this.#settled(options.deadlineMs);
    const { membership } = this.#context.core.configuration;
    if (require(membership, id).role === 'voter') return membership;
    await this.#refuseUnlessCaughtUp(id, options.deadlineMs);
    return this.#makeVoter(id, options);
  }

  async add(member: NewMember, options: ChangeOptions): Promise<Membership> {
    await this.#settled(options.deadlineMs);
    const { membership } = this.#context.core.configuration;
    if (find(membership, member.id)?.role === 'voter') return membership;
    await this.#change(present => withLearner(present, { ...member, role: 'learner' }), options);
    await this.#caughtUp(member.id, options.deadlineMs);
    return this.#makeVoter(member.id, options);
  }

  remove(id: MemberId, options: ChangeOptions): Promise<Membership> {
    return this.#change(planRemoval(id), options);
  }

  /** Whether there is anything to do. @throws {MembershipRefusedError} the removal would be refused now. */
  async checkRemoval(id: MemberId, options: ChangeOptions): Promise<boolean> {
    return (await this.#prepared(planRemoval(id), options)).next !== undefined;
  }

  /** Whether there is anything to do. @throws {MembershipRefusedError} the replacement makes no sense. */
  async checkReplacement(id: MemberId, by: NewMember, options: ChangeOptions): Promise<boolean> {
    const membership = await this.#settled(options.deadlineMs);
    if (isReplaced(membership, id, by.id)) return false;
    planReplacement(membership, id, by);
    return true;
  }

  async replace(id: MemberId, by: NewMember, options: ChangeOptions): Promise<Membership> {
    await this.#settled(options.deadlineMs);
    const { membership } = this.#context.core.configuration;
    if (isReplaced(membership, id, by.id)) return membership;
    await this.#change(present => planReplacement(present, id, by), options);
    await this.#caughtUp(by.id, options.deadlineMs);
    await this.#change(present => {
      if (isReplaced(present, id, by.id)) return undefined;
      if (require(present, id).role !== 'voter' || require(present, by.id).role !== 'learner') {
        throw refused('another change of these members came between: look at the members and try again');
      }
      return replacing(present, id, by.id);
    }, options);
    // The joint membership is left by whoever leads; this call ends when it is, not before.
    return this.#settled(options.deadlineMs);
  }

  update(id: MemberId, changes: MemberChanges, options: ChangeOptions): Promise<Membership> {
    return this.#change(membership => {
      const present = require(membership, id);
      const { name = present.name, peerAddress = present.peerAddress, clientUrl = present.clientUrl } = changes;
      if (name === present.name && peerAddress === present.peerAddress && clientUrl === present.clientUrl) {
        return undefined;
      }
      // Only these: an address that changes must not change a role (etcd #21736).
      return withMember(membership, { ...present, name, peerAddress, clientUrl });
    }, options);
  }

  #makeVoter(id: MemberId, options: ChangeOptions): Promise<Membership> {
    return this.#change(membership => {
      const present = require(membership, id);
      return present.role === 'voter' ? undefined : withMember(membership, asVoter(present));
    }, options);
  }

  /** Proposes what is planned as soon as no other change is pending, and waits until it is committed. */
  async #change(plan: Plan, options: ChangeOptions): Promise<Membership> {
    const { core, wake, applied, nextTick } = this.#context;
    for (;;) {
      const { present, next } = await this.#prepared(plan, options);
      if (next === undefined) return present;
      const result = core.proposeMembership(next);
      if (result.accepted) {
        wake();
        await applied(result.index, result.term, options.deadlineMs);
        return next;
      }
      if (result.reason === 'membershipRefused') throw refused(result.detail ?? 'the change is not possible');
      await nextTick();
    }
  }

  /**
   * What to propose now. Enough voters of it have answered since this was asked: who was heard a moment ago may be dead.
   * @throws {MembershipRefusedError} too few did, though they were given time.
   */
  async #prepared(plan: Plan, { deadlineMs, force }: ChangeOptions): Promise<Prepared> {
    const { core, nextTick, now } = this.#context;
    const patientUntilMs = this.#patientUntil(deadlineMs);
    for (let ticks = 0; ; ticks++) {
      const present = await this.#settled(deadlineMs);
      const next = plan(present);
      if (next === undefined || force) return { present, next };
      const refusal = refuseUnreachable(present, next, id => id === core.id || this.#silentTicks(id) < ticks);
      if (refusal === undefined) return { present, next };
      if (now() >= patientUntilMs) throw refused(refusal);
      await nextTick();
    }
  }

  /** Waits until no change is under way and this leader knows it (raft-dev, July 2015). */
  async #settled(deadlineMs: number): Promise<Membership> {
    const { core, now, nextTick } = this.#context;
    for (;;) {
      if (core.status().role !== 'leader') throw new NotLeaderError('this member no longer leads');
      if (core.canChangeMembership) return core.configuration.membership;
      if (now() >= deadlineMs) throw new OutcomeUnknownError('another membership change did not end in time');
      await nextTick();
    }
  }

  /** A member may be slow, or about to come back: nothing is refused because of it at once. */
  #patientUntil(deadlineMs: number): number {
    const { now, electionTimeoutMs, limits } = this.#context;
    return Math.min(deadlineMs, now() + Math.max(2 * electionTimeoutMs, limits.answerPatienceMs));
  }

  #silentTicks(id: MemberId): number {
    return this.#context.core.progress?.get(id)?.silentTicks ?? Number.POSITIVE_INFINITY;
  }

  #has(id: MemberId, index: number): boolean {
    const progress = this.#context.core.progress?.get(id);
    return progress !== undefined && progress.matchIndex >= index && !progress.needsSnapshot;
  }

  /** A round of catching up (thesis 4.2.1): what the leader has at its start must be there within an election timeout. */
  async #refuseUnlessCaughtUp(id: MemberId, deadlineMs: number): Promise<void> {
    const { core, now, nextTick, electionTimeoutMs, electionTicks } = this.#context;
    const patientUntilMs = this.#patientUntil(deadlineMs);
    let round = { goal: core.status().lastIndex, begunMs: now() };
    for (;;) {
      if (core.status().role !== 'leader') throw new NotLeaderError('this member no longer leads');
      const isLate = now() - round.begunMs >= electionTimeoutMs;
      if (this.#has(id, round.goal)) {
        if (!isLate) return;
        round = { goal: core.status().lastIndex, begunMs: now() };
      } else if (now() >= patientUntilMs) {
        const name = core.configuration.members.get(id)?.name ?? id;
        if (this.#silentTicks(id) >= electionTicks) throw refused(`${name} does not answer: start it, then promote it`);
        const matchIndex = core.progress?.get(id)?.matchIndex ?? 0;
        throw refused(`${name} has entry ${matchIndex} of ${round.goal} and is still catching up: try again later`);
      }
      await nextTick();
    }
  }

  /** Waits for a round that took less than an election timeout: then its vote cannot hold up commitment for long. */
  async #caughtUp(id: MemberId, deadlineMs: number): Promise<void> {
    const { core, now, nextTick, electionTimeoutMs, limits } = this.#context;
    for (let round = 0; round < limits.catchUpRoundsMax; round++) {
      const goal = core.status().lastIndex;
      const begunMs = now();
      while (!this.#has(id, goal)) {
        if (core.status().role !== 'leader') throw new NotLeaderError('this member no longer leads');
        if (!core.configuration.members.has(id)) throw refused(`member ${id} was removed meanwhile`);
        if (now() >= deadlineMs) {
          throw new OutcomeUnknownError(`member ${id} has not caught up in time; it stays a learner`);
        }
        await nextTick();
      }
      if (now() - begunMs < electionTimeoutMs) return;
    }
    throw new OutcomeUnknownError(`member ${id} is too slow to catch up; it stays a learner`);
  }
}

function find(membership: Membership, id: MemberId): MembershipEntry | undefined {
  return membership.members.find(member => member.id === id);
}

function require(membership: Membership, id: MemberId): MembershipEntry {
  const member = find(membership, id);
  if (member !== undefined) return member;
  const isRemoved = membership.removed?.includes(id) === true;
  throw refused(isRemoved ? `member ${id} was removed; ids are never used again` : `there is no member ${id}`);
}

/** The membership with this learner; undefined if it is in it already, just like this. */
function withLearner(membership: Membership, learner: MembershipEntry): Membership | undefined {
  const present = find(membership, learner.id);
  // A voter it is never made into one again by being announced.
  if (present?.role === 'voter') return undefined;
  const isSame =
    present !== undefined &&
    present.name === learner.name &&
    present.peerAddress === learner.peerAddress &&
    present.clientUrl === learner.clientUrl &&
    present.replaces === learner.replaces;
  return isSame ? undefined : withMember(membership, learner);
}

function planRemoval(id: MemberId): Plan {
  return membership => {
    if (find(membership, id) === undefined && membership.removed?.includes(id) === true) return undefined;
    const member = require(membership, id);
    if (member.role === 'voter' && membership.members.filter(({ role }) => role === 'voter').length === 1) {
      throw refused(`${member.name} is the only voter: add another one first`);
    }
    return withoutMember(membership, id);
  };
}

function planReplacement(membership: Membership, id: MemberId, by: NewMember): Membership | undefined {
  if (id === by.id) throw refused('a member cannot take its own place: join it again as a new one');
  const old = require(membership, id);
  if (old.role !== 'voter') throw refused(`${old.name} is a learner: remove it and add the new one`);
  if (find(membership, by.id)?.role === 'voter') {
    throw refused(`${by.name} is a voter already: remove ${old.name} instead`);
  }
  return withLearner(membership, { ...by, role: 'learner', replaces: id });
}

function isReplaced(membership: Membership, id: MemberId, by: MemberId): boolean {
  return membership.removed?.includes(id) === true && find(membership, by)?.role === 'voter';
}

function refused(reason: string): MembershipRefusedError {
  return new MembershipRefusedError(reason);
}
