/**
 * A watch on etcd. etcd keeps the place of a slow reader, so only a few batches wait here; then the stream is paused. Each
 * watch has a gRPC stream of its own, so that one reader never holds up another and progress is about this watch alone.
 */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import {
  CompactedError,
  type WatchBatch,
  type WatchEvent,
  WatchLostError,
  type WatchRequest,
} from '../../client/client.ts';
import type { Clock } from '../../clock.ts';
import { WATCH_PROGRESS_MS_MIN } from '../../limits.ts';
import { OPEN_END, sortName } from '../../mvcc/keys.ts';
import type { Init, Read } from '../proto/message.ts';
import { Watch as WatchService } from '../proto/services.ts';
import type * as proto from '../proto/watch.ts';
import type { Endpoint } from './endpoint.ts';
import type { Chosen } from './endpoints.ts';
import type { KeySpace } from './keys.ts';
import { PROGRESS_AGAIN_MS, PROGRESS_PATIENCE_MS, WATCH_STALL_MS, WATCH_WAITING_BATCHES_MAX } from './limits.ts';
import { watchEvent } from './messages.ts';
import { type ProgressMethod, progressMethod } from './progress.ts';

type Stream = ClientDuplexStream<Init<typeof proto.WatchRequest>, Read<typeof proto.WatchResponse>>;

export interface EtcdWatchOptions {
  readonly request: WatchRequest;
  readonly clock: Clock;
  /** The keys that the request speaks of. */
  readonly keys: KeySpace;
  /** All keys of this client, among them the one that a barrier writes. */
  readonly everything: KeySpace;
  readonly choose: () => Promise<Chosen>;
  /** The server failed. */
  readonly leave: (endpoint: Endpoint) => void;
  /** Asks for the store's revision; the answer also comes through {@link EtcdWatch.noticed}. */
  readonly readRevision: () => Promise<number>;
  /** Writes a key under `everything`. */
  readonly writeBarrier: () => Promise<unknown>;
  readonly onEnd: () => void;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<WatchBatch>) => void;
  readonly reject: (error: Error) => void;
}

export class EtcdWatch implements AsyncIterableIterator<WatchBatch> {
  readonly #options: EtcdWatchOptions;
  readonly #matches: (event: WatchEvent) => boolean;
  readonly #startRevision: number;
  readonly #progressMs: number | undefined;
  readonly #onAbort = () => this.#end();
  readonly #waiting: WatchBatch[] = [];
  #stream: Stream | undefined;
  #method: ProgressMethod = 'barrier';
  #isCreated = false;
  /** Everything up to here has come from etcd. */
  #position = 0;
  /** Everything up to here has been handed over. Invariant: at most `#position`. */
  #told = 0;
  /** The highest revision that etcd is known to have. */
  #known = 0;
  /** When this watch fell behind what is known; undefined while it has not. */
  #behindSinceMs: number | undefined;
  #isNoticeDue = false;
  #cancelNotice: (() => void) | undefined;
  #cancelCatchUp: (() => void) | undefined;
  #waiter: Waiter | undefined;
  #error: Error | undefined;
  #isEnded = false;

