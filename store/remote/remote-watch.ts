/** A watch as a remote client reads it: batches wait here, as many as the window allows, until the reader takes them. */
import { type WatchBatch, WatchLostError, type WatchRequest } from '../client/client.ts';
import type { Connection } from './connection.ts';

interface Waiter {
  readonly resolve: (result: IteratorResult<WatchBatch>) => void;
  readonly reject: (error: Error) => void;
}

export class RemoteWatch implements AsyncIterableIterator<WatchBatch> {
  readonly #request: WatchRequest;
  readonly #onAbort = () => this.#end();
  // Invariant: at most WATCH_WINDOW_BATCHES wait; the server stops there.
  readonly #batches: WatchBatch[] = [];
  #stream: { taken(): void; cancel(): void } | undefined;
  #waiter: Waiter | undefined;
  #error: Error | undefined;
  #isEnded = false;

  constructor(request: WatchRequest, connect: () => Promise<Connection>) {
    this.#request = request;
    if (request.signal.aborted) {
      this.#isEnded = true;
      return;
    }
    request.signal.addEventListener('abort', this.#onAbort, { once: true });
    connect().then(
      connection => this.#begin(connection),
      (cause: unknown) => this.#fail(new WatchLostError('no member can be reached', { cause })),
    );
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<WatchBatch>> {
    const batch = this.#batches.shift();
    if (batch !== undefined) {
      this.#stream?.taken();
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
    });
  }

  return(): Promise<IteratorResult<WatchBatch>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  #begin(connection: Connection): void {
    if (this.#isEnded) return;
    const { signal: _, ...start } = this.#request;
    try {
      this.#stream = connection.watch(start, {
        onBatch: batch => this.#take(batch),
        onError: error => this.#fail(error),
      });
    } catch (error) {
      this.#fail(error instanceof Error ? error : new WatchLostError(String(error)));
    }
  }

  #take(batch: WatchBatch): void {
    if (this.#isEnded) return;
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter === undefined) {
      this.#batches.push(batch);
      return;
    }
    this.#stream?.taken();
    waiter.resolve({ done: false, value: batch });
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
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    this.#stream?.cancel();
    if (this.#error === undefined) this.#batches.length = 0;
    this.#waiter?.resolve({ done: true, value: undefined });
    this.#waiter = undefined;
  }
}
