/**
 * What the API server's thread and the leader's tell each other. All that one turn of the event loop has to say goes in one
 * message, with all bytes in one buffer that changes hands: a message costs far more than what is in it.
 */
import type { MessagePort } from 'node:worker_threads';
import { MESSAGE_BYTES_MAX } from './limits.ts';

/** From the leader's thread. `id` names a request from then on. */
export type Question =
  | {
      readonly type: 'request';
      readonly id: number;
      /** Who asks: the name under which the other side knows an account. */
      readonly account: string;
      readonly method: string;
      readonly path: string;
      readonly headers: Readonly<Record<string, string>>;
      /** Length of the body. */
      readonly bytes?: number;
    }
  /** Nobody waits for the answer any more. */
  | { readonly type: 'abort'; readonly id: number }
  /** So many bytes of the body have been read. */
  | { readonly type: 'credit'; readonly id: number; readonly read: number };

/** From the API server's thread. */
export type Answer =
  /** A whole answer. */
  | AnswerHead<'answer'>
  /** The first part of one; chunks follow, and an end. */
  | AnswerHead<'head'>
  | { readonly type: 'chunk'; readonly id: number; readonly bytes: number }
  | { readonly type: 'end'; readonly id: number }
  /** The answer will not come, or not whole. */
  | { readonly type: 'failed'; readonly id: number; readonly message: string };
interface AnswerHead<Type extends string> {
  readonly type: Type;
  readonly id: number;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes?: number;
}

interface Message<Item> {
  readonly items: readonly Item[];
  /** The bytes of all items, one after the other. */
  readonly bytes: Uint8Array | undefined;
}

/** Anything of which `bytes` tells how many bytes come with it. */
interface WithBytes {
  readonly id: number;
  readonly bytes?: number;
}

/** Gathers what one turn of the event loop has to say. */
export class Outbox<Item extends WithBytes> {
  readonly #port: MessagePort;
  readonly #defer: (send: () => void) => void;
  #items: Item[] = [];
  #chunks: Uint8Array[] = [];
  #sizeBytes = 0;

  /** `defer` calls once the present turn is over. */
  constructor(port: MessagePort, defer: (send: () => void) => void) {
    this.#port = port;
    this.#defer = defer;
  }

  /** The bytes are copied before the turn is over, and may be anybody's. */
  add(item: Item, bytes?: Uint8Array): void {
    if (this.#items.length === 0) this.#defer(() => this.flush());
    this.#items.push(item);
    if (!bytes || bytes.byteLength === 0) return;
    this.#chunks.push(bytes);
    this.#sizeBytes += bytes.byteLength;
    if (this.#sizeBytes >= MESSAGE_BYTES_MAX) this.flush();
  }

  flush(): void {
    if (this.#items.length === 0) return;
    const message: Message<Item> = { items: this.#items, bytes: this.#sizeBytes > 0 ? this.#joined() : undefined };
    this.#items = [];
    this.#chunks = [];
    this.#sizeBytes = 0;
    this.#port.postMessage(message, message.bytes ? [message.bytes.buffer as ArrayBuffer] : []);
  }

  #joined(): Uint8Array {
    const joined = new Uint8Array(this.#sizeBytes);
    let offset = 0;
    for (const chunk of this.#chunks) {
      joined.set(chunk, offset);
      offset += chunk.byteLength;
    }
    return joined;
  }
}

/** Calls with each item that comes, and its bytes, in the order in which they were added. */
export function onItems<Item extends WithBytes>(
  port: MessagePort,
  take: (item: Item, bytes: Uint8Array | undefined) => void,
): void {
  port.on('message', ({ items, bytes }: Message<Item>) => {
    let offset = 0;
    for (const item of items) {
      const size = item.bytes ?? 0;
      take(item, size > 0 ? bytes?.subarray(offset, offset + size) : undefined);
      offset += size;
    }
  });
}
