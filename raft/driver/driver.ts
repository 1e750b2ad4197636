/**
 * One running member: what `raft/` offers to the store. Puts core, storage, transport and state machine together, starts
 * and stops them, and answers for the group wherever the leader is. The loop itself is in `loop.ts`.
 */
import assert from 'node:assert';
import { RaftCore } from '../core/raft.ts';
import type { MemberId, Membership } from '../core/types.ts';
import type { MemberIdentity, RaftStorage, RecoveredState } from '../storage/storage.ts';
import { PeerError, type Transport } from '../transport/transport.ts';
import type { Clock } from './clock.ts';
import {
  decodeMembership,
  decodeMembershipCall,
  decodeTransfer,
  encode,
  type MembershipCall,
  type MembershipRequest,
  membershipCodec,
} from './codec.ts';
import type { CrashPointHook } from './crash-points.ts';
import { LeadershipAnnouncer } from './leadership.ts';
import { type Logger, silentLogger } from './logger.ts';
import { RaftLoop } from './loop.ts';
import { type ChangeOptions, MembershipChanges } from './membership-changes.ts';
import {
  type Leadership,
  type MemberChanges,
  type MembershipOptions,
  type NewMember,
  NotInitializedError,
  NotLeaderError,
  type RaftNode,
  type RaftStatus,
  removedError,
  TransferFailedError,
} from './node.ts';
import type { RaftObserver } from './observer.ts';
import { DRIVER_LIMITS, type RaftOptions, resolveOptions } from './options.ts';
import { PeerAddresses } from './peer-addresses.ts';
import { isSafeToRepeat, meaningOf } from './peer-errors.ts';
import type { StateMachine } from './state-machine.ts';
import { Waiter } from './waiters.ts';

export interface RaftNodeDependencies<Result> {
  readonly storage: RaftStorage;
  readonly transport: Transport;
  readonly stateMachine: StateMachine<Result>;
  readonly clock: Clock;
  /** Uniform in [0, 1); spreads election timeouts. */
  readonly random: () => number;
  readonly logger?: Logger;
  readonly options?: Partial<RaftOptions>;
  /** What `storage.open()` gave, if the caller has opened it already; else `start` opens it. */
  readonly recovered?: RecoveredState;
  /**
   * Used only where the storage is empty: who this member is, and either a cluster of itself alone (a voter), or the
   * members of the cluster that it joins (it is no voter among them, and never campaigns before it has become one).
   */
  readonly bootstrap?: { readonly identity: MemberIdentity; readonly membership: Membership };
  /**
   * Where peers are, by id or name, if the membership is wrong about it: for the case that all have moved at once. What the
   * membership says counts again as soon as it changes.
   */
  readonly peerAddresses?: ReadonlyMap<string, string>;
  /** Answers what other members ask with `request`. What it throws reaches the asker by its `code`. */
  readonly onRequest?: (from: MemberId, method: string, body: Uint8Array) => Promise<Uint8Array>;
  /** The member has stopped for good ({@link RemovedError}: for ever); the process has to exit. Called once. */
  readonly onFatal?: (error: Error) => void;
  readonly reach?: CrashPointHook;
  /** Keeps count of what this member does. Give the same one to the transport. */
  readonly observer?: RaftObserver;
}

/** Before the methods that are not Raft's own, so that no name collides; the second kind is answered by a leader only. */
const OWN_METHOD = 'own:';
const LEADER_METHOD = 'leader:';

/** Makes a member; `start` brings it to life. Closing it closes its storage, transport and state machine too. */
export function createRaftNode<Result>(dependencies: RaftNodeDependencies<Result>): RaftDriver<Result> {
  return new RaftDriver(dependencies);
}

/** What exists once the member has started. */
interface Running<Result> {
  readonly loop: RaftLoop<Result>;
  readonly identity: MemberIdentity;
  readonly changes: MembershipChanges;
}

export class RaftDriver<Result = unknown> implements RaftNode<Result> {
  readonly #dependencies: RaftNodeDependencies<Result>;
  readonly #options: RaftOptions;
  readonly #announcer = new LeadershipAnnouncer();
  #running: Running<Result> | undefined;
  #hasFailed = false;
  #closing: Promise<void> | undefined;

  /** @throws {RangeError} where the options do not fit each other. */
  constructor(dependencies: RaftNodeDependencies<Result>) {
    this.#dependencies = dependencies;
    this.#options = resolveOptions(dependencies.options);
  }

