/**
 * Operating the group from any member: changes of the membership and the handing over of leadership are carried out here if
 * this member leads, else asked of the leader; where leadership moves meanwhile, the next leader is asked to go on.
 */
import type { RaftCore } from '../core/raft.ts';
import type { MemberId, Membership } from '../core/types.ts';
import {
  decodeMembership,
  decodeMembershipCall,
  decodeTransfer,
  encode,
  type MembershipCall,
  type MembershipRequest,
  membershipRequestProblem,
} from './codec.ts';
import { type ChangeOptions, MembershipChanges, type MembershipContext } from './membership-changes.ts';
import { type MembershipOptions, MembershipRefusedError, NotLeaderError, TransferFailedError } from './node.ts';
import type { ResolvedRaftOptions } from './options.ts';
import { isSafeToRepeat } from './peer-errors.ts';

export interface AdministrationContext extends MembershipContext {
  readonly options: ResolvedRaftOptions;
  readonly isStopped: () => boolean;
  readonly askLeader: (method: AdministrationMethod, body: Uint8Array, timeoutMs: number) => Promise<Uint8Array>;
}

/** What members ask of their leader. */
export type AdministrationMethod = 'changeMembership' | 'transferLeadership';

export class Administration {
  readonly #context: AdministrationContext;
  readonly #changes: MembershipChanges;

  constructor(context: AdministrationContext) {
    this.#context = context;
    this.#changes = new MembershipChanges(context);
  }

  /** Carries a change out, here or wherever the leader is. */
  async changeMembership(request: MembershipRequest, options: MembershipOptions = {}): Promise<Membership> {
    const problem = membershipRequestProblem(request);
    if (problem !== undefined)
      throw new MembershipRefusedError(`the member is not described as it must be: ${problem}`);
    const { options: settings, askLeader, now } = this.#context;
    const isSlow = request.type === 'addMember' || request.type === 'replaceMember';
    const usualMs = isSlow ? settings.addMemberTimeoutMs : settings.requestTimeoutMs;
    const deadlineMs = now() + (options.timeoutMs ?? usualMs);
    return this.#untilLed(deadlineMs, async () => {
      const timeoutMs = this.#remainingMs(deadlineMs);
      const call: MembershipCall = { request, timeoutMs, force: options.force ?? false };
      if (this.#isLeading) return this.#changeHere(call);
      // The leader's own word on why it took too long says more than silence.
      const answerMs = timeoutMs + this.#context.options.driverLimits.answerGraceMs;
      return decodeMembership(await askLeader('changeMembership', encode(call), answerMs));
    });
  }

  /** Resolves when another member has taken over, or `to` leads already. */
  transferLeadership(to: MemberId | undefined): Promise<void> {
    const { options, askLeader, now } = this.#context;
    const deadlineMs = now() + options.requestTimeoutMs;
    return this.#untilLed(
      deadlineMs,
      async () => {
        if (this.#isLeading) return this.#handOver(to);
        await askLeader('transferLeadership', encode(to ?? null), this.#remainingMs(deadlineMs));
        // To anyone else: a second time could move it on from whom it has just come to.
      },
      error => error instanceof NotLeaderError || (to !== undefined && isSafeToRepeat(error)),
    );
  }

  /** What another member asks of this one, which leads. */
  async answer(method: AdministrationMethod, body: Uint8Array): Promise<Uint8Array> {
    if (method === 'changeMembership') return encode(await this.#changeHere(decodeMembershipCall(body)));
    await this.#handOver(decodeTransfer(body));
    return encode(null);
  }

  get #isLeading(): boolean {
    return this.#context.core.status().role === 'leader';
  }

  async #changeHere({ request, timeoutMs, force }: MembershipCall): Promise<Membership> {
    const options: ChangeOptions = { deadlineMs: this.#context.now() + timeoutMs, force };
    switch (request.type) {
      case 'addLearner':
        return this.#changes.addLearner(request.member, options);
      case 'addMember':
        return this.#changes.add(request.member, options);
      case 'promoteMember':
        return this.#changes.promote(request.id, options);
      case 'removeMember':
        if (this.#isSelf(request.id) && (await this.#changes.checkRemoval(request.id, options))) await this.#makeWay();
        return this.#changes.remove(request.id, options);
      case 'replaceMember':
        if (this.#isSelf(request.id) && (await this.#changes.checkReplacement(request.id, request.member, options))) {
          await this.#makeWay();
        }
        return this.#changes.replace(request.id, request.member, options);
      case 'updateMember':
        return this.#changes.update(request.id, request.changes, options);
    }
  }

  #isSelf(id: MemberId): boolean {
    return id === this.#context.core.id;
  }

  /** A leader that is to go hands over first, so that nobody waits for an election. @throws {NotLeaderError} it did. */
  async #makeWay(): Promise<void> {
    try {
      await this.#handOver(undefined);
    } catch (error) {
      // Then it does it itself, and steps down when that is committed (thesis 4.2.2).
      if (error instanceof TransferFailedError) return;
      throw error;
    }
    throw new NotLeaderError('this member was to be taken out and has handed leadership over');
  }

  async #handOver(to: MemberId | undefined): Promise<void> {
    const { core, wake, nextTick } = this.#context;
    const { term } = core.status();
    if (to === core.id) return;
    const target = to ?? mostCompleteVoter(core);
    if (target === undefined) throw new TransferFailedError('there is no other voter that answers');
    if (core.transferLeadership(target) !== 'begun') {
      throw new TransferFailedError(`member ${target} is no voter: only a voter can lead`);
    }
    wake();
    while (this.#isLeading && core.status().term === term) {
      if (core.transferTarget === undefined) throw new TransferFailedError('the member did not take over in time');
      await nextTick();
    }
  }

  /** Tries again as long as nobody leads or leadership moves. */
  async #untilLed<T>(
    deadlineMs: number,
    attempt: () => Promise<T>,
    mayRepeat: (error: unknown) => boolean = isSafeToRepeat,
  ): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const isOver = this.#context.isStopped() || this.#remainingMs(deadlineMs) === 0;
        if (isOver || !mayRepeat(error)) throw error;
        await this.#context.nextTick();
      }
    }
  }

  #remainingMs(deadlineMs: number): number {
    return Math.max(0, deadlineMs - this.#context.now());
  }
}

function mostCompleteVoter(core: RaftCore): MemberId | undefined {
  const candidates = [...(core.progress ?? [])].filter(([id, { isActive, needsSnapshot }]) => {
    return isActive && !needsSnapshot && core.configuration.incoming.has(id);
  });
  return candidates.sort(([, a], [, b]) => b.matchIndex - a.matchIndex)[0]?.[0];
}