  constructor(options: EtcdWatchOptions) {
    this.#options = options;
    const { request, choose } = options;
    this.#matches = matcher(request);
    this.#startRevision = request.startRevision ?? 0;
    this.#progressMs =
      request.progressMs === undefined ? undefined : Math.max(request.progressMs, WATCH_PROGRESS_MS_MIN);
    if (request.signal.aborted) {
      this.#isEnded = true;
      return;
    }
    request.signal.addEventListener('abort', this.#onAbort, { once: true });
    choose().then(
      chosen => this.#begin(chosen),
      (cause: unknown) => this.#fail(new WatchLostError('no etcd server can be reached', { cause })),
    );
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<WatchBatch>> {
    const batch = this.#waiting.shift();
    if (batch !== undefined) {
      if (this.#waiting.length === 0) this.#stream?.resume();
      return Promise.resolve({ done: false, value: batch });
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      this.#armNotice();
      this.#look();
    });
  }

  return(): Promise<IteratorResult<WatchBatch>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Says that etcd has this revision. A watch that promises progress sees to it that it gets there. */
  noticed(revision: number): void {
    if (this.#progressMs === undefined || revision <= this.#known) return;
    this.#known = revision;
    this.#look();
  }

  /** Ends this watch because its client was closed. */
  storeClosed(): void {
    this.#fail(new WatchLostError('the store client is closed'));
  }

  #begin({ endpoint, status }: Chosen): void {
    if (this.#isEnded) return;
    const { request, keys, everything, leave } = this.#options;
    this.#method = this.#progressMs === undefined ? 'request' : progressMethod(status.version);
    const range = this.#method === 'request' ? keys.range(request.key, request.end) : everything.range('', OPEN_END);
    const stream = endpoint.stream(WatchService.watch);
    this.#stream = stream;
    stream.on('data', (answer: Read<typeof proto.WatchResponse>) => this.#take(answer));
    const lost = (cause?: Error) => {
      if (this.#isEnded) return;
      leave(endpoint);
      this.#fail(new WatchLostError(`${endpoint.url} ended the watch`, { cause }));
    };
    stream.on('error', lost);
    stream.on('end', lost);
    stream.write({
      createRequest: { ...range, startRevision: this.#startRevision, prevKv: true, progressNotify: true },
    });
  }

  #take(answer: Read<typeof proto.WatchResponse>): void {
    if (this.#isEnded) return;
    const revision = answer.header?.revision ?? 0;
    if (answer.canceled) {
      this.#fail(this.#cancellation(answer));
    } else if (answer.created) {
      this.#isCreated = true;
      // Without a start, everything after the revision of this answer comes.
      this.#position = Math.max(this.#position, (this.#startRevision || revision + 1) - 1);
      this.#told = this.#position;
      this.#look();
    } else if (answer.events.length > 0) {
      this.#takeEvents(answer);
    } else {
      this.#position = Math.max(this.#position, revision);
      this.#look();
    }
  }

  /** etcd never splits a revision between two answers unless it was asked to. */
  #takeEvents({ events }: Read<typeof proto.WatchResponse>): void {
    // What was seen is not told again, whatever a server that took over a snapshot sends (etcd issue 15271).
    const from = this.#position;
    const fresh = events.filter(({ kv }) => (kv?.modRevision ?? 0) > from);
    const revision = fresh.at(-1)?.kv?.modRevision ?? from;
    this.#position = revision;
    const told = fresh
      .filter(({ kv }) => kv !== undefined && this.#options.keys.holds(kv.key))
      .map(event => watchEvent(this.#options.keys, event))
      .filter(this.#matches);
    if (told.length > 0) this.#push({ revision, events: told });
    this.#look();
  }

  #cancellation({ compactRevision, cancelReason }: Read<typeof proto.WatchResponse>): Error {
    if (compactRevision === 0) return new WatchLostError(`etcd ended the watch: ${cancelReason || 'no reason given'}`);
    if (this.#told < this.#startRevision) return new CompactedError(compactRevision);
    return new WatchLostError(`the watch fell behind: history before revision ${compactRevision} is gone`);
  }

  #push(batch: WatchBatch): void {
    this.#told = batch.revision;
    this.#isNoticeDue = false;
    this.#disarmNotice();
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: batch });
      return;
    }
    this.#waiting.push(batch);
    if (this.#waiting.length >= WATCH_WAITING_BATCHES_MAX) this.#stream?.pause();
  }

  /** Gives a waiting reader notice of progress where there is something to say; asks etcd where it should be known. */
  #look(): void {
    const isUpToDate = this.#position >= this.#known;
    if (isUpToDate) this.#behindSinceMs = undefined;
    // A watch on a future revision stays silent until then.
    if (!this.#promisesProgress() || !this.#isCreated || this.#known < this.#startRevision) return;
    if (this.#isNoticeDue && isUpToDate) this.#push({ revision: this.#position, events: [] });
    else if (this.#isNoticeDue || this.#told < this.#known) this.#armCatchUp(PROGRESS_PATIENCE_MS);
  }

  /** Nobody is told of progress who does not wait for it. */
  #promisesProgress(): boolean {
    return this.#progressMs !== undefined && this.#waiter !== undefined && !this.#isEnded;
  }

  /** Each time the reader waits: after `progressMs` it is told how far the watch has come. */
  #armNotice(): void {
    if (this.#progressMs === undefined || this.#cancelNotice !== undefined) return;
    this.#cancelNotice = this.#options.clock.setTimeout(() => {
      this.#cancelNotice = undefined;
      this.#isNoticeDue = true;
      // If etcd cannot answer there is no progress to tell of; the stream's end will be noticed by itself.
      this.#options.readRevision().then(
        revision => {
          this.#known = Math.max(this.#known, revision);
          this.#look();
          if (this.#waiter !== undefined) this.#armNotice();
        },
        () => this.#waiter !== undefined && this.#armNotice(),
      );
    }, this.#progressMs);
  }

  #disarmNotice(): void {
    this.#cancelNotice?.();
    this.#cancelNotice = undefined;
  }

  /** Waits for the events that must be on their way, then asks for them. */
  #armCatchUp(delayMs: number): void {
    if (this.#isEnded || this.#cancelCatchUp !== undefined) return;
    this.#cancelCatchUp = this.#options.clock.setTimeout(() => {
      this.#cancelCatchUp = undefined;
      this.#catchUp();
    }, delayMs);
  }

  #catchUp(): void {
    if (!this.#promisesProgress() || this.#told >= this.#known || this.#known < this.#startRevision) {
      this.#behindSinceMs = undefined;
      return;
    }
    if (this.#position >= this.#known) {
      this.#isNoticeDue = true;
      this.#look();
      return;
    }
    const nowMs = this.#options.clock.now();
    this.#behindSinceMs ??= nowMs;
    if (nowMs - this.#behindSinceMs > WATCH_STALL_MS) {
      this.#fail(new WatchLostError(`etcd sent nothing of revision ${this.#known} within ${WATCH_STALL_MS / 1000} s`));
      return;
    }
    if (this.#isCreated) this.#ask();
    this.#armCatchUp(PROGRESS_AGAIN_MS);
  }

  #ask(): void {
    if (this.#method === 'request') this.#stream?.write({ progressRequest: {} });
    // If the barrier cannot be written the next round tries again.
    else this.#options.writeBarrier().catch(() => {});
  }

  #fail(error: Error): void {
    if (this.#isEnded) return;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter === undefined) this.#error = error;
    else waiter.reject(error);
    this.#end();
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#options.request.signal.removeEventListener('abort', this.#onAbort);
    this.#disarmNotice();
    this.#cancelCatchUp?.();
    this.#stream?.cancel();
    if (this.#error === undefined) this.#waiting.length = 0;
    this.#waiter?.resolve({ done: true, value: undefined });
    this.#waiter = undefined;
    this.#options.onEnd();
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
