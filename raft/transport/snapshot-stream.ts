/**
 * A snapshot on a connection of its own, so that heartbeats never wait behind it. The sender first tells what it is
 * (head), then sends chunks; the receiver acknowledges each chunk once its consumer has taken it, and the sender keeps
 * only a few unacknowledged. There is no limit on the whole; a connection that stops answering pings is dead.
 */
import type { WebSocket } from 'ws';
import { z } from 'zod';
import type { MemberId } from '../core/types.ts';
import type { Clock } from '../driver/clock.ts';
import { snapshotMetadataSchema } from '../schemas.ts';
import { encodeValue, FrameError, unpack } from './frames.ts';
import type { TransportLimits } from './limits.ts';
import { type IncomingSnapshot, type OutgoingSnapshot, PeerUnreachableError } from './transport.ts';

const headSchema = z.object({ term: z.number().int().nonnegative(), metadata: snapshotMetadataSchema });

interface Watching {
  readonly clock: Clock;
  readonly limits: TransportLimits;
}

/** First byte of a frame from the sender. */
const CHUNK = 0;
const END = 1;
/** The receiver's one-byte frames. */
const TAKEN = 0;
const DONE = 1;
const REFUSED = 2;

/** Resolves when the receiver has taken everything. @throws {PeerUnreachableError} broken off or refused. */
export async function sendSnapshotOver(
  socket: WebSocket,
  snapshot: OutgoingSnapshot,
  watching: Watching,
): Promise<void> {
  const { limits } = watching;
  const answers = new Inbox<number>();
  socket.on('message', (data: Buffer) => answers.push(data[0] ?? REFUSED));
  const stopWatching = watchSocket(socket, watching, error => answers.fail(error));
  try {
    socket.send(encodeValue({ term: snapshot.term, metadata: snapshot.metadata }));
    let unacknowledged = 0;
    for await (const chunk of snapshot.chunks) {
      for (const part of cut(chunk, limits.snapshotChunkBytesMax)) {
        while (unacknowledged >= limits.snapshotWindowChunks) {
          expectAnswer(await answers.shift(), TAKEN);
          unacknowledged--;
        }
        socket.send(framed(CHUNK, part));
        unacknowledged++;
      }
    }
    socket.send(framed(END, new Uint8Array(0)));
    for (; unacknowledged > 0; unacknowledged--) expectAnswer(await answers.shift(), TAKEN);
    expectAnswer(await answers.shift(), DONE);
  } finally {
    stopWatching();
    socket.close();
  }
}

/** Waits for the head, then hands the snapshot to `onSnapshot`, whose consumer drives the rest. */
export function receiveSnapshotFrom(
  socket: WebSocket,
  from: MemberId,
  options: Watching & { readonly onSnapshot: (snapshot: IncomingSnapshot) => void },
): void {
  const frames = new Inbox<Uint8Array>();
  const stopWatching = watchSocket(socket, options, error => frames.fail(error));
  let hasHead = false;
  socket.on('message', (data: Buffer) => {
    // The bytes go on living in the state machine; the buffer belongs to the socket.
    const frame = Uint8Array.prototype.slice.call(data);
    if (hasHead) {
      frames.push(frame);
      return;
    }
    hasHead = true;
    try {
      const { term, metadata } = parseHead(frame);
      options.onSnapshot({ from, term, metadata, chunks: consume(socket, frames, stopWatching) });
    } catch {
      socket.close(1002, 'the snapshot has no head');
    }
  });
}

function parseHead(frame: Uint8Array): z.infer<typeof headSchema> {
  const head = headSchema.safeParse(unpack(frame));
  if (!head.success) throw new FrameError('a snapshot without a head', { cause: head.error });
  return head.data;
}

function consume(socket: WebSocket, frames: Inbox<Uint8Array>, stopWatching: () => void): AsyncIterable<Uint8Array> {
  let isTaken = false;
  return {
    [Symbol.asyncIterator]() {
      const inner = chunksOf(socket, frames);
      return {
        async next() {
          const result = await inner.next();
          if (result.done === true && !isTaken) {
            isTaken = true;
            stopWatching();
            answer(socket, DONE);
          }
          return result;
        },
        // Also called before the first chunk was asked for: that is how a receiver refuses.
        async return() {
          if (!isTaken) {
            isTaken = true;
            stopWatching();
            answer(socket, REFUSED);
            socket.close();
          }
          return { done: true, value: undefined };
        },
      };
    },
  };
}

async function* chunksOf(socket: WebSocket, frames: Inbox<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  for (;;) {
    const frame = await frames.shift();
    if (frame[0] === END) return undefined;
    yield frame.subarray(1);
    answer(socket, TAKEN);
  }
}

function answer(socket: WebSocket, value: number): void {
  if (socket.readyState === socket.OPEN) socket.send(Uint8Array.of(value));
}

function expectAnswer(actual: number, expected: number): void {
  if (actual !== expected) throw new PeerUnreachableError('the peer refused the snapshot');
}

function framed(kind: number, data: Uint8Array): Uint8Array {
  const frame = new Uint8Array(1 + data.length);
  frame[0] = kind;
  frame.set(data, 1);
  return frame;
}

function* cut(chunk: Uint8Array, bytesMax: number): Generator<Uint8Array> {
  for (let start = 0; start < chunk.length; start += bytesMax) {
    yield chunk.subarray(start, start + bytesMax);
  }
}

/** Tells once that the connection has ended or no longer answers. The answer stops watching. */
function watchSocket(socket: WebSocket, { clock, limits }: Watching, onEnd: (error: Error) => void): () => void {
  let unansweredPings = 0;
  let cancelPing = () => {};
  const end = (reason: string) => {
    cancelPing();
    onEnd(new PeerUnreachableError(`the snapshot broke off: ${reason}`));
  };
  const ping = () => {
    if (unansweredPings >= 2) {
      socket.terminate();
      return;
    }
    unansweredPings++;
    if (socket.readyState === socket.OPEN) socket.ping();
    cancelPing = clock.setTimeout(ping, limits.pingIntervalMs);
  };
  cancelPing = clock.setTimeout(ping, limits.pingIntervalMs);
  socket.on('pong', () => {
    unansweredPings = 0;
  });
  socket.on('close', () => end('the connection ended'));
  socket.on('error', error => end(error.message));
  return () => cancelPing();
}

/** A queue that one consumer waits on. Bounded by the sender's window. */
class Inbox<T> {
  readonly #items: T[] = [];
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  push(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }

  /** What came before is still handed out. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#wake?.();
  }

  async shift(): Promise<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) return item;
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }
}
