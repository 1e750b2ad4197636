/** The leader thread's way to the API server of its own process: requests and answers through a message port. */
import type { MessagePort } from 'node:worker_threads';
import { ConnectionLostError } from '../client/body.ts';
import type { ApiRequest, ApiResponse, ApiTransport } from '../client/client.ts';
import { BODY_CREDIT_BYTES, REQUESTS_MAX } from './limits.ts';
import { type Answer, Outbox, onItems, type Question } from './messages.ts';

export interface PortOptions {
  readonly port: MessagePort;
  /** Calls once the present turn of the event loop is over. */
  readonly defer: (call: () => void) => void;
}

/** Some request that waits for its answer, or whose body is being read. */
interface Waiting {
  take(answer: Answer, bytes: Uint8Array | undefined): void;
  fail(error: Error): void;
}

/** One port; a transport for each account that speaks through it. */
export class PortTransport {
  readonly #outbox: Outbox<Question>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #port: MessagePort;
  #lastId = 0;
  #isClosed = false;

  constructor({ port, defer }: PortOptions) {
    this.#port = port;
    this.#outbox = new Outbox(port, defer);
    onItems<Answer>(port, (answer, bytes) => {
      const waiting = this.#waiting.get(answer.id);
      if (answer.type !== 'head' && answer.type !== 'chunk') this.#waiting.delete(answer.id);
      waiting?.take(answer, bytes);
    });
    port.on('close', () => this.close());
  }

  /**
   * A request may be answered, rejected with the reason of its own signal, or with {@link ConnectionLostError}: then the
   * API server may have acted on it.
   */
  transportFor(account: string): ApiTransport {
    return {
      request: request => this.#request(account, request),
      // The port is everybody's.
      close: async () => {},
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#port.close();
    const error = new ConnectionLostError('the API server’s thread is gone');
    for (const waiting of this.#waiting.values()) waiting.fail(error);
    this.#waiting.clear();
  }

  #request(account: string, { method, path, headers = {}, body, signal }: ApiRequest): Promise<ApiResponse> {
    if (this.#isClosed) return Promise.reject(new ConnectionLostError('the API server’s thread is gone'));
    if (this.#waiting.size >= REQUESTS_MAX) {
      return Promise.reject(new RangeError(`more than ${REQUESTS_MAX} requests are under way`));
    }
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = ++this.#lastId;
    const bytes = typeof body === 'string' ? encoder.encode(body) : body;
    const { promise, resolve, reject } = Promise.withResolvers<ApiResponse>();
    const forget = () => {
      this.#waiting.delete(id);
      this.#outbox.add({ type: 'abort', id });
    };
    const streamed = new StreamedBody({
      onRead: read => this.#outbox.add({ type: 'credit', id, read }),
      onLeft: () => {
        signal?.removeEventListener('abort', onAbort);
        if (this.#waiting.has(id)) forget();
      },
    });
    const onAbort = () => {
      if (this.#waiting.has(id)) forget();
      reject(signal?.reason);
      streamed.fail(signal?.reason);
    };
    const end = () => signal?.removeEventListener('abort', onAbort);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.set(id, {
      take(answer, chunk) {
        if (answer.type === 'answer') {
          end();
          const whole = chunk ?? EMPTY;
          resolve({ status: answer.status, headers: answer.headers, whole, body: once(whole) });
        } else if (answer.type === 'head') {
          resolve({ status: answer.status, headers: answer.headers, body: streamed });
        } else if (answer.type === 'chunk') {
          if (chunk) streamed.add(chunk);
        } else {
          end();
          if (answer.type === 'end') streamed.end();
          else this.fail(new ConnectionLostError(answer.message));
        }
      },
      fail(error) {
        end();
        reject(error);
        streamed.fail(error);
      },
    });
    this.#outbox.add(
      { type: 'request', id, account, method, path, headers, ...(bytes && { bytes: bytes.byteLength }) },
      bytes,
    );
    return promise;
  }
}

const encoder = new TextEncoder();
const EMPTY = new Uint8Array();

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.byteLength > 0) yield bytes;
}

interface StreamedBodyOptions {
  /** Told of bytes that have been read, some at a time. */
  readonly onRead: (bytes: number) => void;
  /** Whoever read it goes away before the end. */
  readonly onLeft: () => void;
}

/** A body that comes in chunks. The other side sends no more than a window ahead of what is read. */
class StreamedBody implements AsyncIterable<Uint8Array> {
  readonly #options: StreamedBodyOptions;
  #chunks: Uint8Array[] = [];
  #readBytes = 0;
  #end: { readonly error: Error | undefined } | undefined;
  #change = Promise.withResolvers<void>();

  constructor(options: StreamedBodyOptions) {
    this.#options = options;
  }

  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#change.resolve();
  }

  end(): void {
    this.#end ??= { error: undefined };
    this.#change.resolve();
  }

  /** What has come by then is still read, and the error after it. */
  fail(error: Error): void {
    this.#end ??= { error };
    this.#change.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunks = this.#chunks;
        this.#chunks = [];
        for (const chunk of chunks) {
          yield chunk;
          this.#noteRead(chunk.byteLength);
        }
        if (this.#chunks.length > 0) continue;
        if (this.#end) break;
        this.#change = Promise.withResolvers();
        await this.#change.promise;
      }
    } finally {
      this.#options.onLeft();
    }
    const error = this.#end?.error;
    if (error) throw error;
  }

  #noteRead(bytes: number): void {
    this.#readBytes += bytes;
    if (this.#readBytes < BODY_CREDIT_BYTES) return;
    this.#options.onRead(this.#readBytes);
    this.#readBytes = 0;
  }
}
