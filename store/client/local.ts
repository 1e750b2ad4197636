/**
 * The client in the member's own process. Writes are proposed (a follower's Raft forwards them); a linearizable read waits
 * for a read barrier, shared with all reads of the same turn, and then reads this member's own state; a serializable read
 * and one at a revision that is already here do not wait at all.
 */
import {
  NotLeaderError,
  OutcomeUnknownError,
  OverloadedError,
  ProposalDroppedError,
  type RaftNode,
} from '../../raft/index.ts';
import type { Clock } from '../clock.ts';
import { encodeCommand } from '../codec/command.ts';
import { CLIENT_TIMEOUT_MS, UNWRITTEN_BYTES_MAX } from '../limits.ts';
import type { ApplyResult, Command, CommandValue } from '../mvcc/command.ts';
import { commandProblem, rangeProblem } from '../mvcc/validate.ts';
import type { Replica } from '../replica.ts';
import { CommandClient } from './base.ts';
import {
  InvalidRequestError,
  type RangeRequest,
  type RangeResult,
  type StoreStatus,
  UnavailableError,
  UnknownOutcomeError,
  type WatchBatch,
  type WatchRequest,
} from './client.ts';
import { refusalError } from './errors.ts';
import { retry } from './retry.ts';

export interface LocalClientOptions {
  readonly raft: RaftNode<ApplyResult>;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly random: () => number;
  /** How long a call tries to get an answer. */
  readonly timeoutMs?: number;
}

export class LocalClient extends CommandClient {
  readonly #raft: RaftNode<ApplyResult>;
  readonly #replica: Replica;
  readonly #retryOptions: Parameters<typeof retry>[1];
  /** The barrier that reads of this turn share. */
  #barrier: Promise<unknown> | undefined;
  #isClosed = false;

  constructor(options: LocalClientOptions) {
    super();
    this.#raft = options.raft;
    this.#replica = options.replica;
    const { clock, random, timeoutMs = CLIENT_TIMEOUT_MS } = options;
    this.#retryOptions = { clock, random, timeoutMs, isSafe: error => error instanceof UnavailableError };
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

/** Certainly not done is told apart from not known. */
function writeError(error: unknown): unknown {
  if (error instanceof OutcomeUnknownError) {
    return new UnknownOutcomeError(`the write may or may not have happened: ${error.message}`, { cause: error });
  }
  return isCertainlyNotDone(error) ? unavailable(error) : error;
}

/** Reading twice does no harm, so a lost answer is only an answer not there yet. */
function readError(error: unknown): unknown {
  return error instanceof OutcomeUnknownError || isCertainlyNotDone(error) ? unavailable(error) : error;
}

function isCertainlyNotDone(error: unknown): error is Error {
  return error instanceof NotLeaderError || error instanceof ProposalDroppedError || error instanceof OverloadedError;
}

function unavailable(cause: Error): UnavailableError {
  return new UnavailableError(`the store cannot answer now: ${cause.message}`, { cause });
}
