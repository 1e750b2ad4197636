/**
 * Memory for many small byte strings that stay for about as long as their neighbours do: entries of the log. In Node's own
 * pool each would lie beside what lives for a moment, and keep eight kilobytes of it.
 */
const SLAB_BYTES = 64 * 1024;
/** What is longer gets memory of its own. */
const SHARED_BYTES_MAX = SLAB_BYTES / 8;

export class Slabs {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #used = 0;

  /** A copy. Its slab goes when the last copy in it has gone. */
  copy(bytes: Uint8Array): Buffer {
    const { length } = bytes;
    if (length > SHARED_BYTES_MAX) {
      const own = Buffer.allocUnsafeSlow(length);
      own.set(bytes);
      return own;
    }
    if (this.#used + length > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    const copy = this.#slab.subarray(this.#used, this.#used + length);
    copy.set(bytes);
    this.#used += length;
    return copy;
  }
}
