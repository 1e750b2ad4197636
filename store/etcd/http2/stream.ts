/** One stream of an HTTP/2 connection: what came of a request, and the answer as far as the peer's window lets it out. */
import { FLAG, FRAME, FRAME_HEADER_BYTES, frameBytes, Http2Error, REASON, writeFrameHead } from './frames.ts';
import type { Header } from './hpack.ts';
import { STREAM_UNSENT_BYTES_MAX, STREAM_WINDOW_BYTES } from './limits.ts';

/** Hears what comes of a request. */
export interface StreamListener {
  /** A view into what the socket delivered: valid only during the call, unless copied. */
  data(chunk: Buffer): void;
  /** The request is complete. */
  end(): void;
  /** The peer does not want the answer any more, or is gone. Nothing follows. */
  aborted(): void;
}

/** What a stream asks of its connection. */
export interface StreamHost {
  readonly peerFrameBytesMax: number;
  readonly unsentBytes: number;
  /** What the peer lets out on the whole connection. */
  readonly windowBytes: number;
  /** Counts up to so many bytes as sent; gives how many may be. */
  takeWindow(wantedBytes: number): number;
  /** Calls `windowGrew` when the connection's window has grown. */
  blocked(stream: Http2Stream): void;
  /** Calls `maybeRoom` when what was queued has left. */
  waitForRoom(stream: Http2Stream): void;
  encode(constants: readonly Header[], others?: readonly Header[]): Buffer;
  send(bytes: Buffer): void;
  ended(stream: Http2Stream): void;
}

/** Fields that are sent, constants (the same array each time) apart from the rest. */
export interface Fields {
  readonly constants: readonly Header[];
  readonly others?: readonly Header[];
}

