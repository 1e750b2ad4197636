/**
 * Proposals of this member, from the call to the result. Those of one turn go to the core, or to the leader, together.
 * What may be said of a proposal that failed depends on how far it got; see the errors in `node.ts`.
 */
import type { RaftCore } from '../core/raft.ts';
import type { Entry, MemberId } from '../core/types.ts';
import { PeerUnreachableError } from '../transport/transport.ts';
import { decodeProposals, decodeProposeAnswers, encode, type ProposeAnswer } from './codec.ts';
import type { DriverLimits } from './limits.ts';
import { NotLeaderError, OutcomeUnknownError, OverloadedError, ProposalDroppedError } from './node.ts';
import type { RaftObserver } from './observer.ts';
import { Waiter } from './waiters.ts';

interface Queued<Result> {
  readonly data: Uint8Array;
  readonly waiter: Waiter<Result>;
}
interface Placed<Result> {
  readonly term: number;
  readonly waiter: Waiter<Result>;
}

/** How a batch gets to the leader. */
export type ForwardRequest = (leader: MemberId, body: Uint8Array) => Promise<Uint8Array>;

export class Proposals<Result> {
  readonly #core: RaftCore;
  readonly #forward: ForwardRequest;
  readonly #wake: () => void;
  readonly #observer: RaftObserver | undefined;
  readonly #limits: DriverLimits;
  /** Not accepted by anyone yet. */
  #queued: Queued<Result>[] = [];
  #queuedBytes = 0;
  /** On their way to the leader. */
  readonly #forwarded = new Set<Queued<Result>>();
  /** In a leader's log, by index. Two of different terms can wait for one index: which of them is committed decides. */
  readonly #placed = new Map<number, Placed<Result>[]>();
  #placedCount = 0;
  /** What was applied while a forwarded batch had no answer yet. */
  readonly #recent = new Map<number, { readonly term: number; readonly result: Result | undefined }>();
  #batchesUnderWay = 0;
  /** The leader is changing: the rest waits for the next tick. */
  #isHeld = false;

  constructor(
    core: RaftCore,
    hooks: {
      readonly forward: ForwardRequest;
      readonly wake: () => void;
      readonly limits: DriverLimits;
      readonly observer?: RaftObserver;
    },
  ) {
    this.#core = core;
    this.#forward = hooks.forward;
    this.#wake = hooks.wake;
    this.#observer = hooks.observer;
    this.#limits = hooks.limits;
  }

  get waiting(): number {
    return this.#queued.length + this.#forwarded.size + this.#placedCount;
  }

  /** @throws {OverloadedError} where too many wait already. */
  add(data: Uint8Array, deadlineMs: number): Promise<Result> {
    const waiter = new Waiter<Result>(deadlineMs);
    if (
      this.waiting >= this.#limits.waitingMax ||
      (this.#queuedBytes > 0 && this.#queuedBytes + data.length > this.#limits.queuedBytesMax)
    ) {
      this.#reject(waiter, new OverloadedError('too many proposals wait on this member'));
      return waiter.promise;
    }
    this.#enqueue({ data, waiter });
    return waiter.promise;
  }

  /** Waits for an entry that the caller put into the log itself, such as a membership. */
  place(index: number, term: number, waiter: Waiter<Result>): void {
    const others = this.#placed.get(index);
    if (others === undefined) this.#placed.set(index, [{ term, waiter }]);
    else others.push({ term, waiter });
    this.#placedCount++;
  }

  tick(): void {
    this.#isHeld = false;
  }

  /** Hands on what waits: to the own core if it leads, else to the leader, else not yet. */
  flush(): void {
    if (this.#queued.length === 0 || this.#isHeld) return;
    const { role, leader } = this.#core.status();
    if (role === 'leader') this.#proposeQueued();
    else if (leader !== undefined) while (this.#queued.length > 0) this.#forwardBatch(leader);
  }

  /** Proposes what another member forwarded. */
  acceptForwarded(body: Uint8Array): Uint8Array {
    const answers = decodeProposals(body).map((data): ProposeAnswer => {
      const result = this.#core.propose(data);
      if (result.accepted) return [result.index, result.term];
      return [result.reason === 'overloaded' ? 'overloaded' : 'notLeader'];
    });
    return encode(answers);
  }

  /** A committed entry was applied; `result` is undefined for what is no command. */
  applied(entry: Entry, result: Result | undefined): void {
    if (this.#batchesUnderWay > 0 && this.#recent.size < this.#limits.recentResultsMax) {
      this.#recent.set(entry.index, { term: entry.term, result });
    }
    for (const placed of this.#unplace(entry.index)) {
      this.#settle(placed.waiter, { isSame: placed.term === entry.term, result });
    }
  }

  /** A snapshot replaced the state: what happened to entries below it cannot be told. */
  skippedTo(index: number): void {
    for (const at of [...this.#placed.keys()].filter(candidate => candidate <= index)) {
      for (const placed of this.#unplace(at)) {
        this.#reject(
          placed.waiter,
          new OutcomeUnknownError('a snapshot covered the command before its result was known here'),
        );
      }
    }
  }

  sweep(nowMs: number): void {
    const isLate = (waiter: Waiter<Result>) => nowMs >= waiter.deadlineMs;
    this.#dropQueued(
      item => isLate(item.waiter),
      () => new NotLeaderError('no leader was found in time'),
    );
    const unknown = () => new OutcomeUnknownError('no answer came in time; the command may still be committed');
    for (const item of this.#forwarded) {
      if (!isLate(item.waiter)) continue;
      this.#forwarded.delete(item);
      this.#reject(item.waiter, unknown());
    }
    for (const [index, all] of this.#placed) {
      if (!all.some(placed => isLate(placed.waiter))) continue;
      for (const placed of this.#unplace(index)) {
        if (isLate(placed.waiter)) this.#reject(placed.waiter, unknown());
        else this.place(index, placed.term, placed.waiter);
      }
    }
  }

  /** The member stops. */
  close(): void {
    this.sweep(Number.POSITIVE_INFINITY);
  }

  #enqueue(item: Queued<Result>): void {
    this.#queued.push(item);
    this.#queuedBytes += item.data.length;
  }

  #unplace(index: number): readonly Placed<Result>[] {
    const all = this.#placed.get(index);
    if (all === undefined) return [];
    this.#placed.delete(index);
    this.#placedCount -= all.length;
    return all;
  }

