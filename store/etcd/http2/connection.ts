/**
 * One HTTP/2 connection, server side (RFC 9113), for gRPC: no push, no priorities. Ours because node:http2 takes 90 µs of
 * processor time for a small unary call, most of it in per-stream objects and callbacks between C++ and JavaScript; this
 * takes a tenth of that by answering a call with one piece of bytes and writing all pieces of a turn at once.
 *
 * Invariants: frames leave in the order in which they were queued; DATA never exceeds what the peer's windows allow; what a
 * peer can make us hold is bounded (`limits.ts`): while it leaves too much unread itself, nothing more is read from it.
 */
import type { Socket } from 'node:net';
import type { TurnClock } from '../../clock.ts';
import { FLAG, FRAME, type Frame, FrameReader, frameBytes, Http2Error, REASON, SETTING, unpadded } from './frames.ts';
import { type Header, HpackDecoder, HpackEncoder, HpackError } from './hpack.ts';
import {
  CONNECTION_WINDOW_BYTES,
  FRAME_BYTES_MAX,
  HEADER_BLOCK_BYTES_MAX,
  HEADER_LIST_BYTES_MAX,
  PREFACE_TIMEOUT_MS,
  STREAM_WINDOW_BYTES,
  STREAMS_MAX,
  TCP_KEEPALIVE_MS,
  UNREAD_BYTES_MAX,
} from './limits.ts';
import { Http2Stream, type StreamHost, type StreamListener } from './stream.ts';

const DEFAULT_WINDOW_BYTES = 65_535;
const WINDOW_BYTES_MAX = 2 ** 31 - 1;

export interface Http2ConnectionOptions {
  readonly socket: Socket;
  readonly clock: TurnClock;
  /** A request has begun; the answer hears what else comes of it. */
  readonly accept: (stream: Http2Stream, headers: ReadonlyMap<string, string>) => StreamListener;
  readonly onClose: () => void;
  /** The peer broke the rules. */
  readonly onProblem: (error: Error) => void;
}

export class Http2Connection implements StreamHost {
  readonly #options: Http2ConnectionOptions;
  readonly #reader = new FrameReader();
  readonly #decoder = new HpackDecoder();
  readonly #encoder = new HpackEncoder();
  readonly #streams = new Map<number, Http2Stream>();
  /** Streams with DATA that the connection's window does not let out, in the order in which they get their turn. */
  readonly #blocked = new Set<Http2Stream>();
  /** Streams whose writers wait until what is queued has left. */
  readonly #crowded = new Set<Http2Stream>();
  #lastStreamId = 0;
  /** A header block that goes on in CONTINUATION frames. */
  #open: { readonly streamId: number; readonly endStream: boolean; block: Buffer } | undefined;
  #sendWindow = DEFAULT_WINDOW_BYTES;
  #peerStreamWindow = DEFAULT_WINDOW_BYTES;
  #peerFrameBytesMax = FRAME_BYTES_MAX;
  #unacknowledgedBytes = 0;
  #out: Buffer[] = [];
  #outBytes = 0;
  #isFlushing = false;
  #isPaused = false;
  #isClosing = false;
  #isClosed = false;

