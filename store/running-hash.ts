/** A hash over all changes of keys since the beginning: two members that agree at a revision hold the same data. */
import { crc32 } from 'node:zlib';
import { HASHES_KEPT } from './limits.ts';

export class RunningHash {
  #value = 0;
  readonly #revisions = new Float64Array(HASHES_KEPT);
  readonly #hashes = new Uint32Array(HASHES_KEPT);

  get value(): number {
    return this.#value;
  }

  add(revision: number, change: Uint8Array): void {
    this.#value = crc32(change, this.#value);
    this.#remember(revision);
  }

  /** Goes on from a value that was persisted. */
  reset(revision: number, value: number): void {
    this.#value = value;
    this.#remember(revision);
  }

  /** The value at one of the last revisions; undefined if it is not remembered. */
  at(revision: number): number | undefined {
    const slot = revision % HASHES_KEPT;
    return this.#revisions[slot] === revision ? this.#hashes[slot] : undefined;
  }

  #remember(revision: number): void {
    const slot = revision % HASHES_KEPT;
    this.#revisions[slot] = revision;
    this.#hashes[slot] = this.#value;
  }
}