  #take(count: number): Queued<Result>[] {
    const taken = this.#queued.splice(0, count);
    for (const item of taken) this.#queuedBytes -= item.data.length;
    return taken;
  }

  #requeue(items: readonly Queued<Result>[]): void {
    this.#queued.unshift(...items);
    for (const item of items) this.#queuedBytes += item.data.length;
    this.#isHeld = true;
  }

  #dropQueued(isDropped: (item: Queued<Result>) => boolean, makeError: () => Error): void {
    if (!this.#queued.some(isDropped)) return;
    const all = this.#take(this.#queued.length);
    for (const item of all) {
      if (isDropped(item)) this.#reject(item.waiter, makeError());
      else this.#enqueue(item);
    }
  }

  #proposeQueued(): void {
    const items = this.#take(this.#queued.length);
    for (const [position, item] of items.entries()) {
      const result = this.#core.propose(item.data);
      if (result.accepted) this.place(result.index, result.term, item.waiter);
      else if (result.reason === 'overloaded')
        this.#reject(item.waiter, new OverloadedError('the leader has too much to commit'));
      else {
        // Leadership is being handed over; the next leader gets the rest.
        this.#requeue(items.slice(position));
        return;
      }
    }
  }

  #forwardBatch(leader: MemberId): void {
    let count = 0;
    let bytes = 0;
    for (const item of this.#queued) {
      bytes += item.data.length;
      if (count > 0 && (bytes > this.#limits.forwardBytesMax || count >= this.#limits.forwardEntriesMax)) break;
      count++;
    }
    const batch = this.#take(count);
    for (const item of batch) this.#forwarded.add(item);
    this.#batchesUnderWay++;
    const finish = (then: () => void): void => {
      this.#batchesUnderWay--;
      then();
      if (this.#batchesUnderWay === 0) this.#recent.clear();
      this.#wake();
    };
    this.#forward(leader, encode(batch.map(item => item.data)))
      .then(decodeProposeAnswers)
      .then(
        answers => finish(() => this.#noteAnswers(batch, answers)),
        error => finish(() => this.#noteForwardFailed(batch, error)),
      );
  }

  #noteAnswers(batch: readonly Queued<Result>[], answers: readonly ProposeAnswer[]): void {
    const again: Queued<Result>[] = [];
    for (const [position, item] of batch.entries()) {
      if (!this.#forwarded.delete(item)) continue;
      const answer = answers[position];
      if (answer === undefined)
        this.#reject(item.waiter, new OutcomeUnknownError('the leader answered for too few commands'));
      else if (answer[0] === 'notLeader') again.push(item);
      else if (answer[0] === 'overloaded')
        this.#reject(item.waiter, new OverloadedError('the leader has too much to commit'));
      else this.#placeForwarded(item.waiter, answer[0], answer[1] ?? 0);
    }
    if (again.length > 0) this.#requeue(again);
  }

  #placeForwarded(waiter: Waiter<Result>, index: number, term: number): void {
    if (index > this.#core.status().appliedIndex) {
      this.place(index, term, waiter);
      return;
    }
    const recent = this.#recent.get(index);
    if (recent === undefined)
      this.#reject(waiter, new OutcomeUnknownError('the result was gone before the answer came'));
    else this.#settle(waiter, { isSame: recent.term === term, result: recent.result });
  }

  #noteForwardFailed(batch: readonly Queued<Result>[], error: unknown): void {
    const open = batch.filter(item => this.#forwarded.delete(item));
    if (error instanceof PeerUnreachableError && error.isUnsent) {
      this.#requeue(open);
      return;
    }
    for (const item of open) {
      this.#reject(item.waiter, new OutcomeUnknownError('the connection to the leader broke', { cause: error }));
    }
  }

  #reject(waiter: Waiter<Result>, error: Error): void {
    this.#observer?.proposalsFailed?.(1);
    waiter.reject(error);
  }

  /** Another entry committed at the same index means that this one never will be: certain (thesis 3.6.3). */
  #settle(waiter: Waiter<Result>, outcome: { readonly isSame: boolean; readonly result: Result | undefined }): void {
    // The state machine gave a result for each command; other kinds have none, and their callers look at none.
    if (outcome.isSame) waiter.resolve(outcome.result as Result);
    else this.#reject(waiter, new ProposalDroppedError('another leader committed something else in its place'));
  }
}
