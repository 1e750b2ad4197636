/** What the client of a streaming call has sent and its handler has not taken yet. */
import { STREAM_REQUESTS_MAX } from '../limits.ts';
import { GrpcError, STATUS } from './status.ts';

/** Requests of a stream, in order. Their bytes are given back to the peer's window as they are taken. */
export class RequestQueue<Req> implements AsyncIterable<Req>, AsyncIterator<Req> {
  readonly #onTaken: (bytes: number) => void;
  readonly #queue: { readonly request: Req; readonly bytes: number }[] = [];
  #waiter: ((result: IteratorResult<Req>) => void) | undefined;
  #isEnded = false;

  constructor(onTaken: (bytes: number) => void) {
    this.#onTaken = onTaken;
  }

  /** @param bytes what the request took of the peer's window. Throws {@link GrpcError} where too many wait. */
  push(request: Req, bytes: number): void {
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      this.#onTaken(bytes);
      waiter({ done: false, value: request });
      return;
    }
    if (this.#queue.length >= STREAM_REQUESTS_MAX) {
      throw new GrpcError(STATUS.resourceExhausted, `more than ${STREAM_REQUESTS_MAX} requests wait on this stream`);
    }
    this.#queue.push({ request, bytes });
  }

  end(): void {
    this.#isEnded = true;
    this.#waiter?.({ done: true, value: undefined });
    this.#waiter = undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Req>> {
    const first = this.#queue.shift();
    if (first !== undefined) {
      this.#onTaken(first.bytes);
      return Promise.resolve({ done: false, value: first.request });
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise(resolve => {
      this.#waiter = resolve;
    });
  }
}
