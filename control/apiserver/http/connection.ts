/** Between Node's HTTP objects and the chain: reads a request as an Exchange, writes a Reply with back-pressure. */
import type { X509Certificate } from 'node:crypto';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { ApiError, badRequest } from '../../api/status.ts';
import { nextTurn } from '../clock.ts';
import { readRequestInfo } from '../request-info.ts';
import type { ClientCertificate, Exchange, Headers, Identity, Reply, RequestInfo, UpgradeSocket } from '../types.ts';
import type { RequestEnd } from './request-end.ts';

export type HttpRequest = IncomingMessage | Http2ServerRequest;
export type HttpResponse = ServerResponse | Http2ServerResponse;

export interface Authorities {
  readonly clients: X509Certificate;
  readonly proxies: X509Certificate;
}

export interface ExchangeOptions {
  readonly end: RequestEnd;
  readonly bodyBytesMax: number;
  readonly upgrade?: UpgradeSocket;
  /** Where proxies have an authority of their own: that one, and the clients'. */
  readonly authorities?: Authorities;
}

/** Reads the head of a request; its body only when asked for. */
export function exchangeOf(request: HttpRequest, options: ExchangeOptions): Exchange {
  return new HttpExchange(request, options);
}

/**
 * What every request costs is what it holds: all that only some ask for is made when it is asked for. A class, because an
 * object literal with a getter is made field by field each time.
 */
class HttpExchange implements Exchange {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly clientCertificate?: ClientCertificate;
  readonly upgrade?: UpgradeSocket;
  readonly connection?: object;
  readonly warnings: string[] = [];
  identity?: Identity;
  info: RequestInfo;
  answerHeaders?: Record<string, string>;
  readonly #request: HttpRequest;
  readonly #socket: TLSSocket | undefined;
  readonly #options: ExchangeOptions;
  #query: URLSearchParams | undefined;
  #auditAnnotations: Map<string, string> | undefined;

  constructor(request: HttpRequest, options: ExchangeOptions) {
    this.#request = request;
    this.#options = options;
    this.url = request.url ?? '/';
    this.method = request.method ?? 'GET';
    this.headers = flatHeaders(request);
    this.info = readRequestInfo(this.method, this.url);
    const socket = socketOf(request);
    this.#socket = socket;
    if (socket) this.connection = socket;
    const clientCertificate = certificateOf(socket, options.authorities);
    if (clientCertificate) this.clientCertificate = clientCertificate;
    if (options.upgrade) this.upgrade = options.upgrade;
  }

  get query(): URLSearchParams {
    if (!this.#query) {
      const question = this.url.indexOf('?');
      this.#query = new URLSearchParams(question < 0 ? '' : this.url.slice(question + 1));
    }
    return this.#query;
  }

  get signal(): AbortSignal {
    return this.#options.end.signal;
  }

  get remoteAddress(): string {
    return this.#socket?.remoteAddress ?? '';
  }

