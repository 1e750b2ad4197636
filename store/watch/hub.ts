/**
 * Watches. Nothing is queued for a watcher: each one is a cursor into the log of revisions and takes what it wants when it
 * wants it. So a slow watcher costs nobody anything and holds no memory; when compaction passes its cursor it has lost its
 * place and is told so. Invariants: a watcher sees each revision's matching events once, whole, in order.
 */
import {
  CompactedError,
  InvalidRequestError,
  UnavailableError,
  type WatchBatch,
  type WatchEvent,
  WatchLostError,
  type WatchRequest,
} from '../client/client.ts';
import type { Clock } from '../clock.ts';
import { STORE_LIMITS, type StoreLimits, WATCH_PROGRESS_MS_MIN } from '../limits.ts';
import { boundProblem, keyProblem, OPEN_END, sortName } from '../mvcc/keys.ts';
import type { RevisionEvents } from '../mvcc/revision-log.ts';

/** Where events are read from; the replicated state satisfies it. */
export interface RevisionSource {
  readonly revision: number;
  readonly compactedRevision: number;
  eventsAt(revision: number): RevisionEvents | undefined;
}

type Step = { readonly batch: WatchBatch } | { readonly wait: true } | { readonly again: true };

/** How many watches there may be, and how much one does at once. */
export type WatchLimits = Pick<StoreLimits, 'watchesMax' | 'watchBatchEventsMax' | 'watchScanRevisionsMax'>;

export class WatchHub {
  readonly #clock: Clock;
  readonly #limits: WatchLimits;
  readonly #watchers = new Set<Watcher>();
  #source: RevisionSource;
  #isClosed = false;

