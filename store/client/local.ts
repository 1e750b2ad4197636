/**
 * The client in the member's own process. Writes are proposed (a follower's Raft forwards them); a linearizable read waits
 * for a read barrier, shared with all reads of the same turn, and then reads this member's own state; a serializable read
 * and one at a revision that is already here do not wait at all.
 */
import type { RaftNode } from '../../raft/index.ts';
import { type Clock, systemWallClock } from '../clock.ts';
import { encodeCommand } from '../codec/command.ts';
import { LEASE_TIME_METHOD, LeaseTimes, leaseTimeAnswer, leaseTimeQuestion } from '../duties/lease-times.ts';
import { STORE_LIMITS, type StoreLimits } from '../limits.ts';
import type { Caller } from '../mvcc/auth.ts';
import type { ApplyResult, Command, CommandValue } from '../mvcc/command.ts';
import { rangeProblem } from '../mvcc/validate.ts';
import type { Replica } from '../replica.ts';
import { encodeSnapshot } from '../snapshot/format.ts';
import { Admission } from './admission.ts';
import { CommandClient } from './base.ts';
import {
  type Alarm,
  type Branches,
  InvalidRequestError,
  type LeaseTimeToLive,
  type MembershipClient,
  type Operation,
  type RangeRequest,
  type RangeResult,
  type StoreHash,
  type StoreStatus,
  UnavailableError,
  type WatchBatch,
  type WatchRequest,
} from './client.ts';
import { refusalError } from './errors.ts';
import { hashOf } from './hash-of.ts';
import { leaseIds, timeToLive } from './lease-times.ts';
import { LocalMembers } from './local-members.ts';
import { readError, writeError } from './raft-errors.ts';
import { retry } from './retry.ts';

export interface LocalClientOptions {
  readonly raft: RaftNode<ApplyResult>;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly random: () => number;
  readonly limits?: StoreLimits;
  /** How long a call tries to get an answer; as in `limits` by default. */
  readonly timeoutMs?: number;
  /** For the date of snapshots. */
  readonly wallClock?: () => Date;
  /** What a snapshot file holds besides the state; see `snapshot/format.ts`. */
  readonly snapshotAttachments?: () => Readonly<Record<string, string>>;
}

export class LocalClient extends CommandClient {
  readonly #raft: RaftNode<ApplyResult>;
  readonly #replica: Replica;
  readonly #options: LocalClientOptions;
  readonly #admission: Admission;
  readonly #retryOptions: Parameters<typeof retry>[1];
  /** The barrier that reads of this turn share. */
  #barrier: Promise<unknown> | undefined;
  #isRaisingQuota = false;
  #isClosed = false;
  protected override readonly membership: MembershipClient;
  /** Who knows how long leases live: the duties of this member while it leads. */
  readonly leaseTimes: LeaseTimes = new LeaseTimes();

