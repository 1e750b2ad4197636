/**
 * The connection to one server: HTTP/2 where the server speaks it, else HTTP/1.1 with keep-alive. It tells apart requests
 * that certainly never left ({@link NotSentError}) from those whose fate is unknown ({@link ConnectionLostError}).
 */
import { once } from 'node:events';
import type { Agent, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import tls from 'node:tls';
import { ConnectionLostError, lost, messageOf, wholeBody } from './body.ts';
import type { ApiRequest, ApiResponse } from './client.ts';
import type { Clock } from './clock.ts';
import { http } from './http-module.ts';
import {
  CONNECT_TIMEOUT_MS,
  HTTP1_SOCKETS_MAX,
  HTTP2_SESSION_WINDOW_BYTES,
  HTTP2_STREAM_WINDOW_BYTES,
  PING_INTERVAL_MS,
  PING_TIMEOUT_MS,
  RESPONSE_TIMEOUT_MS,
} from './limits.ts';

/** The request did not reach the server: it may be sent elsewhere, whatever it is. */
export class NotSentError extends Error {
  override readonly name = 'NotSentError';
  readonly code = 'REQUEST_NOT_SENT';
}

/** How to prove who we are, and how the server must. Read anew for each connection, so that renewed files take effect. */
export interface TlsCredentials {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** The name to expect in the server's certificate, where it is not the address's. */
  readonly serverName?: string;
  /** Accepts any certificate: kubeconfig's `insecure-skip-tls-verify`. */
  readonly insecure?: boolean;
}

export interface ConnectionOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly credentials: () => TlsCredentials;
  readonly connectTimeoutMs?: number;
  readonly responseTimeoutMs?: number;
}

