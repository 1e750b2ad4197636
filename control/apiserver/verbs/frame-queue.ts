/** Frames waiting for one watcher: bounded, so that a reader who does not keep up costs no memory, only his connection. */
export class FrameQueue {
  readonly #framesMax: number;
  readonly #bytesMax: number;
  #frames: Buffer[] = [];
  /** How many frames at the front are exempt from the bounds. */
  #exempt = 0;
  /** The bytes of those that are not. */
  #bytes = 0;
  #hasEnded = false;
  #wake: () => void = () => undefined;
  /** Who waits for room. */
  #roomy: () => void = () => undefined;

  constructor(framesMax: number, bytesMax: number) {
    this.#framesMax = framesMax;
    this.#bytesMax = bytesMax;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * Adds a frame. Beyond the bounds the queue ends and what waits is dropped: the client must start again. The first state
   * of a watch is exempt, as it is no larger than the cache that it is taken from.
   */
  push(frame: Buffer, bound: 'bounded' | 'unbounded' = 'bounded'): void {
    if (this.#hasEnded) return;
    this.#frames.push(frame);
    if (bound === 'unbounded') this.#exempt = this.#frames.length;
    else this.#bytes += frame.length;
    if (this.#frames.length - this.#exempt > this.#framesMax || this.#bytes > this.#bytesMax) {
      this.#frames = [];
      this.end();
      return;
    }
    this.#wake();
  }

  /** True while more than half of what may wait does. */
  get isHalfFull(): boolean {
    return this.#bytes * 2 > this.#bytesMax || (this.#frames.length - this.#exempt) * 2 > this.#framesMax;
  }

  /** Waits until the reader has taken what makes it more than half full, or has gone. For one who pushes much at a time. */
  async room(): Promise<void> {
    while (this.isHalfFull && !this.#hasEnded) {
      await new Promise<void>(resolve => {
        this.#roomy = resolve;
      });
    }
  }

  /** No more frames; those waiting still go out. */
  end(): void {
    this.#hasEnded = true;
    this.#wake();
    this.#roomy();
  }

  /** Everything pushed, several frames at a time where several wait, until the end. */
  async *drain(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#frames.length > 0) {
        yield this.#take();
        continue;
      }
      if (this.#hasEnded) return;
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
      this.#wake = () => undefined;
    }
  }

  #take(): Uint8Array {
    const chunk: Buffer[] = [];
    let size = 0;
    let count = 0;
    while (count < this.#frames.length && size < CHUNK_BYTES) {
      const frame = this.#frames[count++] as Buffer;
      chunk.push(frame);
      size += frame.length;
    }
    this.#frames = this.#frames.slice(count);
    for (const frame of chunk.slice(this.#exempt)) this.#bytes = Math.max(0, this.#bytes - frame.length);
    this.#exempt = Math.max(0, this.#exempt - count);
    this.#roomy();
    return chunk.length === 1 ? (chunk[0] as Buffer) : Buffer.concat(chunk);
  }
}

/** What goes to the connection in one piece. */
const CHUNK_BYTES = 256 * 1024;
