/** Chunks between one writer and one reader. The writer waits while more than the bound lies in the queue. */
export class ByteQueue implements AsyncIterable<Uint8Array> {
  readonly #chunks: Uint8Array[] = [];
  readonly #bytesMax: number;
  #bytes = 0;
  #ended = false;
  #readable = Promise.withResolvers<void>();
  #room: PromiseWithResolvers<void> | undefined;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Resolves when there is room for more. What comes after the end is dropped. */
  async push(chunk: Uint8Array): Promise<void> {
    if (this.#ended || chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    this.#readable.resolve();
    while (this.#bytes > this.#bytesMax && !this.#ended) {
      this.#room ??= Promise.withResolvers();
      await this.#room.promise;
    }
  }

  /** No more will come; what is there can still be read. */
  end(): void {
    this.#ended = true;
    this.#readable.resolve();
    this.#room?.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk) {
          this.#bytes -= chunk.length;
          if (this.#bytes <= this.#bytesMax) {
            this.#room?.resolve();
            this.#room = undefined;
          }
          yield chunk;
        } else if (this.#ended) return;
        else {
          this.#readable = Promise.withResolvers();
          await this.#readable.promise;
        }
      }
    } finally {
      // A reader that leaves must not hold the writer.
      this.end();
      this.#chunks.length = 0;
      this.#bytes = 0;
    }
  }
}
