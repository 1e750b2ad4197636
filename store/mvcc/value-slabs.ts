/**
 * Values, as bytes outside of the garbage collector's reach. They lie side by side in slabs; a slab goes when the last value
 * in it has gone. What was handed out stays readable even then, since bytes in a slab are never written twice.
 *
 * A million values as objects of their own would cost 104 bytes each, and be walked by every full garbage collection.
 */

/** Small enough that one value which stays does not keep much else. */
const SLAB_BYTES = 16 * 1024;
/** Longer values get memory of their own. */
const SLAB_VALUE_BYTES_MAX = 2 * 1024;
const NOTHING = new Uint8Array(0);
/** Where a value without bytes lies. */
const NOWHERE = -1;

/** Where a value lies. */
export interface Place {
  readonly slab: number;
  readonly offset: number;
}

export class ValueSlabs {
  /** Freed numbers hold nothing, and are given again. */
  readonly #slabs: Buffer[] = [];
  /** How many values lie in each. */
  readonly #counts: number[] = [];
  readonly #freed: number[] = [];
  /** The slab that is being filled, and how far it is. */
  #filling = NOWHERE;
  #used = 0;

  /** Keeps a copy of a value. */
  add(value: Uint8Array): Place {
    if (value.length === 0) return { slab: NOWHERE, offset: 0 };
    if (value.length > SLAB_VALUE_BYTES_MAX) {
      const slab = this.#open(value.length);
      this.#slabAt(slab).set(value);
      this.#counts[slab] = 1;
      return { slab, offset: 0 };
    }
    if (this.#filling === NOWHERE || this.#used + value.length > SLAB_BYTES) this.#fillAnother();
    const offset = this.#used;
    this.#slabAt(this.#filling).set(value, offset);
    this.#used += value.length;
    this.#counts[this.#filling] = this.#countAt(this.#filling) + 1;
    return { slab: this.#filling, offset };
  }

  /** The bytes at a place, as a view. */
  get(slab: number, offset: number, length: number): Uint8Array {
    return slab === NOWHERE ? NOTHING : this.#slabAt(slab).subarray(offset, offset + length);
  }

  /** Forgets a value; each is forgotten once. */
  remove(slab: number): void {
    if (slab === NOWHERE) return;
    const count = this.#countAt(slab) - 1;
    this.#counts[slab] = count;
    if (count === 0 && slab !== this.#filling) this.#close(slab);
  }

  #fillAnother(): void {
    const full = this.#filling;
    this.#filling = this.#open(SLAB_BYTES);
    this.#used = 0;
    if (full !== NOWHERE && this.#countAt(full) === 0) this.#close(full);
  }

  #open(bytes: number): number {
    const slab = this.#freed.pop() ?? this.#slabs.length;
    this.#slabs[slab] = Buffer.allocUnsafeSlow(bytes);
    this.#counts[slab] = 0;
    return slab;
  }

  #close(slab: number): void {
    this.#slabs[slab] = NO_SLAB;
    this.#freed.push(slab);
  }

  // Numbers of slabs come from here, so there is something at each.
  #slabAt(slab: number): Buffer {
    return this.#slabs[slab] as Buffer;
  }
  #countAt(slab: number): number {
    return this.#counts[slab] as number;
  }
}

const NO_SLAB = Buffer.alloc(0);
