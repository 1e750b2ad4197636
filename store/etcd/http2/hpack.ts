/**
 * HPACK (RFC 7541): how header fields travel. The decoder keeps the whole table that the peer fills; the encoder puts only
 * what every answer holds into its table, and sends all else as plain text.
 */
import { huffmanDecoded } from './huffman.ts';
import { HEADER_LIST_BYTES_MAX, HEADER_TABLE_BYTES } from './limits.ts';

export type Header = readonly [name: string, value: string];

/** What a field counts besides its characters (RFC 7541 4.1). */
const FIELD_OVERHEAD_BYTES = 32;

/** The peer's fields cannot be read: the tables of both sides have parted, so the connection cannot go on. */
export class HpackError extends Error {
  override readonly name = 'HpackError';
  readonly code = 'HTTP2_COMPRESSION';
}

export class HpackDecoder {
  readonly #table = new DynamicTable(HEADER_TABLE_BYTES);
  #block: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** Reads the fields of one block. @throws {HpackError} */
  decode(block: Uint8Array): Map<string, string> {
    this.#block = block;
    this.#at = 0;
    const headers = new Map<string, string>();
    let sizeBytes = 0;
    while (this.#at < block.length) {
      const header = this.#next();
      if (header === undefined) continue;
      const [name, value] = header;
      sizeBytes += name.length + value.length + FIELD_OVERHEAD_BYTES;
      if (sizeBytes > HEADER_LIST_BYTES_MAX) throw new HpackError('the header fields are too large');
      const before = headers.get(name);
      headers.set(name, before === undefined ? value : `${before},${value}`);
    }
    return headers;
  }

  /** The next field; undefined for a change of the table's size. */
  #next(): Header | undefined {
    const first = this.#block[this.#at] ?? 0;
    if (first >= 0x80) return this.#lookUp(this.#integer(7));
    if (first >= 0x40) {
      const header = this.#literal(6);
      this.#table.add(header);
      return header;
    }
    if (first >= 0x20) {
      const sizeBytes = this.#integer(5);
      if (sizeBytes > HEADER_TABLE_BYTES) throw new HpackError('the header table is larger than allowed');
      this.#table.resize(sizeBytes);
      return undefined;
    }
    return this.#literal(4);
  }

  #literal(prefixBits: number): Header {
    const index = this.#integer(prefixBits);
    const name = index === 0 ? this.#text() : this.#lookUp(index)[0];
    return [name, this.#text()];
  }

  #lookUp(index: number): Header {
    const header =
      index <= STATIC_TABLE.length ? STATIC_TABLE[index - 1] : this.#table.get(index - STATIC_TABLE.length);
    if (header === undefined) throw new HpackError(`there is no header field ${index}`);
    return header;
  }

  #text(): string {
    const isHuffman = (this.#block[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(7);
    const end = this.#at + length;
    if (end > this.#block.length) throw new HpackError('the header fields end too early');
    const bytes = this.#block.subarray(this.#at, end);
    this.#at = end;
    if (!isHuffman) return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1');
    try {
      return huffmanDecoded(bytes);
    } catch (error) {
      throw new HpackError('a header field cannot be read', { cause: error });
    }
  }

  /** An integer in the low bits of the present byte and, if they are all ones, in those after it (RFC 7541 5.1). */
  #integer(prefixBits: number): number {
    const full = 2 ** prefixBits - 1;
    let value = this.#byte() & full;
    if (value < full) return value;
    for (let scale = 1; scale < 2 ** 28; scale *= 0x80) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new HpackError('a number in the header fields is too large');
  }

  #byte(): number {
    const byte = this.#block[this.#at++];
    if (byte === undefined) throw new HpackError('the header fields end too early');
    return byte;
  }
}

