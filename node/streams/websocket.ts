/**
 * WebSockets of Kubernetes clients: negotiation of the subprotocol, channels (the first byte of a message says which), and
 * a plain byte channel for the port-forward tunnel.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { STREAM_BUFFER_BYTES_MAX, WEBSOCKET_MESSAGE_BYTES_MAX } from '../limits.ts';
import { ByteQueue } from './byte-queue.ts';
import type { ByteChannel } from './channel.ts';

const server = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  maxPayload: WEBSOCKET_MESSAGE_BYTES_MAX,
  handleProtocols: () => false,
});

/** What the client offers, in its order. */
export function offeredProtocols(request: IncomingMessage, header: string): string[] {
  const value = request.headers[header];
  const values = Array.isArray(value) ? value : [value ?? ''];
  return values
    .flatMap(text => text.split(','))
    .map(text => text.trim())
    .filter(text => text !== '');
}

/** Completes the upgrade with the given subprotocol; undefined answers without one. */
export function acceptWebSocket(
  request: IncomingMessage,
  socket: Duplex,
  { head, protocol }: { head: Buffer; protocol: string | undefined },
): Promise<WebSocket> {
  // `ws` refuses the slash in `SPDY/3.1+portforward.k8s.io`, so it never sees the header and the answer is added here.
  delete request.headers['sec-websocket-protocol'];
  const addProtocol = (headers: string[], answered: IncomingMessage) => {
    if (answered === request && protocol !== undefined) headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
  };
  server.on('headers', addProtocol);
  return new Promise((resolve, reject) => {
    const lost = () => reject(new Error('the client left during the upgrade'));
    socket.once('close', lost);
    server.handleUpgrade(request, socket, head, webSocket => {
      socket.off('close', lost);
      resolve(webSocket);
    });
  }).finally(() => server.off('headers', addProtocol)) as Promise<WebSocket>;
}

/** The messages of a WebSocket as bytes, read no faster than they are taken. Text messages come as their bytes. */
export function webSocketChannel(webSocket: WebSocket): ByteChannel {
  const closing = new AbortController();
  const queue = new ByteQueue(STREAM_BUFFER_BYTES_MAX);
  webSocket.on('message', (message: RawData) => {
    const bytes = Array.isArray(message) ? Buffer.concat(message) : Buffer.from(message as Buffer);
    webSocket.pause();
    void queue.push(bytes).then(() => webSocket.resume());
  });
  webSocket.on('error', () => webSocket.terminate());
  webSocket.on('close', () => {
    queue.end();
    closing.abort();
  });
  return {
    incoming: queue,
    write: bytes => send(webSocket, bytes),
    end: () => webSocket.close(1000),
    destroy: () => webSocket.terminate(),
    signal: closing.signal,
  };
}

/** Resolves when the message has been handed to the system, or the WebSocket has closed. */
function send(webSocket: WebSocket, bytes: Uint8Array): Promise<void> {
  if (webSocket.readyState !== webSocket.OPEN) return Promise.resolve();
  return new Promise(resolve => webSocket.send(bytes, { binary: true }, () => resolve()));
}
