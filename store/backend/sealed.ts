/** A value with its CRC, as batches lie on disk. */
import { crc32 } from 'node:zlib';

const CRC_BYTES = 4;

export function seal(value: Uint8Array): Uint8Array {
  const sealed = Buffer.allocUnsafe(value.length + CRC_BYTES);
  sealed.set(value, 0);
  sealed.writeUInt32BE(crc32(value), value.length);
  return sealed;
}

/** Gives the value, or undefined if it does not match its CRC. */
export function unseal(sealed: Uint8Array): Uint8Array | undefined {
  const end = sealed.length - CRC_BYTES;
  if (end < 0) return undefined;
  const value = sealed.subarray(0, end);
  return crc32(value) === Buffer.from(sealed.buffer, sealed.byteOffset + end, CRC_BYTES).readUInt32BE(0)
    ? value
    : undefined;
}
