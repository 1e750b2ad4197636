/** Bytes both ways, whatever carries them: a socket after an HTTP upgrade, or binary WebSocket messages. */
import type { Duplex } from 'node:stream';

export interface ByteChannel {
  /** Chunks as they arrive; ends with the channel. Reading slowly makes the peer wait. */
  readonly incoming: AsyncIterable<Uint8Array>;
  /** Resolves when there is room for more. Does nothing on a channel that is closed. */
  write(bytes: Uint8Array): Promise<void>;
  /** Sends what is left, then ends. */
  end(): void;
  /** Ends at once. */
  destroy(): void;
  /** Fires when the channel is closed, by whomever. */
  readonly signal: AbortSignal;
}

/** A channel over a socket; `head` is what came behind the request. */
export function socketChannel(socket: Duplex, head: Uint8Array): ByteChannel {
  const closing = new AbortController();
  if (head.length > 0) socket.unshift(head);
  // Errors of a socket are told by its end; nobody else listens.
  socket.on('error', () => socket.destroy());
  socket.on('close', () => closing.abort());
  if (socket.destroyed) closing.abort();
  return {
    incoming: quietly(socket),
    write: bytes => writeTo(socket, bytes, closing.signal),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    signal: closing.signal,
  };
}

async function* quietly(socket: Duplex): AsyncGenerator<Uint8Array> {
  try {
    yield* socket;
  } catch {
    // A connection that breaks has ended, as far as its reader is concerned.
  }
}

/** Writes to a stream and waits for room. Resolves also if the stream closes meanwhile. */
export function writeTo(
  stream: {
    write(bytes: Uint8Array): boolean;
    once(event: 'drain' | 'close', fn: () => void): unknown;
    off(event: 'drain' | 'close', fn: () => void): unknown;
    writable: boolean;
  },
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted || !stream.writable || stream.write(bytes)) return Promise.resolve();
  return new Promise(resolve => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    stream.once('drain', done);
    stream.once('close', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