export class Http2Stream {
  readonly id: number;
  readonly #host: StreamHost;
  #listener: StreamListener | undefined;
  #sendWindow: number;
  #receiveWindow = STREAM_WINDOW_BYTES;
  #takenBytes = 0;
  /** DATA that no window lets out yet, and the trailers after it. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #trailers: Fields | undefined;
  #onRoom: (() => void)[] = [];
  #hasRequest = false;
  #isOver = false;

  constructor(id: number, host: StreamHost, sendWindow: number) {
    this.id = id;
    this.#host = host;
    this.#sendWindow = sendWindow;
  }

  listen(listener: StreamListener): void {
    this.#listener = listener;
  }

  /** True once nothing can be sent any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** A whole answer: fields, one message, trailers. In one piece, if the windows are wide enough. */
  reply(head: Fields, data: Buffer, trailers: Fields): void {
    if (this.#isOver) return;
    const { windowBytes, peerFrameBytesMax } = this.#host;
    const roomBytes = Math.min(windowBytes, peerFrameBytesMax, this.#sendWindow);
    if (data.length > roomBytes || this.#waitingBytes > 0) {
      this.respond(head);
      this.write(data);
      this.end(trailers);
      return;
    }
    this.#host.takeWindow(data.length);
    this.#sendWindow -= data.length;
    this.#host.send(this.#wholeReply(head, data, trailers));
    this.#answered();
  }

  /** The fields of the answer. */
  respond(head: Fields): void {
    if (this.#isOver) return;
    this.#host.send(frameBytes(FRAME.headers, FLAG.endHeaders, this.id, this.#encode(head)));
  }

  /** Part of the answer's body. It may wait here for the peer's windows: see {@link room}. */
  write(data: Buffer): void {
    if (this.#isOver) return;
    this.#waiting.push(data);
    this.#waitingBytes += data.length;
    this.#push();
  }

  /** Resolves once what was written has mostly left, or nothing can leave any more. */
  room(): Promise<void> | undefined {
    if (this.#isOver || !this.#isCrowded()) return undefined;
    return new Promise(resolve => {
      this.#onRoom.push(resolve);
      this.#host.waitForRoom(this);
    });
  }

  /** Ends the answer, after everything that was written. */
  end(trailers: Fields): void {
    if (this.#isOver || this.#trailers !== undefined) return;
    this.#trailers = trailers;
    this.#push();
  }

  /** Gives up: the peer hears `reason`. */
  reset(reason: number): void {
    if (this.#isOver) return;
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(reason);
    this.#host.send(frameBytes(FRAME.resetStream, 0, this.id, payload));
    this.#over();
  }

  /** The listener has used so many bytes: the peer may send as many more. */
  taken(bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes < STREAM_WINDOW_BYTES / 4 || this.#isOver || this.#hasRequest) return;
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(this.#takenBytes);
    this.#host.send(frameBytes(FRAME.windowUpdate, 0, this.id, payload));
    this.#receiveWindow += this.#takenBytes;
    this.#takenBytes = 0;
  }

  // What the connection tells.

  received(countedBytes: number, data: Buffer): void {
    if (this.#hasRequest) throw new Http2Error(REASON.streamClosed, 'DATA came after the end of a request');
    this.#receiveWindow -= countedBytes;
    if (this.#receiveWindow < 0) throw new Http2Error(REASON.flowControl, 'a peer sent more than it may');
    // Padding is nobody's to use.
    if (countedBytes > data.length) this.taken(countedBytes - data.length);
    if (data.length > 0) this.#listener?.data(data);
  }

  endedByPeer(): void {
    if (this.#hasRequest) return;
    this.#hasRequest = true;
    this.#listener?.end();
  }

  resetByPeer(): void {
    if (this.#isOver) return;
    this.#over();
    this.#listener?.aborted();
  }

  windowGrew(bytes: number): void {
    this.#sendWindow += bytes;
    this.#push();
  }

  /** Wakes those who wait for room, if there is some; true if nobody waits any more. */
  maybeRoom(): boolean {
    if (!this.#isOver && this.#isCrowded()) return this.#onRoom.length === 0;
    const waiting = this.#onRoom;
    this.#onRoom = [];
    for (const resolve of waiting) resolve();
    return true;
  }

  /** Sends what the windows allow. */
  #push(): void {
    while (this.#waitingBytes > 0 && this.#sendWindow > 0) {
      const wanted = Math.min(this.#waitingBytes, this.#sendWindow, this.#host.peerFrameBytesMax);
      const granted = this.#host.takeWindow(wanted);
      if (granted === 0) {
        this.#host.blocked(this);
        break;
      }
      this.#sendWindow -= granted;
      this.#waitingBytes -= granted;
      this.#host.send(frameBytes(FRAME.data, 0, this.id, this.#shift(granted)));
    }
    if (this.#waitingBytes === 0 && this.#trailers !== undefined) this.#finish(this.#trailers);
    else if (this.#onRoom.length > 0) this.maybeRoom();
  }

  /** The next bytes that wait. */
  #shift(bytes: number): Buffer {
    const parts: Buffer[] = [];
    for (let missing = bytes; missing > 0; ) {
      const first = this.#waiting[0];
      if (first === undefined) break;
      if (first.length <= missing) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(missing);
      parts.push(first.subarray(0, missing));
      missing -= Math.min(missing, first.length);
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }

  #finish(trailers: Fields): void {
    const flags = FLAG.endHeaders | FLAG.endStream;
    this.#host.send(frameBytes(FRAME.headers, flags, this.id, this.#encode(trailers)));
    this.#answered();
  }

  #wholeReply(head: Fields, data: Buffer, trailers: Fields): Buffer {
    const first = this.#encode(head);
    const last = this.#encode(trailers);
    const bytes = Buffer.allocUnsafe(3 * FRAME_HEADER_BYTES + first.length + data.length + last.length);
    const streamId = this.id;
    let at = writeFrameHead(bytes, 0, { length: first.length, type: FRAME.headers, flags: FLAG.endHeaders, streamId });
    bytes.set(first, at);
    at = writeFrameHead(bytes, at + first.length, { length: data.length, type: FRAME.data, flags: 0, streamId });
    bytes.set(data, at);
    const flags = FLAG.endHeaders | FLAG.endStream;
    at = writeFrameHead(bytes, at + data.length, { length: last.length, type: FRAME.headers, flags, streamId });
    bytes.set(last, at);
    return bytes;
  }

  #encode(fields: Fields): Buffer {
    return this.#host.encode(fields.constants, fields.others);
  }

  #isCrowded(): boolean {
    return this.#waitingBytes > STREAM_UNSENT_BYTES_MAX || this.#host.unsentBytes > STREAM_UNSENT_BYTES_MAX;
  }

  /** The answer is complete, perhaps before its request: then the peer need not send the rest. */
  #answered(): void {
    if (!this.#hasRequest) {
      const payload = Buffer.alloc(4);
      payload.writeUInt32BE(REASON.none);
      this.#host.send(frameBytes(FRAME.resetStream, 0, this.id, payload));
    }
    this.#over();
  }

  #over(): void {
    this.#isOver = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#host.ended(this);
    this.maybeRoom();
  }
}
