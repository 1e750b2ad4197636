/**
 * One running member: what `raft/` offers to the store. Puts core, storage, transport and state machine together, starts
 * and stops them, and answers for the group wherever the leader is. The loop itself is in `loop.ts`.
 */
import assert from 'node:assert';
import { RaftCore } from '../core/raft.ts';
import type { MemberId, Membership } from '../core/types.ts';
import { LogCorruptError, type MemberIdentity, type RaftStorage, type RecoveredState } from '../storage/storage.ts';
import { PeerError, type Transport } from '../transport/transport.ts';
import { Administration } from './administration.ts';
import type { Clock } from './clock.ts';
import { decodeHeard, encode, membershipCodec } from './codec.ts';
import type { CrashPointHook } from './crash-points.ts';
import { LeadershipAnnouncer } from './leadership.ts';
import { type Logger, silentLogger } from './logger.ts';
import { RaftLoop } from './loop.ts';
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
} from './node.ts';
import type { RaftObserver } from './observer.ts';
import { type RaftOptions, type ResolvedRaftOptions, resolveOptions } from './options.ts';
import { PeerAddresses } from './peer-addresses.ts';
import { meaningOf } from './peer-errors.ts';
import type { StateMachine } from './state-machine.ts';
import { Waiter } from './waiters.ts';
import { checkPromises, Witness, type WitnessQuestion } from './witness.ts';

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
/** What was heard of the asking member; answered also by one that has not started yet. */
const WITNESS_METHOD = 'witness';

/** Makes a member; `start` brings it to life. Closing it closes its storage, transport and state machine too. */
export function createRaftNode<Result>(dependencies: RaftNodeDependencies<Result>): RaftDriver<Result> {
  return new RaftDriver(dependencies);
}

/** What exists once the member has started. */
interface Running<Result> {
  readonly loop: RaftLoop<Result>;
  readonly identity: MemberIdentity;
  readonly administration: Administration;
}

export class RaftDriver<Result = unknown> implements RaftNode<Result> {
  readonly #dependencies: RaftNodeDependencies<Result>;
  readonly #options: ResolvedRaftOptions;
  readonly #announcer = new LeadershipAnnouncer();
  readonly #witness: Witness;
  #running: Running<Result> | undefined;
  #hasFailed = false;
  #closing: Promise<void> | undefined;

  /** @throws {RangeError} where the options do not fit each other. */
  constructor(dependencies: RaftNodeDependencies<Result>) {
    this.#dependencies = dependencies;
    this.#options = resolveOptions(dependencies.options);
    this.#witness = new Witness(this.#options.driverLimits);
  }

  /**
   * Recovers what is on disk and takes part. Resolves before a leader is known.
   * @throws {NotInitializedError} the storage is empty and no `bootstrap` was given.
   * @throws {LogCorruptError} others know of promises that this member's disk has forgotten; see `witness.ts`.
   * @throws what storage, state machine and transport throw when they open.
   */
  async start(): Promise<void> {
    assert(this.#running === undefined, 'a member starts once');
    const { storage, stateMachine, transport } = this.#dependencies;
    const found = this.#dependencies.recovered ?? (await storage.open());
    const isNew = found.identity === undefined;
    const recovered = await this.#recover(found);
    const { appliedIndex } = await stateMachine.open();
    checkApplied(appliedIndex, recovered);
    const running = this.#assemble(recovered, appliedIndex);
    await transport.start({
      onMessage: message => {
        this.#witness.note(message);
        running.loop.step(message);
      },
      onSnapshot: incoming => void running.loop.receiveSnapshot(incoming),
      onRequest: (from, method, body) => this.#answer(from, method, body),
      onRemoved: by => running.loop.removed(by),
    });
    const { loop } = running;
    const { electionTimeoutMs, tickMs, driverLimits } = this.#options;
    loop.dial();
    const others = loop.core.configuration.membership.members.map(({ id }) => id).filter(id => id !== loop.core.id);
    // Who has promised nothing yet cannot have forgotten anything.
    const peers = isNew ? [] : others;
    const silent = await this.#checkPromises(loop, { peers, timeoutMs: electionTimeoutMs, retryMs: tickMs });
    this.#running = running;
    loop.start();
    const later = { peers: silent, timeoutMs: driverLimits.witnessPatienceMs, retryMs: electionTimeoutMs };
    this.#checkPromises(loop, later).catch((error: unknown) => loop.fail(error));
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

  async addLearner(member: NewMember, options?: MembershipOptions): Promise<Membership> {
    return this.#require().administration.changeMembership(
      { type: 'addLearner', member: plainMember(member) },
      options,
    );
  }

  async promoteMember(id: MemberId, options?: MembershipOptions): Promise<Membership> {
    return this.#require().administration.changeMembership({ type: 'promoteMember', id }, options);
  }

  async addMember(member: NewMember, options?: MembershipOptions): Promise<Membership> {
    return this.#require().administration.changeMembership({ type: 'addMember', member: plainMember(member) }, options);
  }

  async removeMember(id: MemberId, options?: MembershipOptions): Promise<Membership> {
    return this.#require().administration.changeMembership({ type: 'removeMember', id }, options);
  }

  async replaceMember(id: MemberId, by: NewMember, options?: MembershipOptions): Promise<Membership> {
    return this.#require().administration.changeMembership(
      { type: 'replaceMember', id, member: plainMember(by) },
      options,
    );
  }

