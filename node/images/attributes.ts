/**
 * Extended attributes of an archive's entries. Libraries read pax records as text, and a capability is bytes that are no
 * text; so the records are read again here, from the same bytes, as they pass. What is not followed to the letter is
 * only the attributes: a sniffer that lost its way finds none.
 */
import { Transform } from 'node:stream';

export interface Attribute {
  readonly name: string;
  readonly value: Buffer;
}

const blockBytes = 512;
const paxBytesMax = 1024 * 1024;
const prefix = 'SCHILY.xattr.';

/** Attributes of headers in the order in which entries follow; the reader of entries takes them by {@link takeAttributes}. */
export class AttributeSniffer extends Transform {
  readonly #found: (readonly Attribute[])[] = [];
  #buffer = Buffer.alloc(0);
  #skip = 0;
  #pax: { readonly size: number; readonly global: boolean } | undefined;
  #pending: readonly Attribute[] = [];

  override _transform(chunk: Buffer, _encoding: string, done: (error: Error | null, chunk: Buffer) => void): void {
    this.#read(chunk);
    done(null, chunk);
  }

  /** The attributes of the next entry. */
  takeAttributes(): readonly Attribute[] {
    return this.#found.shift() ?? [];
  }

  #read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      const wanted = this.#pax === undefined ? blockBytes : padded(this.#pax.size);
      const part = chunk.subarray(at, at + wanted - this.#buffer.length);
      this.#buffer = Buffer.concat([this.#buffer, part]);
      at += part.length;
      if (this.#buffer.length < wanted) return;
      const block = this.#buffer;
      this.#buffer = Buffer.alloc(0);
      if (this.#pax === undefined) this.#header(block);
      else this.#records(block);
    }
  }

  #header(block: Buffer): void {
    if (block.every(byte => byte === 0)) return;
    const size = sizeIn(block);
    const type = String.fromCharCode(block[156] ?? 0);
    if (type === 'x' || type === 'g') {
      if (size > 0 && size <= paxBytesMax) this.#pax = { size, global: type === 'g' };
      else this.#skip = padded(size);
      return;
    }
    if (type === 'L' || type === 'K') {
      this.#skip = padded(size);
      return;
    }
    this.#found.push(this.#pending);
    this.#pending = [];
    // Directories have no content, whatever their header says.
    const large = this.#paxSize ?? size;
    this.#paxSize = undefined;
    this.#skip = type === '5' ? 0 : padded(large);
  }

  #paxSize: number | undefined;

  #records(block: Buffer): void {
    const pax = this.#pax;
    this.#pax = undefined;
    if (pax === undefined || pax.global) return;
    const attributes: Attribute[] = [];
    for (let at = 0; at < pax.size; ) {
      const space = block.indexOf(0x20, at);
      const length = Number(block.subarray(at, space).toString('latin1'));
      if (space === -1 || !Number.isSafeInteger(length) || length <= 0) break;
      const equals = block.indexOf(0x3d, space);
      const key = block.subarray(space + 1, equals).toString();
      const value = block.subarray(equals + 1, at + length - 1);
      if (key.startsWith(prefix)) attributes.push({ name: key.slice(prefix.length), value: Buffer.from(value) });
      if (key === 'size') this.#paxSize = Number(value.toString());
      at += length;
    }
    this.#pending = attributes;
  }
}

function padded(size: number): number {
  return Math.ceil(size / blockBytes) * blockBytes;
}

/** Octal text, or with the top bit set a binary number (GNU). */
function sizeIn(block: Buffer): number {
  const field = block.subarray(124, 136);
  if (((field[0] ?? 0) & 0x80) !== 0) return Number(field.readBigUInt64BE(4));
  return Number.parseInt(field.toString('latin1').replaceAll('\0', ' ').trim() || '0', 8) || 0;
}