  constructor(options: Http2ConnectionOptions) {
    this.#options = options;
    const { socket, clock } = options;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => this.#drained());
    socket.on('error', () => this.#close());
    socket.on('close', () => this.#close());
    const cancel = clock.setTimeout(() => {
      if (!this.#reader.hasPreface) socket.destroy();
    }, PREFACE_TIMEOUT_MS);
    socket.once('close', cancel);
    this.#greet();
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** Takes no new streams; what is under way may end. Closes once nothing is. */
  goAway(): void {
    if (this.#isClosing || this.#isClosed) return;
    this.#isClosing = true;
    this.#sendGoAway(REASON.none);
    this.#endIfIdle();
  }

  /** Closes at once. */
  destroy(): void {
    this.#options.socket.destroy();
    this.#close();
  }

  // What streams ask of their connection.

  get peerFrameBytesMax(): number {
    return this.#peerFrameBytesMax;
  }
  get windowBytes(): number {
    return this.#sendWindow;
  }
  takeWindow(wantedBytes: number): number {
    const granted = Math.max(0, Math.min(wantedBytes, this.#sendWindow));
    this.#sendWindow -= granted;
    return granted;
  }
  blocked(stream: Http2Stream): void {
    this.#blocked.add(stream);
  }
  waitForRoom(stream: Http2Stream): void {
    this.#crowded.add(stream);
  }
  encode(constants: readonly Header[], others?: readonly Header[]): Buffer {
    return this.#encoder.encode(constants, others);
  }
  get unsentBytes(): number {
    return this.#outBytes + this.#options.socket.writableLength;
  }
  /** Queues whole frames; those of one batch of answers are written together. */
  send(bytes: Buffer): void {
    if (this.#isClosed) return;
    this.#out.push(bytes);
    this.#outBytes += bytes.length;
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#options.clock.afterPromises(() => this.#flush());
  }
  ended(stream: Http2Stream): void {
    this.#streams.delete(stream.id);
    this.#blocked.delete(stream);
    this.#crowded.delete(stream);
    this.#endIfIdle();
  }

  #greet(): void {
    const settings = Buffer.alloc(24);
    const list = [
      [SETTING.maxConcurrentStreams, STREAMS_MAX],
      [SETTING.initialWindowSize, STREAM_WINDOW_BYTES],
      [SETTING.maxHeaderListSize, HEADER_LIST_BYTES_MAX],
      [SETTING.enablePush, 0],
    ] as const;
    for (const [at, [setting, value]] of list.entries()) {
      settings.writeUInt16BE(setting, at * 6);
      settings.writeUInt32BE(value, at * 6 + 2);
    }
    this.send(frameBytes(FRAME.settings, 0, 0, settings));
    this.#sendWindowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
  }

  #receive(chunk: Buffer): void {
    if (this.#isClosed) return;
    try {
      this.#reader.push(chunk);
      for (let frame = this.#reader.next(); frame !== undefined; frame = this.#reader.next()) this.#handle(frame);
    } catch (error) {
      this.#fail(error);
    }
    this.#maybePause();
  }

  #handle(frame: Frame): void {
    if (this.#open !== undefined && (frame.type !== FRAME.continuation || frame.streamId !== this.#open.streamId)) {
      throw new Http2Error(REASON.protocol, 'a header block was interrupted');
    }
    switch (frame.type) {
      case FRAME.data:
        this.#handleData(frame);
        break;
      case FRAME.headers:
        this.#handleHeaders(frame);
        break;
      case FRAME.continuation:
        this.#handleContinuation(frame);
        break;
      case FRAME.resetStream:
        if (frame.payload.length !== 4) throw new Http2Error(REASON.frameSize, 'RST_STREAM has four bytes');
        this.#streams.get(frame.streamId)?.resetByPeer();
        break;
      case FRAME.settings:
        this.#handleSettings(frame);
        break;
      case FRAME.ping:
        this.#handlePing(frame);
        break;
      case FRAME.windowUpdate:
        this.#handleWindowUpdate(frame);
        break;
      case FRAME.pushPromise:
        throw new Http2Error(REASON.protocol, 'clients do not push');
      default:
        // PRIORITY, GOAWAY and frames that are not known ask nothing of a server.
        break;
    }
  }

  #handleHeaders(frame: Frame): void {
    const { streamId } = frame;
    if (streamId % 2 === 0) throw new Http2Error(REASON.protocol, 'a client opens streams of odd numbers');
    this.#open = { streamId, endStream: (frame.flags & FLAG.endStream) !== 0, block: unpadded(frame) };
    if ((frame.flags & FLAG.endHeaders) !== 0) this.#finishHeaders();
  }

  #handleContinuation(frame: Frame): void {
    const open = this.#open;
    if (open === undefined) throw new Http2Error(REASON.protocol, 'no header block is open');
    if (open.block.length + frame.payload.length > HEADER_BLOCK_BYTES_MAX || frame.payload.length === 0) {
      throw new Http2Error(REASON.enhanceYourCalm, 'a header block is too large');
    }
    open.block = Buffer.concat([open.block, frame.payload]);
    if ((frame.flags & FLAG.endHeaders) !== 0) this.#finishHeaders();
  }

  #finishHeaders(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    // Whatever becomes of the stream, its fields must pass through the decoder: both sides' tables depend on it.
    const headers = this.#decoder.decode(open.block);
    const { streamId, endStream } = open;
    const known = this.#streams.get(streamId);
    if (known !== undefined) {
      // Trailers of a request: gRPC clients send none that matter.
      if (!endStream) throw new Http2Error(REASON.protocol, 'trailers must end their stream');
      known.endedByPeer();
      return;
    }
    // A frame of a stream that has ended here may still have been under way.
    if (streamId <= this.#lastStreamId) return;
    this.#lastStreamId = streamId;
    if (this.#isClosing) return;
    if (this.#streams.size >= STREAMS_MAX) this.#reset(streamId, REASON.refusedStream);
    else this.#begin(streamId, headers, endStream);
  }

  #begin(streamId: number, headers: ReadonlyMap<string, string>, endStream: boolean): void {
    const stream = new Http2Stream(streamId, this, this.#peerStreamWindow);
    this.#streams.set(streamId, stream);
    stream.listen(this.#options.accept(stream, headers));
    if (endStream) stream.endedByPeer();
  }

  #handleData(frame: Frame): void {
    if (frame.streamId === 0 || frame.streamId > this.#lastStreamId) {
      throw new Http2Error(REASON.protocol, 'DATA of a stream that was never opened');
    }
    this.#acknowledge(frame.payload.length);
    const stream = this.#streams.get(frame.streamId);
    if (stream === undefined) return;
    stream.received(frame.payload.length, unpadded(frame));
    if ((frame.flags & FLAG.endStream) !== 0) stream.endedByPeer();
  }

  /** The connection's window is given back as bytes come; the streams' windows are what holds a sender up. */
  #acknowledge(bytes: number): void {
    this.#unacknowledgedBytes += bytes;
    if (this.#unacknowledgedBytes < CONNECTION_WINDOW_BYTES / 4) return;
    this.#sendWindowUpdate(0, this.#unacknowledgedBytes);
    this.#unacknowledgedBytes = 0;
  }

  #handlePing(frame: Frame): void {
    if (frame.payload.length !== 8) throw new Http2Error(REASON.frameSize, 'PING has eight bytes');
    if ((frame.flags & FLAG.ack) === 0) this.send(frameBytes(FRAME.ping, FLAG.ack, 0, frame.payload));
  }

  #handleSettings(frame: Frame): void {
    if ((frame.flags & FLAG.ack) !== 0) return;
    const { payload } = frame;
    if (payload.length % 6 !== 0) throw new Http2Error(REASON.frameSize, 'SETTINGS come in sixes of bytes');
    for (let at = 0; at < payload.length; at += 6) this.#apply(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    this.send(frameBytes(FRAME.settings, FLAG.ack, 0));
  }

  #apply(setting: number, value: number): void {
    if (setting === SETTING.headerTableSize) this.#encoder.setTableSize(value);
    else if (setting === SETTING.maxFrameSize) this.#peerFrameBytesMax = Math.max(FRAME_BYTES_MAX, value);
    else if (setting === SETTING.initialWindowSize) {
      if (value > WINDOW_BYTES_MAX) throw new Http2Error(REASON.flowControl, 'a window is too large');
      const change = value - this.#peerStreamWindow;
      this.#peerStreamWindow = value;
      for (const stream of [...this.#streams.values()]) stream.windowGrew(change);
    }
  }

  #handleWindowUpdate(frame: Frame): void {
    if (frame.payload.length !== 4) throw new Http2Error(REASON.frameSize, 'WINDOW_UPDATE has four bytes');
    const bytes = frame.payload.readUInt32BE(0) & 0x7fff_ffff;
    if (bytes === 0) throw new Http2Error(REASON.protocol, 'a window grows by nothing');
    if (frame.streamId !== 0) {
      this.#streams.get(frame.streamId)?.windowGrew(bytes);
      return;
    }
    this.#sendWindow += bytes;
    if (this.#sendWindow > WINDOW_BYTES_MAX) throw new Http2Error(REASON.flowControl, 'a window is too large');
    const waiting = [...this.#blocked];
    this.#blocked.clear();
    for (const stream of waiting) stream.windowGrew(0);
  }

  #flush(): void {
    this.#isFlushing = false;
    if (this.#isClosed || this.#out.length === 0) return;
    const bytes = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out, this.#outBytes);
    this.#out = [];
    this.#outBytes = 0;
    if (bytes !== undefined && this.#options.socket.write(bytes)) this.#drained();
    this.#maybePause();
    this.#endIfIdle();
  }

  #maybePause(): void {
    if (this.#isPaused || this.unsentBytes <= UNREAD_BYTES_MAX) return;
    this.#isPaused = true;
    this.#options.socket.pause();
  }

  #drained(): void {
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#options.socket.resume();
    }
    for (const stream of [...this.#crowded]) if (stream.maybeRoom()) this.#crowded.delete(stream);
  }

  #reset(streamId: number, reason: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(reason);
    this.send(frameBytes(FRAME.resetStream, 0, streamId, payload));
  }

  #sendWindowUpdate(streamId: number, bytes: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(bytes);
    this.send(frameBytes(FRAME.windowUpdate, 0, streamId, payload));
  }

  #sendGoAway(reason: number): void {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(this.#lastStreamId);
    payload.writeUInt32BE(reason, 4);
    this.send(frameBytes(FRAME.goAway, 0, 0, payload));
  }

  /** The peer broke the rules: it is told why, and the connection ends. */
  #fail(error: unknown): void {
    const problem = error instanceof Error ? error : new Error(String(error));
    this.#options.onProblem(problem);
    const reason =
      error instanceof Http2Error ? error.reason : error instanceof HpackError ? REASON.compression : REASON.internal;
    this.#sendGoAway(reason);
    this.#flush();
    this.#options.socket.destroySoon();
    this.#close();
  }

  #endIfIdle(): void {
    if (!this.#isClosing || this.#streams.size > 0 || this.#outBytes > 0 || this.#isClosed) return;
    this.#options.socket.end();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of [...this.#streams.values()]) stream.resetByPeer();
    this.#streams.clear();
    this.#options.onClose();
  }
}