  get localAddress(): string {
    return hostOf(this.#request) ?? `${this.#socket?.localAddress ?? ''}:${this.#socket?.localPort ?? ''}`;
  }

  get auditAnnotations(): Map<string, string> {
    this.#auditAnnotations ??= new Map();
    return this.#auditAnnotations;
  }

  headerValues(name: string): readonly string[] {
    return headerValues(this.#request, name);
  }

  readBody(): Promise<Uint8Array> {
    return readBody(this.#request, this.#options.bodyBytesMax);
  }

  streamBody(): AsyncIterable<Buffer> {
    return this.#request as AsyncIterable<Buffer>;
  }

  end(reason: unknown): void {
    this.#options.end.end(reason);
  }
}

/** Writes an answer and resolves when it has been handed to the connection or the client has gone. */
export async function writeReply(
  response: HttpResponse,
  reply: Reply,
  { method, warnings }: Pick<Exchange, 'method' | 'warnings'>,
): Promise<void> {
  if ('taken' in reply) return;
  const { body, status } = reply;
  const headers = withWarnings(reply.headers, warnings);
  if (body instanceof Uint8Array) {
    const hasLength = status !== 204 && status !== 304;
    beginWith(response, status, hasLength ? { ...headers, 'content-length': String(body.byteLength) } : headers);
    endWith(response, method === 'HEAD' ? new Uint8Array() : body);
    return;
  }
  beginWith(response, status, headers);
  let hasBegun = false;
  // Else no header leaves before the first byte of the body, and clients of a quiet watch wait for it. What a list begins with
  // is there in this turn, and goes out with the head as one write.
  void nextTurn().then(() => {
    if (!hasBegun) flushHead(response);
  });
  try {
    for await (const chunk of body) {
      hasBegun = true;
      if (response.writableEnded || response.destroyed) return;
      if (!writeChunk(response, chunk)) await drained(response);
    }
    hasBegun = true;
    response.end();
  } catch {
    // The status has gone out already: only a broken connection tells the client that the answer is not whole.
    hasBegun = true;
    giveUp(response);
  }
}

/** Sets the head of an answer. It leaves with what comes next. */
function beginWith(response: HttpResponse, status: number, headers: Headers): void {
  if (response instanceof ServerResponse) {
    const pairs: (string | readonly string[])[] = [];
    for (const name in headers) pairs.push(name, headers[name] as string | readonly string[]);
    // As one list, which saves Node a map of them; its types know lists of plain values only.
    response.writeHead(status, pairs as string[]);
    return;
  }
  for (const [name, value] of Object.entries(headers)) {
    response.setHeader(name, typeof value === 'string' ? value : [...value]);
  }
  response.statusCode = status;
}

/** Breaks off an answer so that its client cannot take it for whole: over HTTP/2, a plain `destroy` would look like an end. */
export function giveUp(response: HttpResponse): void {
  if ('stream' in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else response.destroy();
}

// The two response classes have the same methods with signatures that TypeScript cannot call as a union.
function writeChunk(response: HttpResponse, chunk: Uint8Array): boolean {
  return (response as ServerResponse).write(chunk);
}
function flushHead(response: HttpResponse): void {
  (response as ServerResponse).flushHeaders();
}
function endWith(response: HttpResponse, chunk: Uint8Array): void {
  (response as ServerResponse).end(chunk);
}

function drained(response: HttpResponse): Promise<void> {
  const emitter = response as ServerResponse;
  return new Promise(resolve => {
    const done = () => {
      emitter.off('drain', done);
      emitter.off('close', done);
      resolve();
    };
    emitter.on('drain', done);
    emitter.on('close', done);
  });
}

/** Adds one `Warning: 299` header a sentence (RFC 7234 §5.5). */
export function withWarnings(headers: Headers, warnings: readonly string[]): Headers {
  if (warnings.length === 0) return headers;
  return { ...headers, warning: warnings.map(text => `299 - "${escapeQuotes(text)}"`) };
}
const escapeQuotes = (text: string) =>
  text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll(/[\r\n]+/g, ' ')
    .replaceAll(/[^\x20-\x7e]/g, '?');

/** By events: an iterator over the request costs several times as much as the body of a small object. */
function readBody(message: HttpRequest, bytesMax: number): Promise<Uint8Array> {
  // The two request classes have the same events with signatures that TypeScript cannot call as a union.
  const request = message as IncomingMessage;
  return new Promise((resolve, reject) => {
    if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw bodyTooLarge(bytesMax, request);
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer) => {
      size += chunk.byteLength;
      chunks.push(chunk);
      if (size > bytesMax) finish(() => reject(bodyTooLarge(bytesMax, request)));
    };
    const all = () => finish(() => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    const broken = () => finish(() => reject(badRequest('the connection ended before the body')));
    const finish = (settle: () => void) => {
      request.off('data', take).off('end', all).off('error', broken).off('close', broken);
      settle();
    };
    request.on('data', take).on('end', all).on('error', broken).on('close', broken);
    if (request.readableEnded || request.destroyed) broken();
  });
}

function bodyTooLarge(bytesMax: number, request: HttpRequest): ApiError {
  request.resume();
  return new ApiError('RequestEntityTooLarge', `Request entity too large: limit is ${bytesMax}`);
}

function flatHeaders(request: HttpRequest): Readonly<Record<string, string>> {
  // HTTP/1.1 has no pseudo-headers, and Node joins all others that come several times.
  if (!('stream' in request) && request.headers['set-cookie'] === undefined) {
    return request.headers as Readonly<Record<string, string>>;
  }
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined && !name.startsWith(':')) flat[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

function headerValues({ rawHeaders }: HttpRequest, wanted: string): string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() === wanted) values.push(rawHeaders[index + 1] ?? '');
  }
  return values;
}

function hostOf(request: HttpRequest): string | undefined {
  const authority = request.headers[':authority'];
  return request.headers.host ?? (typeof authority === 'string' ? authority : undefined);
}

function socketOf(request: HttpRequest): TLSSocket | undefined {
  const session = 'stream' in request ? request.stream.session : undefined;
  // http2's socket is a proxy around the TLSSocket; it has the getters used here.
  const socket = session ? session.socket : (request as IncomingMessage).socket;
  return socket as TLSSocket | undefined;
}

/** Reading a certificate costs more than a small request; a connection keeps its own. */
const certificates = new WeakMap<object, Exchange['clientCertificate'] | null>();

function certificateOf(socket: TLSSocket | undefined, authorities?: Authorities): Exchange['clientCertificate'] {
  if (!socket || typeof socket.getPeerCertificate !== 'function') return undefined;
  let certificate = certificates.get(socket);
  if (certificate === undefined) {
    certificate = readCertificate(socket, authorities) ?? null;
    certificates.set(socket, certificate);
  }
  return certificate ?? undefined;
}

function readCertificate(socket: TLSSocket, authorities: Authorities | undefined): Exchange['clientCertificate'] {
  if (!socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  if (!subject?.CN) return undefined;
  const organizations: unknown = subject.O;
  const list = Array.isArray(organizations) ? organizations : organizations === undefined ? [] : [organizations];
  const names = { commonName: String(subject.CN), organizations: list.map(String) };
  if (!authorities) return { ...names, isClient: true, isProxy: false };
  // TLS knows only that one of the two authorities stands behind it. They sign directly: neither has one beneath.
  const certificate = socket.getPeerX509Certificate();
  const isOf = (authority: X509Certificate) => certificate?.verify(authority.publicKey) ?? false;
  return { ...names, isClient: isOf(authorities.clients), isProxy: isOf(authorities.proxies) };
}
