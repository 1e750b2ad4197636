/**
 * SPDY/3.1 as Kubernetes uses it for exec, attach and port-forward: streams that the client opens, data both ways,
 * half-close, pings. The agent is the server to clients, and the client of a container runtime. Flow control is off, as Kubernetes' own library has it (it neither sends nor
 * heeds WINDOW_UPDATE); a slow reader is felt by the peer through the connection's own back-pressure.
 *
 * Frames (draft-mbelshe-httpbis-spdy-00 section 2.2):
 *
 *     control: 1 | version 15 | type 16 | flags 8 | length 24 | …
 *     data:    0 | stream id 31         | flags 8 | length 24 | …
 */
import { SPDY_FRAME_BYTES_MAX, SPDY_STREAMS_MAX, STREAM_BUFFER_BYTES_MAX, STREAM_CHUNK_BYTES } from '../limits.ts';
import { ByteQueue } from './byte-queue.ts';
import type { ByteChannel } from './channel.ts';
import { HeaderDecoder, HeaderEncoder, type SpdyHeaders, SpdyProtocolError } from './spdy-headers.ts';

const VERSION = 3;
const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const FLAG_FIN = 1;
const STATUS_CANCEL = 5;
const HEAD_BYTES = 8;

/** One stream that the client opened, as either side has it. */
export interface SpdyStream {
  readonly id: number;
  readonly headers: SpdyHeaders;
  /** What the peer sends; ends when it half-closes, resets, or goes away. */
  readonly incoming: AsyncIterable<Uint8Array>;
  write(bytes: Uint8Array): Promise<void>;
  /** Half-closes: nothing more will be written. */
  end(): Promise<void>;
  reset(): Promise<void>;
}

interface Frame {
  readonly isControl: boolean;
  /** Type of a control frame, stream id of a data frame. */
  readonly kind: number;
  readonly flags: number;
  readonly body: Buffer;
}

export class SpdyConnection {
  readonly #channel: ByteChannel;
  readonly #onStream: (stream: SpdyStream) => void;
  readonly #queues = new Map<number, ByteQueue>();
  readonly #decoder = new HeaderDecoder();
  readonly #encoder = new HeaderEncoder();
  /** Frames go out one after the other; compression needs that order too. */
  #writing: Promise<void> = Promise.resolve();
  #nextId = 1;

  /** `onStream` is called for each stream in the order of the client's; its reply is on the way. */
  constructor(channel: ByteChannel, onStream: (stream: SpdyStream) => void) {
    this.#channel = channel;
    this.#onStream = onStream;
  }

  /** Fires when the connection is closed. */
  get signal(): AbortSignal {
    return this.#channel.signal;
  }

