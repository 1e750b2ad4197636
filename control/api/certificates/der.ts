/** Reads DER (X.690), as much as certificates and requests for them need. */

/** One element: its tag byte, its content, and the whole of it with its header. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

export const SEQUENCE = 0x30;
export const OBJECT_IDENTIFIER = 0x06;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const INTEGER = 0x02;

/** @throws {DerError} what is wrong, in a few words. */
export class DerError extends Error {
  override readonly name = 'DerError';
  readonly code = 'DER_MALFORMED';
}

/** The elements that stand side by side in `bytes`. */
export function readElements(bytes: Uint8Array): DerElement[] {
  const elements: DerElement[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const element = readElement(bytes, offset);
    elements.push(element);
    offset += element.whole.length;
  }
  return elements;
}

function readElement(bytes: Uint8Array, start: number): DerElement {
  const tag = bytes[start];
  const first = bytes[start + 1];
  if (tag === undefined || first === undefined) throw new DerError('asn1: syntax error: data truncated');
  if ((tag & 0x1f) === 0x1f) throw new DerError('asn1: structure error: tags of several bytes are not known');
  let length = first;
  let header = 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    // Four bytes of length are more than any request may have.
    if (count === 0 || count > 4) throw new DerError('asn1: structure error: length too large');
    length = 0;
    for (let index = 0; index < count; index++) {
      const byte = bytes[start + 2 + index];
      if (byte === undefined) throw new DerError('asn1: syntax error: truncated base 128 integer');
      length = length * 256 + byte;
    }
    header += count;
  }
  const end = start + header + length;
  if (end > bytes.length) throw new DerError('asn1: syntax error: data truncated');
  return { tag, content: bytes.subarray(start + header, end), whole: bytes.subarray(start, end) };
}

/** The element at `index`, which must have this tag. */
export function expectElement(elements: readonly DerElement[], index: number, tag: number): DerElement {
  const element = elements[index];
  if (!element || element.tag !== tag) throw new DerError('asn1: structure error: tags don’t match');
  return element;
}

/** An object identifier's dotted text. */
export function oidText(content: Uint8Array): string {
  const parts: number[] = [];
  let value = 0;
  for (const byte of content) {
    value = value * 128 + (byte & 0x7f);
    if (!Number.isSafeInteger(value)) throw new DerError('asn1: structure error: base 128 integer too large');
    if (byte & 0x80) continue;
    if (parts.length === 0) {
      const root = Math.min(Math.floor(value / 40), 2);
      parts.push(root, value - root * 40);
    } else parts.push(value);
    value = 0;
  }
  return parts.join('.');
}
