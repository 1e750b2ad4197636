/** Reads protobuf's wire format: a run of (field number, value) pairs (https://protobuf.dev/programming-guides/encoding/). */

/** A value as the wire has it: a varint or fixed-width number, or bytes. */
export type WireValue = bigint | Uint8Array;

/** The bytes are not protobuf. */
export class WireFormatError extends Error {
  override readonly name = 'WireFormatError';
  readonly code = 'PROTOBUF_WIRE_FORMAT';
}

/** Yields the fields of one message in the order in which they were written. Byte values share memory with `bytes`. */
export function* readFields(bytes: Uint8Array): Generator<{ readonly number: number; readonly value: WireValue }> {
  const reader = new Reader(bytes);
  while (!reader.isAtEnd) {
    const tag = Number(reader.varint());
    const number = tag >>> 3;
    if (number === 0) throw new WireFormatError('illegal field number 0');
    switch (tag & 7) {
      case 0:
        yield { number, value: reader.varint() };
        break;
      case 1:
        yield { number, value: reader.fixed(8) };
        break;
      case 2:
        yield { number, value: reader.bytes(Number(reader.varint())) };
        break;
      case 5:
        yield { number, value: reader.fixed(4) };
        break;
      default:
        throw new WireFormatError(`illegal wire type ${tag & 7}`);
    }
  }
}

/** The numbers of a packed repeated field. */
export function readVarints(bytes: Uint8Array): bigint[] {
  const reader = new Reader(bytes);
  const numbers: bigint[] = [];
  while (!reader.isAtEnd) numbers.push(reader.varint());
  return numbers;
}

class Reader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  /** Unsigned, at most 64 bits. */
  varint(): bigint {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#position++];
      if (byte === undefined) throw new WireFormatError('unexpected EOF');
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, result);
    }
    throw new WireFormatError('integer overflow');
  }

  bytes(length: number): Uint8Array {
    const end = this.#position + length;
    if (!Number.isSafeInteger(end) || end > this.#bytes.length) throw new WireFormatError('unexpected EOF');
    const part = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return part;
  }

  /** Little-endian. */
  fixed(length: number): bigint {
    return this.bytes(length).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  }
}
