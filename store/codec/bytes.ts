/** A compact binary notation, written by hand because every byte of every write passes through it on every member. */
import assert from 'node:assert';
import { keyBytes, keyFromBytes } from '../mvcc/keys.ts';

const FIRST_CAPACITY_BYTES = 4 * 1024;
/** A writer that once had to grow beyond this gives the memory back. */
const KEPT_CAPACITY_BYTES = 1024 * 1024;
const VARINT_BYTES_MAX = 8;

/** Collects bytes in one growing buffer. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(FIRST_CAPACITY_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  /** A non-negative safe integer, in as few bytes as it needs. */
  count(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'counts are non-negative and exact');
    this.#reserve(VARINT_BYTES_MAX);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  bytes(value: Uint8Array): void {
    this.count(value.length);
    this.raw(value);
  }

  /** Bytes without their length. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string): void {
    // Short texts, nearly all of them, are written first and measured after.
    this.#reserve(value.length * 3 + VARINT_BYTES_MAX);
    if (value.length * 3 < 0x80) {
      const length = this.#buffer.write(value, this.#length + 1, 'utf8');
      this.#buffer[this.#length] = length;
      this.#length += length + 1;
      return;
    }
    this.count(Buffer.byteLength(value));
    this.#length += this.#buffer.write(value, this.#length, 'utf8');
  }

  /** A key: its text, or its bytes where they are no UTF-8. Both are read by {@link ByteReader.key}. */
  key(value: string): void {
    if (value.isWellFormed()) this.text(value);
    else this.bytes(keyBytes(value));
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32BE(value, this.#length);
  }

  /** A view of what was written since `from`; valid until the next write. */
  peek(from = 0): Uint8Array {
    return this.#buffer.subarray(from, this.#length);
  }

  /** Gives what was written, as a copy, and starts anew. */
  take(): Buffer {
    const copy = Buffer.allocUnsafe(this.#length);
    this.#buffer.copy(copy, 0, 0, this.#length);
    this.clear();
    return copy;
  }

  /** Starts anew. */
  clear(): void {
    this.#length = 0;
    if (this.#buffer.length > KEPT_CAPACITY_BYTES) this.#buffer = Buffer.allocUnsafe(FIRST_CAPACITY_BYTES);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

/** Reads what {@link ByteWriter} wrote; past the end it throws a RangeError. */
export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#buffer.length;
  }

  get position(): number {
    return this.#at;
  }

  byte(): number {
    const value = this.#buffer[this.#at++];
    if (value === undefined) throw new RangeError('the bytes end too early');
    return value;
  }

  count(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  /** A view into what is read: who keeps it copies it, as the state does with values. */
  bytes(): Uint8Array {
    const length = this.count();
    const start = this.#at;
    this.#skip(length);
    return this.#buffer.subarray(start, this.#at);
  }

  text(): string {
    const length = this.count();
    const start = this.#at;
    this.#skip(length);
    return this.#buffer.toString('utf8', start, this.#at);
  }

  key(): string {
    const length = this.count();
    const start = this.#at;
    this.#skip(length);
    const text = this.#buffer.toString('utf8', start, this.#at);
    return text.includes('\ufffd') ? keyFromBytes(this.#buffer.subarray(start, this.#at)) : text;
  }

  uint32(): number {
    const value = this.#buffer.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  #skip(length: number): void {
    if (this.#at + length > this.#buffer.length) throw new RangeError('the bytes end too early');
    this.#at += length;
  }
}