  constructor(options: { readonly source: RevisionSource; readonly clock: Clock; readonly limits?: WatchLimits }) {
    this.#source = options.source;
    this.#clock = options.clock;
    this.#limits = options.limits ?? STORE_LIMITS;
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Watches as {@link WatchRequest} says. The place is taken at this call, not at the first `next`. */
  watch(request: WatchRequest): AsyncIterableIterator<WatchBatch> {
    const problem = request.end === undefined ? keyProblem(request.key) : watchRangeProblem(request);
    if (problem !== undefined) throw new InvalidRequestError(problem);
    if (this.#isClosed) throw new UnavailableError('the store is closed');
    const { watchesMax } = this.#limits;
    if (this.#watchers.size >= watchesMax) throw new UnavailableError(`there are ${watchesMax} watches already`);
    const watcher = new Watcher({
      request,
      clock: this.#clock,
      limits: this.#limits,
      source: () => this.#source,
      onEnd: () => this.#watchers.delete(watcher),
    });
    if (!request.signal.aborted) this.#watchers.add(watcher);
    return watcher;
  }

  /** Says that new revisions are there. */
  published(): void {
    for (const watcher of this.#watchers) watcher.wake();
  }

  /** After the whole state was replaced: nobody's place in the old log means anything for sure. */
  replaceSource(source: RevisionSource): void {
    this.#source = source;
    this.failAll(() => new WatchLostError('the member took over a snapshot; start again after the last revision seen'));
  }

  /** Ends all watches; new ones are refused. */
  close(): void {
    this.#isClosed = true;
    this.failAll(() => new WatchLostError('the store is closed'));
  }

  /** Ends all watches with an error. */
  failAll(makeError: () => Error): void {
    for (const watcher of [...this.#watchers]) watcher.fail(makeError());
  }
}

interface WatcherOptions {
  readonly request: WatchRequest;
  readonly clock: Clock;
  readonly limits: WatchLimits;
  readonly source: () => RevisionSource;
  readonly onEnd: () => void;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<WatchBatch>) => void;
  readonly reject: (error: Error) => void;
}

class Watcher implements AsyncIterableIterator<WatchBatch> {
  readonly #options: WatcherOptions;
  readonly #matches: (event: WatchEvent) => boolean;
  readonly #progressMs: number | undefined;
  readonly #onAbort = () => this.#end();
  /** The next revision to look at. */
  #cursor: number;
  /** True once something below the log's end was read: losing the place is then a loss, not a bad start. */
  #begun = false;
  #waiter: Waiter | undefined;
  #cancelProgress: (() => void) | undefined;
  #error: Error | undefined;
  #ended = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
    const { request } = options;
    this.#matches = matcher(request);
    this.#cursor = request.startRevision || options.source().revision + 1;
    this.#begun = !request.startRevision;
    this.#progressMs =
      request.progressMs === undefined ? undefined : Math.max(request.progressMs, WATCH_PROGRESS_MS_MIN);
    if (request.signal.aborted) this.#ended = true;
    else request.signal.addEventListener('abort', this.#onAbort, { once: true });
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
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    if (this.#waiter !== undefined) return Promise.reject(new InvalidRequestError('a watch is read by one reader'));
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      this.wake();
      if (this.#waiter !== undefined) this.#armProgress();
    });
  }

  return(): Promise<IteratorResult<WatchBatch>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Hands over what is there for a reader who waits. */
  wake(): void {
    if (this.#waiter === undefined) return;
    const step = this.#step();
    if ('batch' in step) this.#settle(waiter => waiter.resolve({ done: false, value: step.batch }));
    else if ('again' in step) queueAfterOthers(this.#options.clock, () => this.wake());
  }

  fail(error: Error): void {
    const waiting = this.#waiter !== undefined;
    if (waiting) this.#settle(waiter => waiter.reject(error));
    this.#end();
    if (!waiting) this.#error = error;
  }

  #step(): Step {
    const source = this.#options.source();
    if (this.#cursor < source.compactedRevision) {
      this.fail(this.#begun ? lost(source.compactedRevision) : new CompactedError(source.compactedRevision));
      return { wait: true };
    }
    this.#begun = true;
    const events: WatchEvent[] = [];
    const { watchScanRevisionsMax, watchBatchEventsMax } = this.#options.limits;
    const stop = Math.min(source.revision + 1, this.#cursor + watchScanRevisionsMax);
    while (this.#cursor < stop && events.length < watchBatchEventsMax) {
      for (const event of source.eventsAt(this.#cursor)?.events ?? []) if (this.#matches(event)) events.push(event);
      this.#cursor++;
    }
    if (events.length > 0) return { batch: { revision: this.#cursor - 1, events } };
    return this.#cursor <= source.revision ? { again: true } : { wait: true };
  }

  /** Tells an idle reader how far the watch has come, once it has seen everything. */
  #armProgress(): void {
    if (this.#progressMs === undefined || this.#cancelProgress !== undefined) return;
    this.#cancelProgress = this.#options.clock.setTimeout(() => {
      this.#cancelProgress = undefined;
      if (this.#waiter === undefined) return;
      const revision = this.#options.source().revision;
      // A watch on a future revision stays silent until then; one that still reads old ones has more to say first.
      const isSilent = this.#cursor !== revision + 1 || revision < (this.#options.request.startRevision ?? 0);
      if (isSilent) this.#armProgress();
      else this.#settle(waiter => waiter.resolve({ done: false, value: { revision, events: [] } }));
    }, this.#progressMs);
  }

  #settle(use: (waiter: Waiter) => void): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    this.#cancelProgress?.();
    this.#cancelProgress = undefined;
    if (waiter !== undefined) use(waiter);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.request.signal.removeEventListener('abort', this.#onAbort);
    this.#options.onEnd();
    this.#settle(waiter => waiter.resolve({ done: true, value: undefined }));
  }
}

function matcher(request: WatchRequest): (event: WatchEvent) => boolean {
  const { key, end } = request;
  if (end === undefined) return event => event.item.key === key;
  const from = sortName(key);
  const to = end === OPEN_END ? undefined : sortName(end);
  return event => {
    const name = sortName(event.item.key);
    return name >= from && (to === undefined || name < to);
  };
}

function watchRangeProblem(request: WatchRequest): string | undefined {
  return boundProblem(request.key) ?? boundProblem(request.end);
}

function queueAfterOthers(clock: Clock, callback: () => void): void {
  clock.setTimeout(callback, 0);
}

function lost(compactedRevision: number): WatchLostError {
  return new WatchLostError(`the watch fell behind: history before revision ${compactedRevision} is gone`);
}
