/**
 * One watch. It is in one of three states: *following*, when it has seen everything and the hub's index tells it what comes;
 * *behind*, a cursor into the log of revisions that takes what it wants when its reader wants it, holds no memory and costs
 * nobody anything; or *early*, asked to begin at a revision that is not there yet. A follower whose reader is not there when
 * something comes falls behind; who has read all of the log follows.
 */
import {
  CompactedError,
  InvalidRequestError,
  type WatchBatch,
  type WatchEvent,
  WatchLostError,
  type WatchRequest,
} from '../client/client.ts';
import type { Clock } from '../clock.ts';
import { type StoreLimits, WATCH_PROGRESS_MS_MIN } from '../limits.ts';
import { sortName, sortRange } from '../mvcc/keys.ts';
import { targetHolds, type WatchGroup, type WatchTarget } from './watch-index.ts';

/** Where events are read from; the replicated state satisfies it. */
export interface RevisionSource {
  readonly revision: number;
  readonly compactedRevision: number;
  /** The changes of one revision in order; each event is made when it is asked for. None if it is not there. */
  visitEvents(revision: number, visit: (key: string, event: () => WatchEvent) => void): void;
}

/** How many watches there may be, and how much one does at once. */
export type WatchLimits = Pick<StoreLimits, 'watchesMax' | 'watchBatchEventsMax' | 'watchScanRevisionsMax'>;

/** What a watcher needs of its hub. */
export interface WatchHost {
  readonly clock: Clock;
  readonly limits: WatchLimits;
  readonly source: RevisionSource;
  /** Has the index tell the watcher what comes. */
  follow(watcher: Watcher, target: WatchTarget): WatchGroup<Watcher>;
  unfollow(watcher: Watcher, group: WatchGroup<Watcher>): void;
  handedOver(events: number): void;
  ended(watcher: Watcher, wasLost: boolean): void;
}

/** A watch as its reader sees it. */
export interface Watching extends AsyncIterableIterator<WatchBatch> {
  /** True while the reader waits and has been given everything up to the present revision. */
  readonly isIdle: boolean;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<WatchBatch>) => void;
  readonly reject: (error: Error) => void;
}

export class Watcher implements Watching {
  readonly #host: WatchHost;
  readonly #target: WatchTarget;
  readonly #signal: AbortSignal;
  readonly #startRevision: number;
  readonly #progressMs: number | undefined;
  /** The next revision to look at; means nothing while it follows. */
  #cursor: number;
  /** Set while it follows. */
  #group: WatchGroup<Watcher> | undefined;
  /** True once something was read: losing the place is then a loss, not a bad start. */
  #hasBegun = false;
  #waiter: Waiter | undefined;
  #cancelProgress: (() => void) | undefined;
  #error: Error | undefined;
  #hasEnded = false;

