/**
 * Which protocol a new connection speaks. gRPC's clients say so while they agree on TLS; others, and all in plain text, are
 * told apart by their first bytes, as etcd does it.
 */
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { TurnClock } from '../clock.ts';
import { PREFACE_TIMEOUT_MS } from './http2/limits.ts';
import type { Http2Stream, StreamListener } from './http2/stream.ts';
import { HTTP1_CONNECTIONS_MAX, HTTP1_IDLE_MS } from './limits.ts';
import type { Page, Pages } from './pages.ts';

/** The beginning of HTTP/2; nothing in HTTP/1 begins like this. */
const PREFACE = Buffer.from('PRI');

/** Hands HTTP/2 on, and answers HTTP/1 itself. */
export class Front {
  readonly #clock: TurnClock;
  readonly #onHttp2: (socket: Socket) => void;
  readonly #http1: HttpServer;
  /** Those that do not speak HTTP/2, or have not said yet. */
  readonly #others = new Set<Socket>();

  constructor(options: {
    readonly clock: TurnClock;
    readonly pages: Pages;
    readonly onHttp2: (socket: Socket) => void;
  }) {
    this.#clock = options.clock;
    this.#onHttp2 = options.onHttp2;
    this.#http1 = createServer((request, response) => {
      answer(options.pages, request, response).catch(() => response.destroy());
    });
    this.#http1.timeout = HTTP1_IDLE_MS;
  }

  accept(socket: Socket): void {
    const agreed = socket instanceof TLSSocket ? socket.alpnProtocol : false;
    if (agreed === 'h2') {
      this.#onHttp2(socket);
      return;
    }
    if (this.#others.size >= HTTP1_CONNECTIONS_MAX) {
      socket.destroy();
      return;
    }
    this.#others.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#others.delete(socket));
    this.#look(socket);
  }

  /** Ends all connections that were not handed on. */
  close(): void {
    for (const socket of [...this.#others]) socket.destroy();
  }

  /** Waits for the first bytes. */
  #look(socket: Socket): void {
    const cancel = this.#clock.setTimeout(() => socket.destroy(), PREFACE_TIMEOUT_MS);
    socket.once('close', cancel);
    let seen = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      const compared = Math.min(seen.length, PREFACE.length);
      const isHttp2 = seen.subarray(0, compared).equals(PREFACE.subarray(0, compared));
      if (isHttp2 && compared < PREFACE.length) return;
      cancel();
      socket.off('data', onData);
      socket.pause();
      socket.unshift(seen);
      if (isHttp2) {
        this.#others.delete(socket);
        this.#onHttp2(socket);
      } else {
        this.#http1.emit('connection', socket);
      }
      socket.resume();
    };
    socket.on('data', onData);
  }
}

async function answer(pages: Pages, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '/' } = request;
  request.resume();
  const { status, type, body } = isRead(method) ? await pages(url) : NOT_ALLOWED;
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(method === 'HEAD' ? undefined : body);
}

/** The same on a stream of HTTP/2. */
export function answerStream(pages: Pages, stream: Http2Stream, headers: ReadonlyMap<string, string>): StreamListener {
  const reply = async () => {
    const { status, type, body } = await pages(headers.get(':path') ?? '/');
    stream.respond({
      constants: [],
      others: [
        [':status', String(status)],
        ['content-type', type],
        ['content-length', String(Buffer.byteLength(body))],
      ],
    });
    if (headers.get(':method') !== 'HEAD') stream.write(Buffer.from(body));
    stream.end({ constants: [] });
  };
  // Pages never reject, and a stream that is over takes what it is given.
  reply().catch(() => stream.reset(INTERNAL_ERROR));
  return { data() {}, end() {}, aborted() {} };
}

/** RFC 9113 7. */
const INTERNAL_ERROR = 2;
const NOT_ALLOWED: Page = { status: 405, type: 'text/plain; charset=utf-8', body: 'Method Not Allowed\n' };

export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}
