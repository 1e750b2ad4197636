/**
 * One running member: what `raft/` offers to the store. Puts core, storage, transport and state machine together, starts
 * and stops them, and answers for the group wherever the leader is. The loop itself is in `loop.ts`.
 */
import assert from 'node:assert';
import { RaftCore } from '../core/raft.ts';
import type { MemberId, Membership, MembershipEntry } from '../core/types.ts';
import type { MemberIdentity, RaftStorage, RecoveredState } from '../storage/storage.ts';
import { PeerError, PeerUnreachableError, type Transport } from '../transport/transport.ts';
import type { Clock } from './clock.ts';
import { decodeAddMember, decodeMemberId, decodeMembership, decodeTransfer, encode, membershipCodec } from './codec.ts';
import type { CrashPointHook } from './crash-points.ts';
import { LeadershipAnnouncer } from './leadership.ts';
import { type Logger, silentLogger } from './logger.ts';
import { RaftLoop } from './loop.ts';
import { addMember, type MembershipContext, removeMember } from './membership-changes.ts';
import {
  type Leadership,
  MembershipRefusedError,
  NotInitializedError,
  NotLeaderError,
  OutcomeUnknownError,
  OverloadedError,
  type RaftNode,
  type RaftStatus,
  TransferFailedError,
} from './node.ts';
import { type RaftOptions, resolveOptions } from './options.ts';
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
}

/** Makes a member; `start` brings it to life. Closing it closes its storage, transport and state machine too. */
export function createRaftNode<Result>(dependencies: RaftNodeDependencies<Result>): RaftDriver<Result> {
  return new RaftDriver(dependencies);
}

/** What exists once the member has started. */
interface Running<Result> {
  readonly loop: RaftLoop<Result>;
  readonly identity: MemberIdentity;
  readonly membership: MembershipContext;
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
      onRequest: (_from, method, body) => this.#answer(method, body),
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

  async addMember(
    member: Omit<MembershipEntry, 'role'>,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<Membership> {
    const { loop, membership } = this.#require();
    const timeoutMs = options.timeoutMs ?? this.#options.addMemberTimeoutMs;
    if (isLeading(loop.core)) return addMember(membership, member, this.#deadline(timeoutMs));
    const body = encode({ member: { ...member }, timeoutMs });
    return decodeMembership(await this.#askLeader('addMember', body, timeoutMs));
  }

  /** Takes a member out of the cluster; its id is refused from then on. On the leader, or forwarded to it. */
  async removeMember(id: MemberId, options: { readonly timeoutMs?: number } = {}): Promise<Membership> {
    const { loop, membership } = this.#require();
    const timeoutMs = options.timeoutMs ?? this.#options.requestTimeoutMs;
    if (isLeading(loop.core)) return removeMember(membership, id, this.#deadline(timeoutMs));
    return decodeMembership(await this.#askLeader('removeMember', encode(id), timeoutMs));
  }

  /**
   * Hands leadership to a voter, by default the most complete one. Resolves when this term's leader leads no more.
   * @throws {TransferFailedError} there is no such voter, or it did not take over within an election timeout.
   */
  async transferLeadership(to?: MemberId): Promise<void> {
    const { loop } = this.#require();
    if (!isLeading(loop.core)) {
      await this.#askLeader('transferLeadership', encode(to ?? null), this.#options.requestTimeoutMs);
      return;
    }
    const { core } = loop;
    const { term } = core.status();
    const target = to ?? mostCompleteVoter(core);
    if (target === undefined || core.transferLeadership(target) !== 'begun') {
      throw new TransferFailedError('there is no such voter to hand leadership to');
    }
    loop.wake();
    while (isLeading(loop.core) && core.status().term === term) {
      if (core.transferTarget === undefined) throw new TransferFailedError('the member did not take over in time');
      await loop.nextTick();
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
    await storage.initialize(identity, membership);
    return { ...found, identity, snapshot: { index: 0, term: 0, membership } };
  }

  #assemble(recovered: RecoveredState & { readonly identity: MemberIdentity }, appliedIndex: number): Running<Result> {
    const { random, clock, onFatal, logger = silentLogger, reach = () => {} } = this.#dependencies;
    const { tickMs, electionTimeoutMs, heartbeatMs, limits } = this.#options;
    const { identity, hardState, snapshot, entries } = recovered;
    const core = new RaftCore({
      id: identity.memberId,
      hardState,
      snapshot,
      entries,
      appliedIndex,
      electionTicks: Math.ceil(electionTimeoutMs / tickMs),
      heartbeatTicks: Math.max(1, Math.floor(heartbeatMs / tickMs)),
      random,
      codec: membershipCodec,
      limits,
    });
    const loop = new RaftLoop<Result>({
      ...this.#dependencies,
      core,
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
    const membership: MembershipContext = {
      core,
      now: () => clock.now(),
      electionTimeoutMs,
      nextTick: () => loop.nextTick(),
      wake: () => loop.wake(),
      async applied(index, term, deadlineMs) {
        const waiter = new Waiter<Result>(deadlineMs);
        loop.proposals.place(index, term, waiter);
        await waiter.promise;
      },
    };
    return { loop, identity, membership };
  }

  /** What other members ask of this one. Only a leader answers; the others say so, and the asker looks again. */
  async #answer(method: string, body: Uint8Array): Promise<Uint8Array> {
    const { loop } = this.#require();
    if (!isLeading(loop.core)) throw new NotLeaderError('this member does not lead');
    loop.wake();
    switch (method) {
      case 'propose':
        return loop.proposals.acceptForwarded(body);
      case 'readIndex': {
        const deadlineMs = this.#deadline(this.#options.requestTimeoutMs);
        return encode(await loop.reads.add(deadlineMs, { isRemote: true }));
      }
      case 'addMember': {
        const { member, timeoutMs } = decodeAddMember(body);
        return encode(await this.addMember(member, { timeoutMs }));
      }
      case 'removeMember':
        return encode(await this.removeMember(decodeMemberId(body)));
      case 'transferLeadership':
        await this.transferLeadership(decodeTransfer(body));
        return encode(null);
      default:
        throw new PeerError('RAFT_UNKNOWN_METHOD', `this member does not know the method ${method}`);
    }
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
    return isActive && core.configuration.voters.has(id);
  });
  return candidates.sort(([, a], [, b]) => b.matchIndex - a.matchIndex)[0]?.[0];
}

/** Turns what came back over the wire into the errors that `node.ts` promises. */
function meaningOf(error: unknown): unknown {
  if (error instanceof PeerUnreachableError) {
    if (error.isUnsent) return new NotLeaderError('the leader cannot be reached', { cause: error });
    return new OutcomeUnknownError('the connection to the leader broke', { cause: error });
  }
  if (!(error instanceof PeerError)) return error;
  switch (error.code) {
    case 'RAFT_NOT_LEADER':
      return new NotLeaderError(error.message);
    case 'RAFT_OVERLOADED':
      return new OverloadedError(error.message);
    case 'RAFT_MEMBERSHIP_REFUSED':
      return new MembershipRefusedError(error.message);
    case 'RAFT_TRANSFER_FAILED':
      return new TransferFailedError(error.message);
    default:
      return new OutcomeUnknownError(error.message, { cause: error });
  }
}
