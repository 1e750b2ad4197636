/** A snapshot on its way inside one process, for `memory.ts`: in chunks as on a wire, and it may break off at each of them. */
import { TRANSPORT_LIMITS } from './limits.ts';
import { PeerUnreachableError } from './transport.ts';

/** Chunks on their way, one at a time; tells the sender how it ended. */
export class SnapshotStream implements AsyncIterable<Uint8Array> {
  readonly done: Promise<void>;
  readonly #chunks: AsyncIterable<Uint8Array>;
  readonly #travel: () => Promise<void>;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  /** @param travel resolves when the next chunk has arrived; rejects if it does not */
  constructor(chunks: AsyncIterable<Uint8Array>, travel: () => Promise<void>) {
    this.#chunks = chunks;
    this.#travel = travel;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whether the sender still listens or not.
    this.done.catch(() => {});
  }

  /** The receiver is gone. */
  breakOff(): void {
    this.#reject(new PeerUnreachableError('the snapshot broke off'));
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const inner = this.#parts();
    return {
      next: async () => {
        try {
          await this.#travel();
          const result = await inner.next();
          if (result.done === true) this.#resolve();
          return result;
        } catch (error) {
          this.#reject(error instanceof Error ? error : new PeerUnreachableError('the snapshot broke off'));
          throw error;
        }
      },
      return: async () => {
        this.#reject(new PeerUnreachableError('the peer refused the snapshot'));
        await inner.return(undefined);
        return { done: true, value: undefined };
      },
    };
  }

  async *#parts(): AsyncGenerator<Uint8Array, undefined> {
    for await (const chunk of this.#chunks) {
      for (let start = 0; start < chunk.length; start += TRANSPORT_LIMITS.snapshotChunkBytesMax) {
        // The receiver keeps what it gets; the sender may use its buffer again.
        yield chunk.slice(start, start + TRANSPORT_LIMITS.snapshotChunkBytesMax);
      }
    }
    return undefined;
  }
}