  /**
   * Recovers what is on disk and takes part. Resolves before a leader is known.
   * @throws {NotInitializedError} the storage is empty and no `bootstrap` was given.
   * @throws what storage, state machine and transport throw when they open.
   */
  async start(): Promise<void> {
    assert(this.#running === undefined, 'a member starts once');
    const { storage, stateMachine, transport } = this.#dependencies;
    const recovered = await this.#recover(this.#dependencies.recovered ?? (await storage.open()));
    const { appliedIndex } = await stateMachine.open();
    const running = this.#assemble(recovered, appliedIndex);
    await transport.start({
      onMessage: message => running.loop.step(message),
      onSnapshot: incoming => void running.loop.receiveSnapshot(incoming),
      onRequest: (from, method, body) => this.#answer(from, method, body),
      onRemoved: by => running.loop.removed(by),
    });
    this.#running = running;
    running.loop.start();
  }

  async propose(data: Uint8Array, options: { readonly timeoutMs?: number } = {}): Promise<Result> {
    const { loop } = this.#require();
    loop.wake();
    return loop.proposals.add(data, this.#deadline(options.timeoutMs ?? this.#options.requestTimeoutMs));
  }

  async readBarrier(options: { readonly timeoutMs?: number } = {}): Promise<number> {
    const { loop } = this.#require();
    loop.wake();
    const deadlineMs = this.#deadline(options.timeoutMs ?? this.#options.requestTimeoutMs);
    return loop.reads.add(deadlineMs, { isRemote: false });
  }

  status(): RaftStatus {
    assert(this.#running !== undefined, 'a member has a status once it has started');
    const { loop, identity } = this.#running;
    const { core } = loop;
    const { role, term, leader, commitIndex, appliedIndex, lastIndex } = core.status();
    const { membership, voters } = core.configuration;
    const base = {
      id: identity.memberId,
      clusterId: identity.clusterId,
      role: role === 'follower' && !voters.has(identity.memberId) ? 'learner' : role,
      term,
      leader,
      commitIndex,
      appliedIndex,
      lastIndex,
      membership,
      pendingProposals: loop.proposals.waiting,
      logBytes: core.logBytes,
      appendingMs: loop.appendingMs,
    } as const;
    if (core.progress === undefined) return base;
    const progress = Object.fromEntries(
      [...core.progress].map(([id, { matchIndex, isActive }]) => [id, { matchIndex, active: isActive }]),
    );
    return { ...base, progress };
  }

  onLeadership(listener: (leadership: Leadership) => void): () => void {
    return this.#announcer.add(listener);
  }

  addLearner(member: NewMember, options?: MembershipOptions): Promise<Membership> {
    return this.#changeMembership({ type: 'addLearner', member: plainMember(member) }, options);
  }

  promoteMember(id: MemberId, options?: MembershipOptions): Promise<Membership> {
    return this.#changeMembership({ type: 'promoteMember', id }, options);
  }

  addMember(member: NewMember, options?: MembershipOptions): Promise<Membership> {
    return this.#changeMembership({ type: 'addMember', member: plainMember(member) }, options);
  }

  removeMember(id: MemberId, options?: MembershipOptions): Promise<Membership> {
    return this.#changeMembership({ type: 'removeMember', id }, options);
  }

  replaceMember(id: MemberId, by: NewMember, options?: MembershipOptions): Promise<Membership> {
    return this.#changeMembership({ type: 'replaceMember', id, member: plainMember(by) }, options);
  }

  updateMember(id: MemberId, changes: MemberChanges, options?: MembershipOptions): Promise<Membership> {
    return this.#changeMembership({ type: 'updateMember', id, changes }, options);
  }

  /** Resolves when this term's leader leads no more. */
  async transferLeadership(to?: MemberId): Promise<void> {
    const deadlineMs = this.#deadline(this.#options.requestTimeoutMs);
    return this.#untilLed(deadlineMs, async () => {
      if (isLeading(this.#require().loop.core)) return this.#handOver(to);
      await this.#askLeader('transferLeadership', encode(to ?? null), this.#remainingMs(deadlineMs));
    });
  }

  async request(
    to: MemberId | 'leader',
    method: string,
    body: Uint8Array,
    options: { readonly timeoutMs: number },
  ): Promise<Uint8Array> {
    const { loop, identity } = this.#require();
    const target = to === 'leader' ? loop.core.status().leader : to;
    if (target === undefined) throw new NotLeaderError('no leader is known');
    const name = (to === 'leader' ? LEADER_METHOD : OWN_METHOD) + method;
    if (target === identity.memberId) return this.#answer(target, name, body);
    try {
      return await this.#dependencies.transport.request(target, name, body, options);
    } catch (error) {
      throw meaningOf(error);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { storage, transport, stateMachine } = this.#dependencies;
    this.#running?.loop.stop();
    await transport.close();
    await this.#running?.loop.idle();
    // After a failed write, what another write would say is not to be believed.
    if (this.#running !== undefined && !this.#hasFailed) await stateMachine.flush();
    await stateMachine.close();
    await storage.close();
  }

  async #recover(found: RecoveredState): Promise<RecoveredState & { readonly identity: MemberIdentity }> {
    if (found.identity !== undefined) return { ...found, identity: found.identity };
    const { bootstrap, storage } = this.#dependencies;
    if (bootstrap === undefined) throw new NotInitializedError('the storage is empty and no cluster was named');
    const { identity, membership } = bootstrap;
    // Who joins knows whom it joins; an empty answer must not become a cluster of its own.
    if (!membership.members.some(member => member.role === 'voter')) {
      throw new NotInitializedError('the cluster to join names no voter: ask another of its members');
    }
    await storage.initialize(identity, membership);
    return { ...found, identity, snapshot: { index: 0, term: 0, membership } };
  }

  #assemble(recovered: RecoveredState & { readonly identity: MemberIdentity }, appliedIndex: number): Running<Result> {
    const { random, clock, onFatal, logger = silentLogger, reach = () => {} } = this.#dependencies;
    const { tickMs, electionTimeoutMs, heartbeatMs, limits } = this.#options;
    const electionTicks = Math.ceil(electionTimeoutMs / tickMs);
    const { identity, hardState, snapshot, entries } = recovered;
    const core = new RaftCore({
      id: identity.memberId,
      hardState,
      snapshot,
      entries,
      appliedIndex,
      electionTicks,
      heartbeatTicks: Math.max(1, Math.floor(heartbeatMs / tickMs)),
      random,
      codec: membershipCodec,
      limits,
    });
    if (core.committedConfiguration.removed.has(identity.memberId)) throw removedError();
    const loop = new RaftLoop<Result>({
      ...this.#dependencies,
      core,
      addresses: new PeerAddresses(this.#dependencies.peerAddresses ?? new Map(), core.configuration),
      announcer: this.#announcer,
      id: identity.memberId,
      logger,
      reach,
      options: this.#options,
      onFatal: error => {
        this.#hasFailed = true;
        onFatal?.(error);
      },
    });
    const changes = new MembershipChanges({
      core,
      now: () => clock.now(),
      electionTimeoutMs,
      electionTicks,
      nextTick: () => loop.nextTick(),
      wake: () => loop.wake(),
      async applied(index, term, deadlineMs) {
        const waiter = new Waiter<Result>(deadlineMs);
        loop.proposals.place(index, term, waiter);
        await waiter.promise;
      },
    });
    return { loop, identity, changes };
  }

  /** What other members ask of this one. What only a leader can answer, the others refuse, and the asker looks again. */
  async #answer(from: MemberId, method: string, body: Uint8Array): Promise<Uint8Array> {
    const { loop } = this.#require();
    if (method.startsWith(OWN_METHOD)) return this.#answerOwn(from, method.slice(OWN_METHOD.length), body);
    if (!isLeading(loop.core)) throw new NotLeaderError('this member does not lead');
    if (method.startsWith(LEADER_METHOD)) return this.#answerOwn(from, method.slice(LEADER_METHOD.length), body);
    loop.wake();
    switch (method) {
      case 'propose':
        try {
          return loop.proposals.acceptForwarded(body);
        } finally {
          loop.hurry();
        }
      case 'readIndex': {
        const deadlineMs = this.#deadline(this.#options.requestTimeoutMs);
        loop.hurry();
        return encode(await loop.reads.add(deadlineMs, { isRemote: true }));
      }
      case 'changeMembership':
        return encode(await this.#changeHere(decodeMembershipCall(body)));
      case 'transferLeadership':
        await this.#handOver(decodeTransfer(body));
        return encode(null);
      default:
        throw unknownMethod(method);
    }
  }

  async #answerOwn(from: MemberId, method: string, body: Uint8Array): Promise<Uint8Array> {
    const { onRequest } = this.#dependencies;
    if (onRequest === undefined) throw unknownMethod(method);
    return onRequest(from, method, body);
  }

  async #askLeader(method: string, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const { leader } = this.#require().loop.core.status();
    if (leader === undefined) throw new NotLeaderError('no leader is known');
    try {
      return await this.#dependencies.transport.request(leader, method, body, { timeoutMs });
    } catch (error) {
      throw meaningOf(error);
    }
  }

  /** Carries a change out, here or wherever the leader is, and goes on with the next leader if that one is lost. */
  #changeMembership(request: MembershipRequest, options: MembershipOptions = {}): Promise<Membership> {
    const isSlow = request.type === 'addMember' || request.type === 'replaceMember';
    const usualMs = isSlow ? this.#options.addMemberTimeoutMs : this.#options.requestTimeoutMs;
    const deadlineMs = this.#deadline(options.timeoutMs ?? usualMs);
    return this.#untilLed(deadlineMs, async () => {
      const timeoutMs = this.#remainingMs(deadlineMs);
      const call: MembershipCall = { request, timeoutMs, force: options.force ?? false };
      if (isLeading(this.#require().loop.core)) return this.#changeHere(call);
      // The leader's own word on why it took too long says more than silence.
      const answerMs = timeoutMs + DRIVER_LIMITS.answerGraceMs;
      return decodeMembership(await this.#askLeader('changeMembership', encode(call), answerMs));
    });
  }

  async #changeHere({ request, timeoutMs, force }: MembershipCall): Promise<Membership> {
    const { changes } = this.#require();
    const options: ChangeOptions = { deadlineMs: this.#deadline(timeoutMs), force };
    switch (request.type) {
      case 'addLearner':
        return changes.addLearner(request.member, options);
      case 'addMember':
        return changes.add(request.member, options);
      case 'promoteMember':
        return changes.promote(request.id, options);
      case 'removeMember':
        await this.#handOverIfLeaving(request.id, options);
        return changes.remove(request.id, options);
      case 'replaceMember':
        await this.#handOverIfLeaving(request.id, options);
        return changes.replace(request.id, request.member, options);
      case 'updateMember':
        return changes.update(request.id, request.changes, options);
    }
  }

  /** A leader that is to go hands over first, so that nobody waits for an election. @throws {NotLeaderError} it did. */
  async #handOverIfLeaving(id: MemberId, options: ChangeOptions): Promise<void> {
    const { identity, changes } = this.#require();
    if (id !== identity.memberId || !(await changes.checkRemoval(id, options))) return;
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
    const { loop } = this.#require();
    const { core } = loop;
    const { term } = core.status();
    if (to === core.id) return;
    const target = to ?? mostCompleteVoter(core);
    if (target === undefined) throw new TransferFailedError('there is no other voter that answers');
    if (core.transferLeadership(target) !== 'begun') {
      throw new TransferFailedError(`member ${target} is no voter: only a voter can lead`);
    }
    loop.wake();
    while (isLeading(loop.core) && core.status().term === term) {
      if (core.transferTarget === undefined) throw new TransferFailedError('the member did not take over in time');
      await loop.nextTick();
    }
  }

  /** Tries again as long as nobody leads or leadership moves. Only for what may be repeated. */
  async #untilLed<T>(deadlineMs: number, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const running = this.#running;
        const isOver = running === undefined || running.loop.isStopped || this.#remainingMs(deadlineMs) === 0;
        if (isOver || !isSafeToRepeat(error)) throw error;
        await running.loop.nextTick();
      }
    }
  }

  #remainingMs(deadlineMs: number): number {
    return Math.max(0, deadlineMs - this.#dependencies.clock.now());
  }

  #require(): Running<Result> {
    if (this.#running === undefined || this.#running.loop.isStopped) {
      throw new NotLeaderError('this member is not running');
    }
    return this.#running;
  }

  #deadline(timeoutMs: number): number {
    return this.#dependencies.clock.now() + timeoutMs;
  }
}

function isLeading(core: RaftCore): boolean {
  return core.status().role === 'leader';
}

function mostCompleteVoter(core: RaftCore): MemberId | undefined {
  const candidates = [...(core.progress ?? [])].filter(([id, { isActive }]) => {
    return isActive && core.configuration.incoming.has(id);
  });
  return candidates.sort(([, a], [, b]) => b.matchIndex - a.matchIndex)[0]?.[0];
}

/** Only what the wire and the log are to carry. */
function plainMember({ id, name, peerAddress, clientUrl }: NewMember): NewMember {
  return { id, name, peerAddress, clientUrl };
}

function unknownMethod(method: string): PeerError {
  return new PeerError('RAFT_UNKNOWN_METHOD', `this member does not know the method ${method}`);
}
