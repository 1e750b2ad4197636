/** gRPC's messages in a stream of bytes: one byte for compression, four for the length, the message. */
import { MESSAGE_BYTES_MAX } from '../limits.ts';
import type { Message } from '../proto/message.ts';
import { GrpcError, STATUS } from './status.ts';

/** What stands before each message. */
export const PREFIX_BYTES = 5;

/** Cuts messages out of a stream of bytes, each as soon as it is whole. */
export class Deframer {
  #rest: Buffer | undefined;

  push(chunk: Buffer): void {
    this.#rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
  }

  /** The next whole message; undefined while it is not all there. Throws {@link GrpcError} if it is too large, or compressed. */
  next(): Buffer | undefined {
    const bytes = this.#rest;
    if (bytes === undefined || bytes.length < PREFIX_BYTES) return undefined;
    if (bytes[0] !== 0) throw new GrpcError(STATUS.unimplemented, 'compressed messages are not understood here');
    const length = bytes.readUInt32BE(1);
    if (length > MESSAGE_BYTES_MAX) {
      const text = `grpc: received message larger than max (${length} vs. ${MESSAGE_BYTES_MAX})`;
      throw new GrpcError(STATUS.resourceExhausted, text);
    }
    const end = PREFIX_BYTES + length;
    if (bytes.length < end) return undefined;
    this.#rest = bytes.length === end ? undefined : bytes.subarray(end);
    return bytes.subarray(PREFIX_BYTES, end);
  }
}

/** A message as it is sent, uncompressed. */
export function framed<Init>(message: Message<Init, unknown>, value: Init): Buffer {
  const bytes = message.encode(value, PREFIX_BYTES);
  bytes[0] = 0;
  bytes.writeUInt32BE(bytes.length - PREFIX_BYTES, 1);
  return bytes;
}