  async updateMember(id: MemberId, changes: MemberChanges, options?: MembershipOptions): Promise<Membership> {
    return this.#require().administration.changeMembership({ type: 'updateMember', id, changes }, options);
  }

  async transferLeadership(to?: MemberId): Promise<void> {
    return this.#require().administration.transferLeadership(to);
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
    // Who joins was told by one member what that member has in its log, and not all of it need ever be committed: to be taken
    // for granted that somebody was removed, it has to come with the log.
    const { removed: _, ...membership } = bootstrap.membership;
    const { identity } = bootstrap;
    // Who joins knows whom it joins; an empty answer must not become a cluster of its own.
    if (!membership.members.some(member => member.role === 'voter')) {
      throw new NotInitializedError('the cluster to join names no voter: ask another of its members');
    }
    await storage.initialize(identity, membership);
    return { ...found, identity, snapshot: { index: 0, term: 0, membership } };
  }

  /** Asks others whether this member has promised what its disk does not know any more; answers who was silent. */
  #checkPromises(
    loop: RaftLoop<Result>,
    patience: Pick<WitnessQuestion, 'peers' | 'timeoutMs' | 'retryMs'>,
  ): Promise<readonly MemberId[]> {
    const { transport, clock } = this.#dependencies;
    return checkPromises({
      ...patience,
      clock,
      own: () => loop.core.status(),
      isOver: () => this.#closing !== undefined || loop.isStopped,
      ask: async (peer, timeoutMs) =>
        decodeHeard(await transport.request(peer, WITNESS_METHOD, new Uint8Array(), { timeoutMs })),
    });
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
    const administration = new Administration({
      core,
      options: this.#options,
      limits: this.#options.driverLimits,
      isStopped: () => loop.isStopped,
      askLeader: (method, body, timeoutMs) => this.#askLeader(method, body, timeoutMs),
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
    return { loop, identity, administration };
  }

  /** What other members ask of this one. What only a leader can answer, the others refuse, and the asker looks again. */
  async #answer(from: MemberId, method: string, body: Uint8Array): Promise<Uint8Array> {
    if (method === WITNESS_METHOD) return encode({ ...this.#witness.of(from) });
    const { loop, administration } = this.#require();
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
      case 'transferLeadership':
        return administration.answer(method, body);
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

/** Only what the wire and the log are to carry. */
function plainMember({ id, name, peerAddress, clientUrl }: NewMember): NewMember {
  return { id, name, peerAddress, clientUrl };
}

function unknownMethod(method: string): PeerError {
  return new PeerError('RAFT_UNKNOWN_METHOD', `this member does not know the method ${method}`);
}

/** Only what is durable in the log is applied, so a state machine that has applied more knows of entries that were lost. */
function checkApplied(appliedIndex: number, { snapshot, entries }: RecoveredState): void {
  const lastIndex = entries.at(-1)?.index ?? snapshot.index;
  if (appliedIndex <= lastIndex) return;
  throw new LogCorruptError(
    `the state holds entry ${appliedIndex}, but the Raft log ends at ${lastIndex}: it has lost its end. This member must not vote: remove its data directory and join it again as a new member`,
  );
}
