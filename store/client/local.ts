/**
 * The client in the member's own process. Writes are proposed (a follower's Raft forwards them); a linearizable read waits
 * for a read barrier, shared with all reads of the same turn, and then reads this member's own state; a serializable read
 * and one at a revision that is already here do not wait at all.
 */
import type { RaftNode } from '../../raft/index.ts';
import { type Clock, systemWallClock } from '../clock.ts';
import { encodeCommand } from '../codec/command.ts';
import { CLIENT_TIMEOUT_MS, UNWRITTEN_BYTES_MAX } from '../limits.ts';
import type { ApplyResult, Command, CommandValue } from '../mvcc/command.ts';
import { commandProblem, rangeProblem } from '../mvcc/validate.ts';
import type { Replica } from '../replica.ts';
import { encodeSnapshot } from '../snapshot/format.ts';
import { CommandClient } from './base.ts';
import {
  InvalidRequestError,
  type MembershipClient,
  type RangeRequest,
  type RangeResult,
  type StoreStatus,
  UnavailableError,
  type WatchBatch,
  type WatchRequest,
} from './client.ts';
import { refusalError } from './errors.ts';
import { LocalMembers } from './local-members.ts';
import { readError, writeError } from './raft-errors.ts';
import { retry } from './retry.ts';

export interface LocalClientOptions {
  readonly raft: RaftNode<ApplyResult>;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly random: () => number;
  /** How long a call tries to get an answer. */
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
  readonly #retryOptions: Parameters<typeof retry>[1];
  /** The barrier that reads of this turn share. */
  #barrier: Promise<unknown> | undefined;
  #isClosed = false;
  protected override readonly membership: MembershipClient;

  constructor(options: LocalClientOptions) {
    super();
    this.#options = options;
    this.#raft = options.raft;
    this.#replica = options.replica;
    const { clock, random, timeoutMs = CLIENT_TIMEOUT_MS } = options;
    this.#retryOptions = { clock, random, timeoutMs, isSafe: error => error instanceof UnavailableError };
    this.membership = new LocalMembers(options.raft, () => this.#passBarrier());
  }

  async range(request: RangeRequest): Promise<RangeResult> {
    this.#refuseIfClosed();
    const problem = rangeProblem(request);
    if (problem !== undefined) throw new InvalidRequestError(problem);
    const { revision = 0 } = request;
    const isHere = revision > 0 && revision <= this.#replica.state.revision;
    if (request.serializable !== true && !isHere) await this.#passBarrier();
    const outcome = this.#replica.state.range(request);
    if (!outcome.ok) throw refusalError(outcome.refusal);
    return outcome.value;
  }

  watch(request: WatchRequest): AsyncIterable<WatchBatch> {
    this.#refuseIfClosed();
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
    this.#refuseIfClosed();
    await this.#passBarrier();
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

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  override async execute(command: Command): Promise<CommandValue> {
    this.#refuseIfClosed();
    const problem = commandProblem(command);
    if (problem !== undefined) throw new InvalidRequestError(problem);
    const result = isReadOnly(command) ? await this.#readTransaction(command) : await this.#propose(command);
    if (!result.ok) throw refusalError(result.refusal);
    return result.value;
  }

  async #propose(command: Command): Promise<ApplyResult> {
    const data = encodeCommand(command);
    return retry(async timeoutMs => {
      if (this.#replica.unwrittenBytes > UNWRITTEN_BYTES_MAX) {
        throw new UnavailableError('the disk of this member is too far behind; try again later');
      }
      try {
        return await this.#raft.propose(data, { timeoutMs });
      } catch (error) {
        throw writeError(error);
      }
    }, this.#retryOptions);
  }

  /** A transaction that only reads changes nothing, so the log need not know of it. */
  async #readTransaction(command: Command): Promise<ApplyResult> {
    await this.#passBarrier();
    return this.#replica.state.apply(command, { term: this.#raft.status().term }).result;
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

  #refuseIfClosed(): void {
    if (this.#isClosed) throw new UnavailableError('the store is closed');
  }
}

function isReadOnly(command: Command): boolean {
  if (command.type !== 'transaction' || command.transaction.fenceTerm !== undefined) return false;
  const { then, otherwise = [] } = command.transaction;
  return then.every(({ type }) => type === 'range') && otherwise.every(({ type }) => type === 'range');
}

/** Lets everything else have its turn. */
function pause(clock: Clock): Promise<void> {
  return new Promise(resolve => clock.setTimeout(resolve, 0));
}