  constructor(host: WatchHost, request: WatchRequest) {
    const { key, end, startRevision = 0, progressMs, signal } = request;
    this.#host = host;
    this.#target = end === undefined ? { key: sortName(key) } : sortRange(key, end);
    this.#signal = signal;
    this.#startRevision = startRevision;
    this.#progressMs = progressMs === undefined ? undefined : Math.max(progressMs, WATCH_PROGRESS_MS_MIN);
    this.#cursor = startRevision || host.source.revision + 1;
    this.#hasBegun = startRevision === 0;
    this.#hasEnded = signal.aborted;
    if (this.#hasEnded) return;
    signal.addEventListener('abort', this, { once: true });
    this.#maybeFollow();
  }

  /** The revision that it waits for, if that is not the next one. */
  get earlyFor(): number | undefined {
    return this.#cursor > this.#host.source.revision + 1 ? this.#cursor : undefined;
  }

  /** Whether what is there for it has not been taken. */
  get isBehind(): boolean {
    return this.#group === undefined && this.#cursor <= this.#host.source.revision;
  }

  get isIdle(): boolean {
    return this.#waiter !== undefined && !this.isBehind;
  }

  /** The signal was aborted. */
  handleEvent(): void {
    this.#end();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<WatchBatch>> {
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#hasEnded) return Promise.resolve({ done: true, value: undefined });
    if (this.#waiter !== undefined) return Promise.reject(new InvalidRequestError('a watch is read by one reader'));
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      if (this.#group === undefined) this.catchUp();
      if (this.#waiter !== undefined) this.#armProgress();
    });
  }

  return(): Promise<IteratorResult<WatchBatch>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Something came for a follower. Events that end before the publication does leave it behind. */
  deliver(batch: WatchBatch, nextRevision: number | undefined): void {
    if (nextRevision !== undefined) this.#fallBehind(nextRevision);
    this.#hand(batch);
  }

  /** What came for a follower begins at `revision`. False if nobody is there to read it; then it falls behind. */
  isReady(revision: number): boolean {
    if (this.#waiter !== undefined) return true;
    this.#fallBehind(revision);
    return false;
  }

  /** A follower goes back to reading the log, at `revision`. */
  setBack(revision: number): void {
    if (this.#group === undefined) return;
    this.#fallBehind(revision);
    this.catchUp();
  }

  /** Reads on in the log for a reader who waits. */
  catchUp(): void {
    if (this.#waiter === undefined || this.#group !== undefined) return;
    const { source, limits, clock } = this.#host;
    if (this.#cursor < source.compactedRevision) {
      this.fail(this.#hasBegun ? lost(source.compactedRevision) : new CompactedError(source.compactedRevision));
      return;
    }
    this.#hasBegun = true;
    const events: WatchEvent[] = [];
    const stop = Math.min(source.revision + 1, this.#cursor + limits.watchScanRevisionsMax);
    while (this.#cursor < stop && events.length < limits.watchBatchEventsMax) {
      source.visitEvents(this.#cursor, (key, event) => {
        if (targetHolds(this.#target, sortName(key))) events.push(event());
      });
      this.#cursor++;
    }
    const revision = this.#cursor - 1;
    this.#maybeFollow();
    if (events.length > 0) this.#hand({ revision, events });
    // The rest of a long quiet past is read after others had their turn.
    else if (this.isBehind) clock.setTimeout(() => this.catchUp(), 0);
  }

  /** Ends with an error. */
  fail(error: Error): void {
    const waiter = this.#takeWaiter();
    this.#end(error instanceof WatchLostError);
    if (waiter === undefined) this.#error = error;
    else waiter.reject(error);
  }

  #maybeFollow(): void {
    if (this.#cursor === this.#host.source.revision + 1) this.#group = this.#host.follow(this, this.#target);
  }

  #fallBehind(cursor: number): void {
    if (this.#group === undefined) return;
    this.#host.unfollow(this, this.#group);
    this.#group = undefined;
    this.#cursor = cursor;
  }

  #hand(batch: WatchBatch): void {
    const waiter = this.#takeWaiter();
    if (waiter === undefined) return;
    this.#hasBegun = true;
    this.#host.handedOver(batch.events.length);
    waiter.resolve({ done: false, value: batch });
  }

  /** Tells an idle reader how far the watch has come, once it has seen everything. */
  #armProgress(): void {
    if (this.#progressMs === undefined || this.#cancelProgress !== undefined) return;
    this.#cancelProgress = this.#host.clock.setTimeout(() => {
      this.#cancelProgress = undefined;
      if (this.#waiter === undefined) return;
      const { revision } = this.#host.source;
      // A watch on a future revision stays silent until then; one that still reads old ones has more to say first.
      if (this.#group === undefined || revision < this.#startRevision) this.#armProgress();
      else this.#hand({ revision, events: [] });
    }, this.#progressMs);
  }

  #takeWaiter(): Waiter | undefined {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    this.#cancelProgress?.();
    this.#cancelProgress = undefined;
    return waiter;
  }

  #end(wasLost = false): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#fallBehind(this.#cursor);
    this.#signal.removeEventListener('abort', this);
    this.#host.ended(this, wasLost);
    this.#takeWaiter()?.resolve({ done: true, value: undefined });
  }
}

function lost(compactedRevision: number): WatchLostError {
  return new WatchLostError(`the watch fell behind: history before revision ${compactedRevision} is gone`);
}