export class ServerConnection {
  readonly #url: URL;
  readonly #options: ConnectionOptions;
  /** Open or opening; undefined when there is none, or the server speaks HTTP/1.1. */
  #session: Promise<http2.ClientHttp2Session | undefined> | undefined;
  #agent: Agent | undefined;
  /** For a session whose server has said goodbye: the last request that it takes. */
  readonly #lastTaken = new WeakMap<http2.ClientHttp2Session, number>();
  #isClosed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
  }

  /**
   * @throws NotSentError, ConnectionLostError; AbortError when the request's signal aborts.
   */
  async request(request: ApiRequest): Promise<ApiResponse> {
    if (this.#isClosed) throw new NotSentError('the connection is closed');
    request.signal?.throwIfAborted();
    const session = this.#agent || this.#url.protocol === 'http:' ? undefined : await this.#connect();
    return session ? this.#requestOverHttp2(session, request) : this.#requestOverHttp1(request);
  }

  close(): void {
    this.#isClosed = true;
    this.#agent?.destroy();
    void this.#session?.then(session => session?.destroy()).catch(() => undefined);
  }

  #connect(): Promise<http2.ClientHttp2Session | undefined> {
    if (this.#session) return this.#session;
    const opening = this.#open();
    this.#session = opening;
    const forget = () => {
      if (this.#session === opening) this.#session = undefined;
    };
    opening.then(session => session?.once('close', forget).once('goaway', forget), forget);
    return opening;
  }

  async #open(): Promise<http2.ClientHttp2Session | undefined> {
    const socket = tls.connect({
      ...tlsOptions(this.#options.credentials()),
      host: bareHost(this.#url),
      port: portOf(this.#url),
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    const timeoutMs = this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    const cancel = this.#options.clock.setTimeout(
      () => socket.destroy(new Error(`no TLS connection within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      await once(socket, 'secureConnect');
    } catch (cause) {
      throw new NotSentError(`cannot connect to ${this.#url.host}: ${messageOf(cause)}`, { cause });
    } finally {
      cancel();
    }
    if (socket.alpnProtocol !== 'h2') {
      socket.destroy();
      this.#agent = new https.Agent({ keepAlive: true, maxSockets: HTTP1_SOCKETS_MAX });
      return undefined;
    }
    return this.#startSession(socket);
  }

  async #startSession(socket: tls.TLSSocket): Promise<http2.ClientHttp2Session> {
    const session = http2.connect(this.#url.origin, {
      createConnection: () => socket,
      settings: { initialWindowSize: HTTP2_STREAM_WINDOW_BYTES, enablePush: false },
    });
    // Failures show on each stream; without a listener the session's own event would end the process.
    session.on('error', () => undefined);
    // The server may first say that it will leave, and only then which request was the last (RFC 9113, 6.8).
    session.on('goaway', (_code, lastStreamId) => void this.#lastTaken.set(session, lastStreamId));
    if (session.connecting) await once(session, 'connect');
    session.setLocalWindowSize(HTTP2_SESSION_WINDOW_BYTES);
    this.#probe(session);
    if (this.#isClosed) session.destroy();
    return session;
  }

  /** A master that vanishes without a word (power, network) is noticed by its silence. */
  #probe(session: http2.ClientHttp2Session): void {
    const { clock } = this.#options;
    let cancel = () => {};
    session.once('close', () => cancel());
    const ping = () => {
      if (session.closed || session.destroyed) return;
      cancel = clock.setTimeout(
        () => session.destroy(new ConnectionLostError('the server stopped answering')),
        PING_TIMEOUT_MS,
      );
      session.ping(() => {
        cancel();
        if (!session.closed && !session.destroyed) cancel = clock.setTimeout(ping, PING_INTERVAL_MS);
      });
    };
    cancel = clock.setTimeout(ping, PING_INTERVAL_MS);
  }

  #requestOverHttp2(session: http2.ClientHttp2Session, request: ApiRequest): Promise<ApiResponse> {
    if (session.closed || session.destroyed) throw new NotSentError('the connection is closing');
    const stream = session.request(
      { ':method': request.method, ':path': this.#pathOf(request), ...headersOf(request) },
      { endStream: request.body === undefined, ...(request.signal && { signal: request.signal }) },
    );
    const { promise, resolve, reject } = Promise.withResolvers<ApiResponse>();
    const timeoutMs = this.#options.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS;
    const cancel = this.#options.clock.setTimeout(
      () => stream.destroy(new ConnectionLostError(`no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const fail = (cause?: unknown) => {
      cancel();
      const { id = Number.POSITIVE_INFINITY, rstCode } = stream;
      const isRefused = id > (this.#lastTaken.get(session) ?? Number.MAX_SAFE_INTEGER);
      if (request.signal?.aborted) reject(request.signal.reason);
      else if (isRefused || rstCode === http2.constants.NGHTTP2_REFUSED_STREAM) {
        reject(new NotSentError(`${this.#url.host} refused the request`, { cause }));
      } else reject(lost(this.#url.host, cause));
    };
    stream.once('response', headers => {
      cancel();
      // From here on the body tells what becomes of it.
      stream.off('close', fail);
      resolve({
        status: Number(headers[':status']),
        headers: plainHeaders(headers),
        body: wholeBody(stream, { host: this.#url.host, signal: request.signal }),
      });
    });
    stream.on('error', fail);
    stream.once('close', fail);
    if (request.body !== undefined) stream.end(request.body);
    return promise;
  }

  #requestOverHttp1(request: ApiRequest): Promise<ApiResponse> {
    const isPlain = this.#url.protocol === 'http:';
    this.#agent ??= new http.Agent({ keepAlive: true, maxSockets: HTTP1_SOCKETS_MAX });
    const { promise, resolve, reject } = Promise.withResolvers<ApiResponse>();
    const timeoutMs = this.#options.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS;
    let wasSent = false;
    const outgoing = (isPlain ? http : https).request({
      ...(isPlain ? {} : tlsOptions(this.#options.credentials())),
      agent: this.#agent,
      host: bareHost(this.#url),
      port: portOf(this.#url),
      method: request.method,
      path: this.#pathOf(request),
      headers: headersOf(request),
      ...(request.signal && { signal: request.signal }),
    });
    const cancel = this.#options.clock.setTimeout(
      () => outgoing.destroy(new ConnectionLostError(`no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    outgoing.once('socket', socket => {
      if (!socket.connecting) wasSent = true;
      else socket.once(isPlain ? 'connect' : 'secureConnect', () => (wasSent = true));
    });
    outgoing.once('response', incoming => {
      cancel();
      resolve({
        status: incoming.statusCode ?? 0,
        headers: plainHeaders(incoming.headers),
        body: wholeBody(incoming, { host: this.#url.host, signal: request.signal }),
      });
    });
    outgoing.on('error', cause => {
      cancel();
      if (request.signal?.aborted) reject(request.signal.reason);
      else if (wasSent) reject(lost(this.#url.host, cause));
      else reject(new NotSentError(`cannot connect to ${this.#url.host}: ${messageOf(cause)}`, { cause }));
    });
    outgoing.end(request.body);
    return promise;
  }

  /** A server's URL may have a path of its own, as behind a proxy. */
  #pathOf(request: ApiRequest): string {
    return this.#url.pathname.replace(/\/$/, '') + request.path;
  }
}

/** A body's length is always said: for a DELETE, Node would send HTTP/1.1 a body that nothing announces. */
function headersOf({ headers, repeatedHeaders = {}, body }: ApiRequest): OutgoingHttpHeaders {
  const repeated = Object.fromEntries(Object.entries(repeatedHeaders).map(([name, values]) => [name, [...values]]));
  return { ...headers, ...repeated, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }) };
}

const bareHost = (url: URL) => url.hostname.replace(/^\[|\]$/g, '');
const portOf = (url: URL) => Number(url.port || (url.protocol === 'http:' ? 80 : 443));

function tlsOptions({ ca, cert, key, serverName, insecure }: TlsCredentials): tls.ConnectionOptions {
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(serverName && { servername: serverName }),
    rejectUnauthorized: !insecure,
  };
}

function plainHeaders(headers: IncomingHttpHeaders | http2.IncomingHttpHeaders): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !name.startsWith(':'))
      plain[name] = Array.isArray(value) ? value.join(', ') : String(value);
  }
  return plain;
}
