/**
 * The protobuf wire format (https://protobuf.dev/programming-guides/encoding): varints, length-delimited fields, tags.
 * Written by hand because every request of an etcd client passes through it; it allocates nothing but what it gives out.
 */

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

const FIRST_CAPACITY_BYTES = 4 * 1024;
/** A writer that once had to grow beyond this gives the memory back. */
const KEPT_CAPACITY_BYTES = 1024 * 1024;
const VARINT_BYTES_MAX = 10;
/** A 64-bit integer in two numbers: 49 bits, which are seven groups of a varint, and the rest. */
const LOW_BITS_COUNT = 49n;
const LOW_BITS = (1n << LOW_BITS_COUNT) - 1n;
/** What the seventh group of the lower number counts. */
const LOW_TOP_GROUP = 2 ** 42;
/** Messages inside messages; protobuf's own libraries stop at the same depth. */
const DEPTH_MAX = 100;

/** The bytes are no message: an etcd server answers InvalidArgument or Internal. */
export class ProtoError extends Error {
  override readonly name = 'ProtoError';
  readonly code = 'ETCD_PROTO';
}

/** Collects the bytes of one message after another. */
export class ProtoWriter {
  #buffer = Buffer.allocUnsafe(FIRST_CAPACITY_BYTES);
  #length = 0;

  tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType);
  }

  /** A safe integer; a negative one takes ten bytes, as protobuf's int64 wants. */
  varint(value: number): void {
    if (value < 0) {
      this.bigVarint(BigInt(value));
      return;
    }
    this.#reserve(VARINT_BYTES_MAX);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  /** Any 64 bits. */
  bigVarint(value: bigint): void {
    this.#reserve(VARINT_BYTES_MAX);
    // Sums with big integers cost ten times those with numbers, so it is cut into two of these.
    const bits = BigInt.asUintN(64, value);
    let low = Number(bits & LOW_BITS);
    let high = Number(bits >> LOW_BITS_COUNT);
    while (high > 0 || low >= 0x80) {
      this.#buffer[this.#length++] = (low % 0x80) | 0x80;
      low = Math.floor(low / 0x80) + (high % 0x80) * LOW_TOP_GROUP;
      high = Math.floor(high / 0x80);
    }
    this.#buffer[this.#length++] = low;
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string): void {
    const length = Buffer.byteLength(value);
    this.varint(length);
    this.#reserve(length);
    this.#length += this.#buffer.write(value, this.#length, 'utf8');
  }

  /** A length and what `write` writes. One byte is kept for the length, and what follows is moved if it needs more. */
  delimited(write: () => void): void {
    this.#reserve(1);
    const start = ++this.#length;
    write();
    const length = this.#length - start;
    if (length >= 0x80) {
      const more = varintBytes(length) - 1;
      this.#reserve(more);
      this.#buffer.copyWithin(start + more, start, start + length);
      this.#length = start + length + more;
    }
    let at = start - 1;
    let rest = length;
    while (rest >= 0x80) {
      this.#buffer[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[at] = rest;
  }

  /** Gives what was written, as a copy behind `headroomBytes` bytes that the caller fills, and starts anew. */
  take(headroomBytes = 0): Buffer {
    const copy = Buffer.allocUnsafe(headroomBytes + this.#length);
    this.#buffer.copy(copy, headroomBytes, 0, this.#length);
    this.#length = 0;
    if (this.#buffer.length > KEPT_CAPACITY_BYTES) this.#buffer = Buffer.allocUnsafe(FIRST_CAPACITY_BYTES);
    return copy;
  }

  /** Forgets what was written by one who failed half-way. */
  clear(): void {
    this.#length = 0;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

/** Reads one message. @throws {ProtoError} where the bytes make no sense */
export class ProtoReader {
  readonly #buffer: Buffer;
  #at: number;
  #end: number;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
    this.#end = bytes.byteLength;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** An int64 as a number. What is no safe integer comes out rounded, so `Number.isSafeInteger` tells. */
  varint(): number {
    let value = 0;
    let scale = 1;
    const start = this.#at;
    for (let count = 0; count < 7; count++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    this.#at = start;
    return Number(BigInt.asIntN(64, this.bigVarint()));
  }

  /** A uint64. */
  bigVarint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ProtoError('a varint is longer than ten bytes');
  }

  /** A view into the message. */
  bytes(): Buffer {
    const start = this.#skipDelimited();
    return this.#buffer.subarray(start, this.#at);
  }

  text(): string {
    const start = this.#skipDelimited();
    return this.#buffer.toString('utf8', start, this.#at);
  }

  /** Calls `read` with the reader bounded to the message that follows. */
  delimited<Value>(read: () => Value): Value {
    if (++this.#depth > DEPTH_MAX) throw new ProtoError(`the message is nested more than ${DEPTH_MAX} deep`);
    const start = this.#skipDelimited();
    const after = this.#at;
    const outerEnd = this.#end;
    this.#at = start;
    this.#end = after;
    const value = read();
    this.#at = after;
    this.#end = outerEnd;
    this.#depth--;
    return value;
  }

  /** Passes over a field that is not known. */
  skip(wireType: number): void {
    switch (wireType) {
      case WIRE_VARINT:
        this.bigVarint();
        return;
      case WIRE_FIXED64:
        this.#advance(8);
        return;
      case WIRE_BYTES:
        this.#skipDelimited();
        return;
      case WIRE_FIXED32:
        this.#advance(4);
        return;
      default:
        throw new ProtoError(`there is no wire type ${wireType}`);
    }
  }

  #skipDelimited(): number {
    const length = this.varint();
    const start = this.#at;
    this.#advance(length);
    return start;
  }

  #advance(count: number): void {
    if (!(count >= 0 && this.#at + count <= this.#end)) throw new ProtoError('the message ends too early');
    this.#at += count;
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new ProtoError('the message ends too early');
    return this.#buffer[this.#at++] as number; // within the buffer, as just checked
  }
}

function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) count++;
  return count;
}
