/**
 * What a member lets in before it proposes it: requests of a fair size, puts while there is room, and nothing while too much
 * is waiting. All of it depends on this member's settings and on how it is doing, so none of it may be decided in `apply`.
 */
import type { Clock } from '../clock.ts';
import type { StoreLimits } from '../limits.ts';
import type { Command } from '../mvcc/command.ts';
import type { Mvcc } from '../mvcc/mvcc.ts';
import { commandProblem } from '../mvcc/validate.ts';
import { InvalidRequestError, QuotaExceededError, UnavailableError } from './client.ts';
import { refusalError } from './errors.ts';

/** What admission looks at. */
export interface AdmissionFacts {
  readonly state: Mvcc;
  readonly appliedIndex: number;
  readonly unwrittenBytes: number;
}

export interface AdmissionOptions {
  readonly limits: StoreLimits;
  readonly clock: Clock;
  readonly facts: () => AdmissionFacts;
  readonly commitIndex: () => number;
  /** The quota is used up: the cluster should know. Called for each put that is refused because of it. */
  readonly onQuota: () => void;
}

/** Asking Raft how far it has committed costs too much for each proposal. */
const COMMIT_INDEX_KEPT_MS = 10;

export class Admission {
  readonly #options: AdmissionOptions;
  #waiting = 0;
  /** By how much the live bytes may grow through what is on its way. */
  #growingBytes = 0;
  #commitIndex = 0;
  #commitIndexUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Writes that were let in and have no outcome yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** @throws {InvalidRequestError} the command makes no sense or is too large */
  check(command: Command): void {
    const problem = commandProblem(command, this.#options.limits);
    if (problem !== undefined) throw new InvalidRequestError(problem);
  }

  /**
   * Lets a command in; the answer is called when its outcome is known. From here on it counts as waiting, also while it is
   * tried again.
   * @throws {UnavailableError} too many are waiting: try again later
   * @throws {QuotaExceededError} {NoSpaceError} there is no room
   */
  enter(command: Command): () => void {
    const { proposalsWaitingMax } = this.#options.limits;
    // Whoever has to put things right must not wait behind what went wrong.
    if (command.type !== 'alarm' && this.#waiting >= proposalsWaitingMax) {
      throw new UnavailableError(`${this.#waiting} writes wait on this member already; try again later`);
    }
    const growthBytes = this.#growth(command);
    this.#waiting++;
    this.#growingBytes += growthBytes;
    return () => {
      this.#waiting--;
      this.#growingBytes -= growthBytes;
    };
  }

  /** @throws {UnavailableError} this member is behind with its work: what was let in has to wait */
  refuseIfBehind(command: Command): void {
    if (command.type === 'alarm') return;
    const { limits, facts } = this.#options;
    const { appliedIndex, unwrittenBytes } = facts();
    if (unwrittenBytes > limits.unwrittenBytesMax) {
      throw new UnavailableError('the disk of this member is too far behind; try again later');
    }
    const lag = this.#knownCommitIndex() - appliedIndex;
    if (lag > limits.applyLagMax) {
      throw new UnavailableError(`this member still has to apply ${lag} entries; try again later`);
    }
  }

  #growth(command: Command): number {
    const { limits, facts, onQuota } = this.#options;
    const { state } = facts();
    if (command.type === 'leaseGrant') refuse(state);
    if (command.type !== 'transaction') return 0;
    // Only `apply` can know which branch runs; one that surely puts need not fill the log to hear it may not.
    if (command.transaction.then.some(({ type }) => type === 'put')) refuse(state);
    const bytes = state.growthBytes(command.transaction);
    if (bytes > 0 && state.liveBytes + this.#growingBytes + bytes > limits.quotaBytes) {
      onQuota();
      throw new QuotaExceededError(
        `the store is full: it may hold ${limits.quotaBytes} bytes; delete some keys, then it takes puts again`,
      );
    }
    return bytes;
  }

  #knownCommitIndex(): number {
    const { clock, commitIndex } = this.#options;
    const nowMs = clock.now();
    if (nowMs >= this.#commitIndexUntilMs) {
      this.#commitIndexUntilMs = nowMs + COMMIT_INDEX_KEPT_MS;
      this.#commitIndex = commitIndex();
    }
    return this.#commitIndex;
  }
}

function refuse(state: Mvcc): void {
  const outcome = state.putRefusal;
  if (outcome !== undefined) throw refusalError(outcome.refusal);
}
