/**
 * Answers to requests that asked for another protocol than HTTP and whose handler took no connection over: logs and watches go
 * over a WebSocket if one was asked for (k/k apiserver/pkg/util/httpstream/wsstream/stream.go, endpoints/handlers/watch.go),
 * everything else is an answer of HTTP/1.1.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Exchange, Reply } from '../types.ts';
import { withWarnings } from './connection.ts';

type WrittenReply = Exclude<Reply, { readonly taken: true }>;
type StreamedReply = WrittenReply & { readonly body: AsyncIterable<Uint8Array> };

const BINARY = 'binary.k8s.io';
const BASE64 = 'base64.binary.k8s.io';
/** Nobody who reads has anything to say. */
const RECEIVED_BYTES_MAX = 4_096;
const NEWLINE = 0x0a;

/** Of what the client offers the first that is known; without one messages are binary, too. */
const server = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  maxPayload: RECEIVED_BYTES_MAX,
  handleProtocols: offered => [...offered].find(each => each === BINARY || each === BASE64) ?? false,
});

/** Whether this answer is one that a WebSocket may carry, and one was asked for. */
export function isReadableOverWebSocket(
  { headers, info, method }: Pick<Exchange, 'headers' | 'info' | 'method'>,
  reply: WrittenReply,
): reply is StreamedReply {
  const isStream = !(reply.body instanceof Uint8Array) && reply.status === 200;
  const isRead = info.verb === 'watch' || info.subresource === 'log';
  return isStream && isRead && method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
}

/** Sends the answer's body as messages: of a watch an event each, of a log what is there. Resolves when all are sent. */
export async function writeOverWebSocket(request: IncomingMessage, exchange: Exchange, { body }: StreamedReply) {
  const { upgrade, info } = exchange;
  if (!upgrade) throw new Error('the connection was not to be upgraded');
  const webSocket = await accept(request, upgrade);
  if (!webSocket) return;
  try {
    if (info.verb === 'watch') {
      for await (const line of lines(body)) await send(webSocket, line.toString());
    } else {
      const isText = webSocket.protocol === BASE64;
      const message = (chunk: Uint8Array) => (isText ? Buffer.from(chunk).toString('base64') : chunk);
      // Tells the client that the stream stands.
      await send(webSocket, message(Buffer.alloc(0)));
      for await (const chunk of body) await send(webSocket, message(chunk));
    }
    webSocket.close(1000);
  } catch {
    // What broke off must not look like an end.
    webSocket.terminate();
  }
}

/** Undefined if the client has gone, or has not asked as it should; `ws` has told it so then. */
function accept(request: IncomingMessage, { socket, head }: { socket: Duplex; head: Uint8Array }) {
  return new Promise<WebSocket | undefined>(resolve => {
    socket.once('close', () => resolve(undefined));
    server.handleUpgrade(request, socket, Buffer.from(head), webSocket => {
      webSocket.on('error', () => webSocket.terminate());
      resolve(webSocket);
    });
  });
}

/** Resolves when the message has been handed to the system; rejects when the client has gone. */
function send(webSocket: WebSocket, message: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => webSocket.send(message, error => (error ? reject(error) : resolve())));
}

/** Lines without their ends. */
async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    let bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : Buffer.from(chunk);
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE)) {
      yield bytes.subarray(0, at);
      bytes = bytes.subarray(at + 1);
    }
    rest = bytes;
  }
}

/** An answer on a connection that was to be upgraded: written by hand, and the connection closed behind it. */
export async function writeRawReply(socket: Duplex, reply: WrittenReply, warnings: readonly string[]): Promise<void> {
  const chunks: Uint8Array[] = [];
  if (reply.body instanceof Uint8Array) chunks.push(reply.body);
  else for await (const chunk of reply.body) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const lines = [`HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status] ?? ''}`];
  for (const [name, value] of Object.entries(withWarnings(reply.headers, warnings))) {
    for (const one of typeof value === 'string' ? [value] : value) lines.push(`${name}: ${one}`);
  }
  lines.push(`content-length: ${body.byteLength}`, 'connection: close');
  socket.end(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]));
}
