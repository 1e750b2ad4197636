/**
 * Linearizable reads (ReadIndex, thesis 6.4). All reads of one turn share one attempt, on the leader with its quorum, on
 * a follower with one request to the leader. A read joins only attempts that begin after it: an older attempt could be
 * confirmed with an index from before the read. Failed attempts are simply made anew, because reading changes nothing.
 */
import type { RaftCore } from '../core/raft.ts';
import type { ReadState } from '../core/ready.ts';
import type { MemberId } from '../core/types.ts';
import { decodeIndex, encode } from './codec.ts';
import type { DriverLimits } from './limits.ts';
import { NotLeaderError, OverloadedError } from './node.ts';
import type { RaftObserver } from './observer.ts';
import { Waiter } from './waiters.ts';

interface Read {
  readonly waiter: Waiter<number>;
  /** Asked for by another member: answered with the index at once, since it is applied over there. */
  readonly isRemote: boolean;
}

export class Reads {
  readonly #core: RaftCore;
  readonly #forward: (leader: MemberId, body: Uint8Array) => Promise<Uint8Array>;
  readonly #wake: () => void;
  readonly #now: () => number;
  readonly #observer: RaftObserver | undefined;
  readonly #limits: DriverLimits;
  #waiting: Read[] = [];
  /** Attempts of the own core, by context; with the term they hold in. */
  readonly #attempts = new Map<number, { readonly term: number; readonly reads: Read[]; readonly sinceMs: number }>();
  readonly #forwarded = new Set<Read[]>();
  /** Confirmed, waiting for the state machine. */
  #confirmed: { readonly index: number; readonly reads: Read[] }[] = [];
  #isHeld = false;

  constructor(
    core: RaftCore,
    hooks: {
      readonly forward: (leader: MemberId, body: Uint8Array) => Promise<Uint8Array>;
      readonly wake: () => void;
      readonly now: () => number;
      readonly limits: DriverLimits;
      readonly observer?: RaftObserver;
    },
  ) {
    this.#core = core;
    this.#forward = hooks.forward;
    this.#wake = hooks.wake;
    this.#now = hooks.now;
    this.#observer = hooks.observer;
    this.#limits = hooks.limits;
  }

  add(deadlineMs: number, options: { readonly isRemote: boolean }): Promise<number> {
    const waiter = new Waiter<number>(deadlineMs);
    if (this.#waiting.length >= this.#limits.waitingMax) {
      waiter.reject(new OverloadedError('too many reads wait on this member'));
    } else if (options.isRemote && this.#core.status().role !== 'leader') {
      waiter.reject(new NotLeaderError('this member does not lead'));
    } else this.#waiting.push({ waiter, isRemote: options.isRemote });
    return waiter.promise;
  }

  tick(): void {
    this.#isHeld = false;
  }

  flush(): void {
    this.#retryLostAttempts();
    if (this.#waiting.length === 0 || this.#isHeld) return;
    if (this.#attempts.size + this.#forwarded.size >= this.#limits.readAttemptsMax) return;
    const { role, leader, term } = this.#core.status();
    if (role === 'leader') {
      const context = this.#core.readIndex();
      // Not certain yet what is committed: the next pump tries again.
      if (context === undefined) return;
      this.#attempts.set(context, { term, reads: this.#take(), sinceMs: this.#now() });
    } else {
      this.#rejectRemote();
      if (leader !== undefined && this.#waiting.length > 0) this.#forwardReads(leader);
    }
  }

  /** The core's quorum answered. */
  confirmed(state: ReadState): void {
    const attempt = this.#attempts.get(state.context);
    this.#attempts.delete(state.context);
    if (attempt === undefined) return;
    this.#observer?.readIndexed?.(this.#now() - attempt.sinceMs);
    this.#noteConfirmed(state.index, attempt.reads);
  }

  appliedTo(index: number): void {
    if (this.#confirmed.length === 0) return;
    const done = this.#confirmed.filter(item => item.index <= index);
    if (done.length === 0) return;
    this.#confirmed = this.#confirmed.filter(item => item.index > index);
    for (const { reads } of done) for (const read of reads) read.waiter.resolve(index);
  }

  sweep(nowMs: number): void {
    const isOpen = (read: Read): boolean => {
      if (nowMs < read.waiter.deadlineMs) return true;
      this.#observer?.readsFailed?.(1);
      read.waiter.reject(new NotLeaderError('no leader confirmed the read in time'));
      return false;
    };
    this.#waiting = this.#waiting.filter(isOpen);
    for (const { reads } of [...this.#attempts.values(), ...this.#confirmed]) keepOpen(reads, isOpen);
    for (const reads of this.#forwarded) keepOpen(reads, isOpen);
  }

  close(): void {
    this.sweep(Number.POSITIVE_INFINITY);
  }

  #take(): Read[] {
    const reads = this.#waiting;
    this.#waiting = [];
    return reads;
  }

  #noteConfirmed(index: number, reads: readonly Read[]): void {
    for (const read of reads) if (read.isRemote) read.waiter.resolve(index);
    const local = reads.filter(read => !read.isRemote);
    if (local.length === 0) return;
    this.#confirmed.push({ index, reads: local });
    this.appliedTo(this.#core.status().appliedIndex);
  }

  #retryLostAttempts(): void {
    const { role, term } = this.#core.status();
    for (const [context, attempt] of this.#attempts) {
      if (role === 'leader' && attempt.term === term) continue;
      this.#attempts.delete(context);
      this.#waiting.unshift(...attempt.reads);
    }
  }

  #rejectRemote(): void {
    this.#waiting = this.#waiting.filter(read => {
      if (read.isRemote) read.waiter.reject(new NotLeaderError('this member no longer leads'));
      return !read.isRemote;
    });
  }

  #forwardReads(leader: MemberId): void {
    const reads = this.#take();
    const sinceMs = this.#now();
    this.#forwarded.add(reads);
    this.#forward(leader, encode(null))
      .then(decodeIndex)
      .then(
        index => {
          this.#forwarded.delete(reads);
          this.#observer?.readIndexed?.(this.#now() - sinceMs);
          this.#noteConfirmed(index, reads);
          this.#wake();
        },
        () => {
          this.#forwarded.delete(reads);
          this.#waiting.unshift(...reads);
          this.#isHeld = true;
        },
      );
  }
}

function keepOpen(reads: Read[], isOpen: (read: Read) => boolean): void {
  const open = reads.filter(isOpen);
  reads.splice(0, reads.length, ...open);
}