/** The youngest field has index 1. */
class DynamicTable {
  #sizeBytesMax: number;
  #sizeBytes = 0;
  /** Youngest last. */
  readonly #headers: Header[] = [];

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax;
  }

  get(index: number): Header | undefined {
    return this.#headers[this.#headers.length - index];
  }

  add(header: Header): void {
    this.#headers.push(header);
    this.#sizeBytes += fieldBytes(header);
    this.#evict();
  }

  resize(sizeBytesMax: number): void {
    this.#sizeBytesMax = sizeBytesMax;
    this.#evict();
  }

  #evict(): void {
    while (this.#sizeBytes > this.#sizeBytesMax) {
      const oldest = this.#headers.shift();
      if (oldest === undefined) return;
      this.#sizeBytes -= fieldBytes(oldest);
    }
  }
}

/** Writes the fields of answers. Fields given as constants (the same array each time) go into the peer's table once. */
export class HpackEncoder {
  /** Oldest first: the last has index 62. */
  readonly #indexed: Header[] = [];
  #isIndexing = true;
  #mustEmptyTable = false;
  /** Blocks of constants only, as long as no index changes. */
  readonly #blocks = new Map<readonly Header[], Buffer>();

  /** What the peer's table may hold. A small one is not used at all. */
  setTableSize(sizeBytes: number): void {
    if (sizeBytes >= HEADER_TABLE_BYTES || !this.#isIndexing) return;
    this.#isIndexing = false;
    this.#mustEmptyTable = true;
    this.#indexed.length = 0;
    this.#blocks.clear();
  }

  /** @param constants fields that are worth an index; @param others fields that are not */
  encode(constants: readonly Header[], others: readonly Header[] = []): Buffer {
    if (others.length > 0 || this.#mustEmptyTable) return this.#encode(constants, others);
    const known = this.#blocks.get(constants);
    if (known !== undefined) return known;
    const indexedBefore = this.#indexed.length;
    const block = this.#encode(constants, others);
    if (this.#indexed.length === indexedBefore) this.#blocks.set(constants, block);
    return block;
  }

  #encode(constants: readonly Header[], others: readonly Header[]): Buffer {
    const parts: Buffer[] = [];
    if (this.#mustEmptyTable) {
      this.#mustEmptyTable = false;
      parts.push(Buffer.from([0x20]));
    }
    for (const header of constants) parts.push(this.#constant(header));
    for (const header of others) parts.push(literal(0x00, header));
    return Buffer.concat(parts);
  }

  #constant(header: Header): Buffer {
    const fixed = STATIC_TABLE.findIndex(([name, value]) => name === header[0] && value === header[1]);
    if (fixed !== -1) return Buffer.from([0x80 | (fixed + 1)]);
    if (!this.#isIndexing) return literal(0x00, header);
    const known = this.#indexed.indexOf(header);
    if (known !== -1) return Buffer.from([0x80 | (STATIC_TABLE.length + this.#indexed.length - known)]);
    this.#indexed.push(header);
    this.#blocks.clear();
    return literal(0x40, header);
  }
}

function literal(kind: number, [name, value]: Header): Buffer {
  return Buffer.concat([Buffer.from([kind]), plain(name), plain(value)]);
}

function plain(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const length: number[] = [];
  if (bytes.length < 0x7f) length.push(bytes.length);
  else {
    length.push(0x7f);
    let rest = bytes.length - 0x7f;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) length.push((rest % 0x80) | 0x80);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

function fieldBytes([name, value]: Header): number {
  return name.length + value.length + FIELD_OVERHEAD_BYTES;
}

/** RFC 7541, appendix A, in order. */
const STATIC_TABLE: readonly Header[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...[
    'accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control',
    'content-disposition content-encoding content-language content-length content-location content-range content-type',
    'cookie date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since',
    'last-modified link location max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after',
    'server set-cookie strict-transport-security transfer-encoding user-agent vary via www-authenticate',
  ]
    .join(' ')
    .split(' ')
    .map((name): Header => [name, '']),
];