  constructor(options: LocalClientOptions) {
    super();
    this.#options = options;
    this.#raft = options.raft;
    this.#replica = options.replica;
    const { raft, replica, clock, random, limits = STORE_LIMITS, timeoutMs = limits.clientTimeoutMs } = options;
    this.#retryOptions = { clock, random, timeoutMs, isSafe: error => error instanceof UnavailableError };
    this.membership = new LocalMembers(options.raft, () => this.#passBarrier());
    this.#admission = new Admission({
      limits,
      clock,
      facts: () => replica,
      commitIndex: () => raft.status().commitIndex,
      onQuota: () => this.#raiseQuotaAlarm(),
    });
  }

  /** Resolves once everything that was acknowledged by anybody before the call is here. */
  async barrier(): Promise<void> {
    this.#refuseIfNotServing();
    await this.#passBarrier();
    this.#refuseIfNotServing();
  }

  /** @param admit called right before the state is read, in the same turn; what it throws is what the caller gets */
  async range(request: RangeRequest, admit?: () => void): Promise<RangeResult> {
    this.#refuseIfNotServing();
    const problem = rangeProblem(request);
    if (problem !== undefined) throw new InvalidRequestError(problem);
    const { revision = 0 } = request;
    const isHere = revision > 0 && revision <= this.#replica.state.revision;
    if (request.serializable !== true && !isHere) await this.#passBarrier();
    this.#refuseIfNotServing();
    admit?.();
    const outcome = this.#replica.state.range(request);
    if (!outcome.ok) throw refusalError(outcome.refusal);
    return outcome.value;
  }

  watch(request: WatchRequest): AsyncIterable<WatchBatch> {
    this.#refuseIfNotServing();
    return this.#replica.watches.watch(request);
  }

  async status(): Promise<StoreStatus> {
    const status = this.#raft.status();
    const { revision, compactedRevision } = this.#replica.state;
    return {
      memberId: status.id,
      clusterId: status.clusterId,
      leaderId: status.leader,
      term: status.term,
      revision,
      compactedRevision,
      appliedIndex: this.#replica.appliedIndex,
      members: status.membership.members,
    };
  }

  async *saveSnapshot(): AsyncGenerator<Uint8Array> {
    await this.#passBarrier();
    this.#refuseIfNotServing();
    const { clock, wallClock = systemWallClock, snapshotAttachments } = this.#options;
    const { id, clusterId, term, membership } = this.#raft.status();
    const { state } = this.#replica;
    // In one turn, so that the header is of the very state that follows.
    const snapshot = this.#replica.snapshot();
    const header = {
      clusterId,
      memberId: id,
      memberName: membership.members.find(member => member.id === id)?.name ?? '',
      revision: state.revision,
      compactedRevision: state.compactedRevision,
      index: snapshot.index,
      term,
      takenAt: wallClock().toISOString(),
      keys: state.liveCount,
      liveBytes: state.liveBytes,
      ...(snapshotAttachments !== undefined && { attachments: { ...snapshotAttachments() } }),
    };
    try {
      yield* encodeSnapshot(header, snapshot.chunks, () => pause(clock));
    } finally {
      snapshot.release();
    }
  }

  async alarms(): Promise<readonly Alarm[]> {
    this.#refuseIfClosed();
    await this.#passBarrier();
    return this.#replica.state.alarms;
  }

  async hash(revision = 0): Promise<StoreHash> {
    this.#refuseIfClosed();
    return hashOf(this.#replica, revision);
  }

  async leaseTimeToLive(id: number): Promise<LeaseTimeToLive | undefined> {
    await this.#passBarrier();
    this.#refuseIfNotServing();
    if (this.#replica.state.lease(id) === undefined) return undefined;
    const remainingMs = this.leaseTimes.remainingMs(id) ?? (await this.#askLeaseTime(id));
    const { state } = this.#replica;
    const lease = state.lease(id);
    // It may have ended while the leader was asked.
    if (lease === undefined || remainingMs === undefined) return undefined;
    return timeToLive({ lease, keys: state.leaseKeys(id), remainingMs });
  }

  async leases(): Promise<readonly number[]> {
    await this.#passBarrier();
    this.#refuseIfNotServing();
    return leaseIds(this.#replica.state.leases);
  }

  #askLeaseTime(id: number): Promise<number | undefined> {
    return retry(async timeoutMs => {
      try {
        return leaseTimeAnswer(
          await this.#raft.request('leader', LEASE_TIME_METHOD, leaseTimeQuestion(id), { timeoutMs }),
        );
      } catch (error) {
        throw readError(error);
      }
    }, this.#retryOptions);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  /** @param by on whose behalf; then it is refused if users or permissions have changed meanwhile */
  override async execute(command: Command, by?: Caller): Promise<CommandValue> {
    this.#refuseIfClosed();
    // A member that serves nothing can still have alarms raised and taken back.
    if (command.type !== 'alarm') this.#refuseIfNotServing();
    this.#admission.check(command);
    const result = isReadOnly(command) ? await this.#readTransaction(command, by) : await this.#propose(command, by);
    if (!result.ok) throw refusalError(result.refusal);
    return result.value;
  }

  async #propose(command: Command, by: Caller | undefined): Promise<ApplyResult> {
    const leave = this.#admission.enter(command);
    try {
      const data = encodeCommand(command, by);
      return await retry(async timeoutMs => {
        this.#admission.refuseIfBehind(command);
        try {
          return await this.#raft.propose(data, { timeoutMs });
        } catch (error) {
          throw writeError(error);
        }
      }, this.#retryOptions);
    } finally {
      leave();
    }
  }

  /** A transaction that only reads changes nothing, so the log need not know of it. */
  async #readTransaction(command: Command, by: Caller | undefined): Promise<ApplyResult> {
    await this.#passBarrier();
    this.#refuseIfNotServing();
    return this.#replica.state.apply(command, { term: this.#raft.status().term, by }).result;
  }

  #passBarrier(): Promise<unknown> {
    if (this.#barrier === undefined) {
      this.#barrier = retry(async timeoutMs => {
        try {
          return await this.#raft.readBarrier({ timeoutMs });
        } catch (error) {
          throw readError(error);
        }
      }, this.#retryOptions);
      // The barrier is asked for by now but begins only after this turn; a later read needs a later barrier.
      queueMicrotask(() => {
        this.#barrier = undefined;
      });
    }
    return this.#barrier;
  }

  /** The cluster is told once; until it has applied that, more puts may find the quota used up. */
  #raiseQuotaAlarm(): void {
    if (this.#isRaisingQuota || this.#replica.state.putRefusal !== undefined) return;
    this.#isRaisingQuota = true;
    const done = () => {
      this.#isRaisingQuota = false;
    };
    const alarm: Alarm = { type: 'NOSPACE', memberId: this.#raft.status().id, cause: 'quota' };
    // If it fails, the next put that is refused tries again.
    this.execute({ type: 'alarm', action: 'raise', alarm }).then(done, done);
  }

  #refuseIfNotServing(): void {
    this.#refuseIfClosed();
    const problem = this.#replica.servingProblem;
    if (problem !== undefined) throw new UnavailableError(problem);
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw new UnavailableError('the store is closed');
  }
}

function isReadOnly(command: Command): boolean {
  if (command.type !== 'transaction' || command.transaction.fenceTerm !== undefined) return false;
  return onlyReads(command.transaction);
}

function onlyReads({ then, otherwise = [] }: Branches): boolean {
  const reads = (operation: Operation) =>
    operation.type === 'range' || (operation.type === 'transaction' && onlyReads(operation));
  return then.every(reads) && otherwise.every(reads);
}

/** Lets everything else have its turn. */
function pause(clock: Clock): Promise<void> {
  return new Promise(resolve => clock.setTimeout(resolve, 0));
}