  /** Reads until the connection ends. Never rejects: a peer that breaks the protocol is hung up on. */
  async run(): Promise<void> {
    try {
      for await (const frame of frames(this.#channel.incoming)) await this.#handle(frame);
    } catch (error) {
      if (!(error instanceof SpdyProtocolError)) throw error;
    } finally {
      for (const queue of this.#queues.values()) queue.end();
      this.#queues.clear();
      this.#channel.destroy();
      this.#decoder.close();
      await this.#writing;
      this.#encoder.close();
    }
  }

  /** Opens a stream, as the client's side does. Names of headers are in lower case. */
  async open(headers: SpdyHeaders): Promise<SpdyStream> {
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = this.#stream(id, headers);
    await this.#send(async () => {
      const block = await this.#encoder.encode(headers);
      const head = Buffer.alloc(10);
      head.writeUInt32BE(id);
      return [control(SYN_STREAM, 0, Buffer.concat([head, block]))];
    });
    return stream;
  }

  /** Sends what is written, says goodbye, and ends. */
  async close(): Promise<void> {
    await this.#send(() => [control(GOAWAY, 0, Buffer.alloc(8))]);
    this.#channel.end();
  }

  async #handle({ isControl, kind, flags, body }: Frame): Promise<void> {
    if (!isControl) {
      const queue = this.#queues.get(kind);
      await queue?.push(body);
      if (flags & FLAG_FIN) this.#endIncoming(kind);
      return;
    }
    switch (kind) {
      case SYN_STREAM:
        return this.#open(body, flags);
      case RST_STREAM:
        if (body.length >= 4) this.#endIncoming(body.readUInt32BE(0) & 0x7fff_ffff);
        return;
      case PING:
        // The peer's have its numbers (odd for a client) and want their echo; others would answer ours, and we send none.
        if (body.length >= 4 && body.readUInt32BE(0) % 2 === (this.#nextId === 1 ? 1 : 0))
          await this.#send(() => [control(PING, 0, body)]);
        return;
      default:
        // SYN_REPLY, SETTINGS, WINDOW_UPDATE, HEADERS and GOAWAY change nothing here.
        return;
    }
  }

  async #open(body: Buffer, flags: number): Promise<void> {
    if (body.length < 10) throw new SpdyProtocolError('SYN_STREAM is too short');
    if (this.#queues.size >= SPDY_STREAMS_MAX) throw new SpdyProtocolError('too many streams');
    const id = body.readUInt32BE(0) & 0x7fff_ffff;
    if (id % 2 === 0 || this.#queues.has(id)) throw new SpdyProtocolError(`bad stream id ${id}`);
    const headers = await this.#decoder.decode(body.subarray(10));
    const stream = this.#stream(id, headers);
    void this.#reply(id);
    if (flags & FLAG_FIN) this.#endIncoming(id);
    this.#onStream(stream);
  }

  #stream(id: number, headers: SpdyHeaders): SpdyStream {
    const queue = new ByteQueue(STREAM_BUFFER_BYTES_MAX);
    this.#queues.set(id, queue);
    return {
      id,
      headers,
      incoming: queue,
      write: bytes => this.#write(id, bytes),
      end: () => this.#send(() => [data(id, FLAG_FIN, Buffer.alloc(0))]),
      reset: () => this.#reset(id),
    };
  }

  #reply(id: number): Promise<void> {
    return this.#send(async () => {
      const block = await this.#encoder.encode(new Map());
      const head = Buffer.alloc(4);
      head.writeUInt32BE(id);
      return [control(SYN_REPLY, 0, Buffer.concat([head, block]))];
    });
  }

  async #write(id: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += STREAM_CHUNK_BYTES) {
      const chunk = bytes.subarray(at, at + STREAM_CHUNK_BYTES);
      await this.#send(() => [data(id, 0, chunk)]);
    }
  }

  #reset(id: number): Promise<void> {
    this.#endIncoming(id);
    const body = Buffer.alloc(8);
    body.writeUInt32BE(id);
    body.writeUInt32BE(STATUS_CANCEL, 4);
    return this.#send(() => [control(RST_STREAM, 0, body)]);
  }

  #endIncoming(id: number): void {
    this.#queues.get(id)?.end();
    this.#queues.delete(id);
  }

  #send(make: () => Uint8Array[] | Promise<Uint8Array[]>): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      if (this.#channel.signal.aborted) return;
      for (const bytes of await make()) await this.#channel.write(bytes);
    });
    return this.#writing;
  }
}

function control(type: number, flags: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt16BE(0x8000 | VERSION, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt32BE(((flags << 24) | body.length) >>> 0, 4);
  return Buffer.concat([head, body]);
}

function data(streamId: number, flags: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(streamId, 0);
  head.writeUInt32BE(((flags << 24) | body.length) >>> 0, 4);
  return Buffer.concat([head, body]);
}

/** Cuts the bytes into frames. Throws {@link SpdyProtocolError} for one that is too large. */
async function* frames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const parts: Uint8Array[] = [];
  let have = 0;
  let need = HEAD_BYTES;
  for await (const chunk of chunks) {
    parts.push(chunk);
    have += chunk.length;
    if (have < need) continue;
    let rest = Buffer.concat(parts);
    parts.length = 0;
    for (;;) {
      if (rest.length < HEAD_BYTES) {
        need = HEAD_BYTES;
        break;
      }
      const length = rest.readUInt32BE(4) & 0xff_ffff;
      if (length > SPDY_FRAME_BYTES_MAX) throw new SpdyProtocolError(`a frame of ${length} bytes is too large`);
      need = HEAD_BYTES + length;
      if (rest.length < need) break;
      yield frameOf(rest.subarray(0, need));
      rest = rest.subarray(need);
    }
    if (rest.length > 0) parts.push(rest);
    have = rest.length;
  }
}

function frameOf(bytes: Buffer): Frame {
  const first = bytes.readUInt32BE(0);
  const isControl = first >>> 31 === 1;
  const kind = isControl ? first & 0xffff : first & 0x7fff_ffff;
  return { isControl, kind, flags: bytes[4] ?? 0, body: bytes.subarray(HEAD_BYTES) };
}
