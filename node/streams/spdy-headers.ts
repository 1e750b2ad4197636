/** SPDY/3's compressed header blocks: one compression state a direction for the whole connection. */
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';
import { SPDY_HEADER_BYTES_MAX } from '../limits.ts';
import { SPDY_DICTIONARY } from './spdy-dictionary.ts';

export type SpdyHeaders = ReadonlyMap<string, string>;

/** The peer broke the protocol; the connection ends. */
export class SpdyProtocolError extends Error {
  override readonly name = 'SpdyProtocolError';
  readonly code = 'NODE_SPDY_PROTOCOL';
}

export class HeaderDecoder {
  readonly #inflate: Inflate = createInflate({ dictionary: SPDY_DICTIONARY });
  #output: Buffer[] = [];
  #size = 0;
  #failure: Error | undefined;

  constructor() {
    this.#inflate.on('data', (chunk: Buffer) => {
      this.#size += chunk.length;
      if (this.#size <= SPDY_HEADER_BYTES_MAX) this.#output.push(chunk);
    });
    this.#inflate.on('error', error => {
      this.#failure = error;
    });
  }

  /** Blocks must come in the order of the connection. Throws {@link SpdyProtocolError}. */
  async decode(block: Uint8Array): Promise<SpdyHeaders> {
    this.#output = [];
    this.#size = 0;
    // Resolves on failure too: a broken state calls no callback.
    await new Promise<void>(resolve => {
      this.#inflate.once('error', () => resolve());
      this.#inflate.write(block, () => resolve());
    });
    this.#inflate.removeAllListeners('error');
    this.#inflate.on('error', error => {
      this.#failure = error;
    });
    if (this.#failure) throw new SpdyProtocolError('a header block cannot be inflated', { cause: this.#failure });
    if (this.#size > SPDY_HEADER_BYTES_MAX) throw new SpdyProtocolError('a header block is too large');
    return parse(Buffer.concat(this.#output));
  }

  close(): void {
    this.#inflate.close();
  }
}

export class HeaderEncoder {
  readonly #deflate: Deflate = createDeflate({ dictionary: SPDY_DICTIONARY });
  #output: Buffer[] = [];

  constructor() {
    this.#deflate.on('data', (chunk: Buffer) => this.#output.push(chunk));
  }

  /** Calls must not overlap: blocks go out in the order in which they were compressed. */
  async encode(headers: SpdyHeaders): Promise<Buffer> {
    this.#output = [];
    this.#deflate.write(format(headers));
    await new Promise<void>(resolve => this.#deflate.flush(constants.Z_SYNC_FLUSH, () => resolve()));
    return Buffer.concat(this.#output);
  }

  close(): void {
    this.#deflate.close();
  }
}

function parse(block: Buffer): SpdyHeaders {
  const headers = new Map<string, string>();
  let at = 0;
  const number = () => {
    if (at + 4 > block.length) throw new SpdyProtocolError('a header block ends too soon');
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  const text = () => {
    const length = number();
    if (at + length > block.length) throw new SpdyProtocolError('a header block ends too soon');
    at += length;
    return block.toString('utf8', at - length, at);
  };
  for (let left = number(); left > 0; left--) headers.set(text().toLowerCase(), text());
  return headers;
}

function format(headers: SpdyHeaders): Buffer {
  const parts: Buffer[] = [uint32(headers.size)];
  for (const pair of headers)
    for (const value of pair) {
      const bytes = Buffer.from(value);
      parts.push(uint32(bytes.length), bytes);
    }
  return Buffer.concat(parts);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
