/** exec and attach over WebSocket: channels 0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize; 255 closes one (v5). */
import type { WebSocket } from 'ws';
import { STREAM_BUFFER_BYTES_MAX, STREAM_CHUNK_BYTES } from '../limits.ts';
import { ByteQueue } from './byte-queue.ts';
import {
  parseSize,
  type RemoteRequest,
  type RemoteStatus,
  type RemoteStreams,
  type TerminalSize,
} from './remote-command.ts';
import { webSocketChannel } from './websocket.ts';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
const CLOSE = 255;

/** Protocol versions, best first. The base64 ones carry text messages with the channel as a digit. */
export const WEBSOCKET_COMMAND_PROTOCOLS = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'base64.channel.k8s.io',
] as const;

/** The client's streams on an accepted WebSocket. `protocol` '' means it offered none: the first version. */
export function webSocketStreams(webSocket: WebSocket, request: RemoteRequest, protocol: string): RemoteStreams {
  const channel = webSocketChannel(webSocket);
  const isBase64 = protocol.includes('base64');
  const stdin = new ByteQueue(STREAM_BUFFER_BYTES_MAX);
  const resizes = new ByteQueue(STREAM_CHUNK_BYTES);
  const send = (number: number, bytes: Uint8Array) => channel.write(envelope(number, bytes, isBase64));
  void dispatch();
  return {
    stdin: request.stdin ? stdin : undefined,
    stdout: bytes => (request.stdout ? chunked(bytes, chunk => send(STDOUT, chunk)) : Promise.resolve()),
    stderr: bytes => (request.stderr ? chunked(bytes, chunk => send(STDERR, chunk)) : Promise.resolve()),
    sizes: request.tty ? sizesFrom(resizes) : undefined,
    finish: async status => {
      await send(ERROR, Buffer.from(statusText(status, protocol)));
      channel.end();
    },
    signal: channel.signal,
  };

  async function dispatch(): Promise<void> {
    for await (const message of channel.incoming) {
      const { number, bytes } = opened(message, isBase64);
      if (number === STDIN) await stdin.push(bytes);
      else if (number === RESIZE) await resizes.push(bytes);
      else if (number === CLOSE && bytes[0] === STDIN) stdin.end();
    }
    stdin.end();
    resizes.end();
  }
}

async function chunked(bytes: Uint8Array, write: (chunk: Uint8Array) => Promise<void>): Promise<void> {
  for (let at = 0; at < bytes.length; at += STREAM_CHUNK_BYTES)
    await write(bytes.subarray(at, at + STREAM_CHUNK_BYTES));
}

function envelope(number: number, bytes: Uint8Array, isBase64: boolean): Uint8Array {
  if (isBase64) return Buffer.from(`${number}${Buffer.from(bytes).toString('base64')}`);
  return Buffer.concat([Buffer.from([number]), bytes]);
}

function opened(message: Uint8Array, isBase64: boolean): { number: number; bytes: Uint8Array } {
  if (!isBase64) return { number: message[0] ?? CLOSE, bytes: message.subarray(1) };
  const text = Buffer.from(message).toString('latin1');
  return { number: Number(text[0]), bytes: Buffer.from(text.slice(1), 'base64') };
}

function statusText(status: RemoteStatus, protocol: string): string {
  if (/^v[45]\./.test(protocol)) return JSON.stringify(status);
  return status.status === 'Success' ? '' : (status.message ?? 'failed');
}

async function* sizesFrom(messages: AsyncIterable<Uint8Array>): AsyncGenerator<TerminalSize> {
  for await (const message of messages) {
    const size = parseSize(Buffer.from(message).toString('utf8'));
    if (size) yield size;
  }
}
