/** HTTP/2 frames (RFC 9113): their kinds, and how they are cut out of what a socket delivers. */
import { FRAME_BYTES_MAX } from './limits.ts';

export const FRAME_HEADER_BYTES = 9;
export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const FLAG = { ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** Why a stream or a connection ends (RFC 9113 7). */
export const REASON = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

/** The peer broke the rules: the connection ends with `reason`. */
export class Http2Error extends Error {
  override readonly name = 'Http2Error';
  readonly code = 'HTTP2_PROTOCOL';
  readonly reason: number;
  constructor(reason: number, message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  /** A view into what the socket delivered. */
  readonly payload: Buffer;
}

/** Cuts the preface and then the frames out of a stream of bytes. */
export class FrameReader {
  #rest: Buffer | undefined;
  #at = 0;
  #hasPreface = false;

  push(chunk: Buffer): void {
    const rest = this.#rest;
    this.#rest =
      rest === undefined || this.#at === rest.length ? chunk : Buffer.concat([rest.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** The next whole frame; undefined until more has come. @throws {Http2Error} */
  next(): Frame | undefined {
    const bytes = this.#rest;
    if (bytes === undefined || (!this.#hasPreface && !this.#readPreface(bytes))) return undefined;
    const start = this.#at;
    if (bytes.length - start < FRAME_HEADER_BYTES) return undefined;
    const length = bytes.readUIntBE(start, 3);
    if (length > FRAME_BYTES_MAX) throw new Http2Error(REASON.frameSize, `a frame of ${length} bytes is too large`);
    const end = start + FRAME_HEADER_BYTES + length;
    if (bytes.length < end) return undefined;
    this.#at = end;
    return {
      type: bytes.readUInt8(start + 3),
      flags: bytes.readUInt8(start + 4),
      streamId: bytes.readUInt32BE(start + 5) & 0x7fff_ffff,
      payload: bytes.subarray(start + FRAME_HEADER_BYTES, end),
    };
  }

  get hasPreface(): boolean {
    return this.#hasPreface;
  }

  #readPreface(bytes: Buffer): boolean {
    const length = Math.min(bytes.length, PREFACE.length);
    if (bytes.compare(PREFACE, 0, length, 0, length) !== 0) {
      throw new Http2Error(REASON.protocol, 'the peer does not speak HTTP/2');
    }
    if (length < PREFACE.length) return false;
    this.#at = PREFACE.length;
    this.#hasPreface = true;
    return true;
  }
}

/** Writes a frame's head into `target` at `at`; gives the place after it. */
export function writeFrameHead(
  target: Buffer,
  at: number,
  frame: { readonly length: number; readonly type: number; readonly flags: number; readonly streamId: number },
): number {
  target.writeUIntBE(frame.length, at, 3);
  target[at + 3] = frame.type;
  target[at + 4] = frame.flags;
  return target.writeUInt32BE(frame.streamId, at + 5);
}

/** A whole frame. */
export function frameBytes(type: number, flags: number, streamId: number, payload: Uint8Array = NOTHING): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  const at = writeFrameHead(frame, 0, { length: payload.length, type, flags, streamId });
  frame.set(payload, at);
  return frame;
}

const NOTHING = new Uint8Array(0);

/** What DATA and HEADERS carry besides padding and priority. @throws {Http2Error} */
export function unpadded(frame: Frame): Buffer {
  let { payload } = frame;
  if ((frame.flags & FLAG.padded) !== 0) {
    const padding = payload[0] ?? payload.length;
    if (padding >= payload.length) throw new Http2Error(REASON.protocol, 'a frame is all padding');
    payload = payload.subarray(1, payload.length - padding);
  }
  if (frame.type === FRAME.headers && (frame.flags & FLAG.priority) !== 0) {
    if (payload.length < 5) throw new Http2Error(REASON.frameSize, 'a frame is too short');
    payload = payload.subarray(5);
  }
  return payload;
}
