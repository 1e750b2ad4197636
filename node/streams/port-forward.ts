/**
 * Port forwarding: each connection of the client is a pair of streams, one for data and one on which a failure is told.
 * Over SPDY (also inside a WebSocket tunnel) the client opens pairs as it needs them; the legacy WebSocket form names its
 * ports in the request, with two channels for each.
 */
import { connect, type Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { type Clock, sleep } from '../clock.ts';
import { DIAL_TIMEOUT_MS, SPDY_STREAMS_MAX, STREAM_BUFFER_BYTES_MAX, STREAM_CREATION_TIMEOUT_MS } from '../limits.ts';
import { ByteQueue } from './byte-queue.ts';
import { type ByteChannel, writeTo } from './channel.ts';
import { SpdyConnection, type SpdyStream } from './spdy.ts';
import { webSocketChannel } from './websocket.ts';

export const PORT_FORWARD_PROTOCOL = 'portforward.k8s.io';
export const PORT_FORWARD_TUNNEL = 'SPDY/3.1+portforward.k8s.io';

export interface PortForwardTarget {
  /** Where the pod is reached from this node. */
  readonly host: string;
  readonly podName: string;
  readonly clock: Clock;
}

/** Serves one client over SPDY until it leaves. */
export async function servePortForward(channel: ByteChannel, target: PortForwardTarget): Promise<void> {
  /** Pairs that wait for their second stream, by request id. */
  const halves = new Map<string, { error?: SpdyStream; data?: SpdyStream }>();
  const connection = new SpdyConnection(channel, stream => {
    const id = stream.headers.get('requestid') ?? stream.headers.get('port') ?? '';
    const type = stream.headers.get('streamtype');
    if ((type !== 'error' && type !== 'data') || halves.size > SPDY_STREAMS_MAX) return void stream.reset();
    const half = { ...halves.get(id), [type]: stream };
    halves.set(id, half);
    const { error, data } = half;
    if (error && data) {
      halves.delete(id);
      void forward(data, error, target, connection.signal);
    } else void expire(id, half);
  });
  const expire = async (id: string, half: { error?: SpdyStream; data?: SpdyStream }) => {
    await sleep(target.clock, STREAM_CREATION_TIMEOUT_MS, connection.signal);
    if (halves.get(id) !== half) return;
    halves.delete(id);
    await (half.error ?? half.data)?.reset();
  };
  await connection.run();
}

async function forward(
  data: SpdyStream,
  error: SpdyStream,
  target: PortForwardTarget,
  signal: AbortSignal,
): Promise<void> {
  const port = Number(data.headers.get('port'));
  const fail = async (why: string) => {
    const { podName } = target;
    await error.write(Buffer.from(`error forwarding port ${port} to pod ${podName}: ${why}`));
    await error.end();
    await data.end();
  };
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return fail('not a port');
  let socket: Socket;
  try {
    socket = await dial(target, port, signal);
  } catch (dialError) {
    return fail(dialError instanceof Error ? dialError.message : String(dialError));
  }
  await join(socket, { incoming: data.incoming, write: bytes => data.write(bytes), end: () => data.end() }, signal);
  await error.end();
}

interface Side {
  readonly incoming: AsyncIterable<Uint8Array>;
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
}

/** Copies both ways; each half-close is passed on. Ends when both directions have, or the client is gone. */
async function join(socket: Socket, client: Side, signal: AbortSignal): Promise<void> {
  const abandon = () => socket.destroy();
  signal.addEventListener('abort', abandon, { once: true });
  socket.on('error', () => socket.destroy());
  const closed = new AbortController();
  socket.on('close', () => closed.abort());
  const upstream = (async () => {
    for await (const chunk of client.incoming) {
      if (closed.signal.aborted) break;
      await writeTo(socket, chunk, closed.signal);
    }
    socket.end();
  })();
  try {
    for await (const chunk of socket) await client.write(chunk);
  } catch {
    // A reset by the container ends the connection like any other end.
  }
  await client.end();
  // What the container no longer reads need not be waited for.
  if (!socket.destroyed) await upstream;
  signal.removeEventListener('abort', abandon);
}

/** Connects to a port of the pod. Rejects with the system's error, or one that says that it took too long. */
export function dial({ host, clock }: PortForwardTarget, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    const give = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    const cancel = clock.setTimeout(() => give(new Error(`dial tcp ${host}:${port}: i/o timeout`)), DIAL_TIMEOUT_MS);
    const abandon = () => give(new Error('the client left'));
    signal.addEventListener('abort', abandon, { once: true });
    const done = () => {
      cancel();
      signal.removeEventListener('abort', abandon);
      socket.off('error', failed);
    };
    const failed = (error: Error) => {
      done();
      give(error);
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      done();
      resolve(socket);
    });
  });
}

/** The legacy form: channel 2i carries port i's data, 2i+1 its errors; each opens with the port in two bytes. */
export async function serveWebSocketPorts(
  webSocket: WebSocket,
  ports: readonly number[],
  target: PortForwardTarget,
): Promise<void> {
  const channel = webSocketChannel(webSocket);
  const inputs = ports.map(() => new ByteQueue(STREAM_BUFFER_BYTES_MAX));
  const send = (number: number, bytes: Uint8Array) => channel.write(Buffer.concat([Buffer.from([number]), bytes]));
  const serve = async (port: number, index: number) => {
    const opening = Buffer.alloc(2);
    opening.writeUInt16LE(port);
    await send(index * 2, opening);
    await send(index * 2 + 1, opening);
    try {
      const socket = await dial(target, port, channel.signal);
      const incoming = inputs[index] ?? [];
      const side = {
        incoming: toAsync(incoming),
        write: (bytes: Uint8Array) => send(index * 2, bytes),
        end: async () => {},
      };
      await join(socket, side, channel.signal);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      await send(index * 2 + 1, Buffer.from(`error forwarding port ${port} to pod ${target.podName}: ${why}`));
    }
  };
  const serving = Promise.all(ports.map(serve)).then(() => channel.end());
  for await (const message of channel.incoming) {
    const number = message[0] ?? 0;
    if (number % 2 === 0) await inputs[number / 2]?.push(message.subarray(1));
  }
  for (const input of inputs) input.end();
  await serving;
}

async function* toAsync(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
