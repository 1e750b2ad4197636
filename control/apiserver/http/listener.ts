/**
 * The server's port: TLS, HTTP/2 and HTTP/1.1 by ALPN, and upgraded connections. Every request becomes an exchange and goes
 * to the one handler.
 */
import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Limits } from '../limits.ts';
import type { ApiServerOptions } from '../server-options.ts';
import type { Handler, Reply } from '../types.ts';
import { type Authorities, exchangeOf, giveUp, type HttpRequest, type HttpResponse, writeReply } from './connection.ts';
import { errorReply } from './replies.ts';
import { RequestEnd } from './request-end.ts';
import { isReadableOverWebSocket, writeOverWebSocket, writeRawReply } from './upgrade-replies.ts';

/** Above the 90 s for which Go's clients keep idle connections: else they meet closed ones. */
const KEEP_ALIVE_MS = 120_000;
/** How long answers under way may take when the server closes. */
const CLOSE_GRACE_MS = 1_000;

export interface ListenerOptions
  extends Pick<ApiServerOptions, 'tls' | 'listen' | 'requestHeader' | 'clock' | 'logger'> {
  readonly limits: Limits;
  readonly handler: Handler;
  /** Ends what is under way. */
  readonly closing: AbortSignal;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #limits: Limits;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  #http: Http2SecureServer | undefined;
  #authorities: Authorities | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#limits = options.limits;
  }

  /** Only after {@link listen}. */
  get address(): { readonly host: string; readonly port: number } {
    const address = this.#http?.address() as AddressInfo | null | undefined;
    if (!address) throw new Error('the API server is not listening');
    return { host: address.address, port: address.port };
  }

  /** Resolves when the port is open. */
  async listen(): Promise<void> {
    const { tls, listen, requestHeader } = this.#options;
    if (requestHeader) {
      const [clients, proxies] = [new X509Certificate(tls.ca), new X509Certificate(requestHeader.clientCa)];
      this.#authorities = { clients, proxies };
    }
    const { headersMsMax } = this.#limits;
    const server = createSecureServer({
      key: tls.key,
      cert: tls.cert,
      ca: requestHeader ? [tls.ca, requestHeader.clientCa] : tls.ca,
      requestCert: true,
      rejectUnauthorized: false,
      allowHTTP1: true,
      minVersion: 'TLSv1.2',
      handshakeTimeout: headersMsMax,
      ...http1Options(this.#limits),
      maxHeaderListPairs: 200,
      settings: { maxConcurrentStreams: 250, maxHeaderListSize: this.#limits.headerBytesMax },
    });
    this.#http = server;
    server.maxConnections = this.#limits.connectionsMax;
    Object.assign(server, http1Settings(headersMsMax));
    server.on('request', (request, response) => void this.#serve(request, response));
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      void this.#serveUpgrade(request, socket, head);
    });
    // From the first byte on: whoever never comes to the handshake's end is let go too when the server closes.
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('secureConnection', socket => {
      socket.setNoDelay(true);
      // A stream's client may have said everything and still listen: `kubectl exec` at the end of its input. Not before the
      // handshake, where nobody would notice that the client has gone; and HTTP/2 ends its streams one by one.
      socket.allowHalfOpen = socket.alpnProtocol !== 'h2';
      // A broken connection is no failure of the server; what was under way on it ends by its signal.
      socket.on('error', () => socket.destroy());
    });
    server.on('session', session => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.on('error', () => session.destroy());
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(listen.port, listen.host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  }

  /** Lets answers under way finish for a moment, and closes the port. */
  async close(): Promise<void> {
    const server = this.#http;
    if (!server) return;
    const closed = new Promise<void>(resolve => server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    const cancel = this.#options.clock.setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, CLOSE_GRACE_MS);
    await closed;
    cancel();
  }

  async #serve(request: HttpRequest, response: HttpResponse): Promise<void> {
    const end = new RequestEnd([this.#options.closing]);
    response.once('close', () => end.end());
    const exchange = exchangeOf(request, {
      end,
      bodyBytesMax: this.#limits.bodyBytesMax,
      ...(this.#authorities && { authorities: this.#authorities }),
    });
    try {
      await writeReply(response, await this.#options.handler(exchange), exchange);
    } catch (error) {
      this.#options.logger.warn({ error: String(error), path: exchange.info.path }, 'an answer could not be written');
      giveUp(response);
    }
  }

  async #serveUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const end = new RequestEnd([this.#options.closing]);
    socket.once('close', () => end.end());
    socket.on('error', () => socket.destroy());
    const exchange = exchangeOf(request, {
      end,
      bodyBytesMax: this.#limits.bodyBytesMax,
      upgrade: { socket, head },
      ...(this.#authorities && { authorities: this.#authorities }),
    });
    let reply: Reply;
    try {
      reply = await this.#options.handler(exchange);
    } catch (error) {
      reply = errorReply(error);
    }
    if ('taken' in reply) return;
    if (isReadableOverWebSocket(exchange, reply)) await writeOverWebSocket(request, exchange, reply);
    else await writeRawReply(socket, reply, exchange.warnings);
  }
}

/**
 * The HTTP/1.1 half of the server has the settings of a plain HTTPS server, which http2's types do not show. The time for
 * headers does not count while a connection waits for its next request.
 */
function http1Settings(headersTimeout: number): object {
  return { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout, requestTimeout: 0 };
}
function http1Options({ headersMsMax, headerBytesMax }: Limits): object {
  return { connectionsCheckingInterval: Math.ceil(headersMsMax / 4), maxHeaderSize: headerBytesMax };
}
