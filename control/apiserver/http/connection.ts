/** Between Node's HTTP objects and the chain: reads a request as an Exchange, writes a Reply with back-pressure. */
import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { ApiError, badRequest } from '../../api/status.ts';
import { queryOf, readRequestInfo } from '../request-info.ts';
import type { Exchange, Headers, Reply } from '../types.ts';
import type { RequestEnd } from './request-end.ts';

export type HttpRequest = IncomingMessage | Http2ServerRequest;
export type HttpResponse = ServerResponse | Http2ServerResponse;

export interface Authorities {
  readonly clients: X509Certificate;
  readonly proxies: X509Certificate;
}

/** Reads the head of a request; its body only when asked for. */
export function exchangeOf(
  request: HttpRequest,
  options: {
    end: RequestEnd;
    bodyBytesMax: number;
    upgrade?: { socket: Duplex; head: Uint8Array };
    /** Where proxies have an authority of their own: that one, and the clients'. */
    authorities?: Authorities;
  },
): Exchange {
  const url = request.url ?? '/';
  const method = request.method ?? 'GET';
  const query = queryOf(url);
  const socket = socketOf(request);
  const clientCertificate = certificateOf(socket, options.authorities);
  return {
    method,
    url,
    query,
    headers: flatHeaders(request),
    headerValues: name => headerValues(request, name),
    readBody: () => readBody(request, options.bodyBytesMax),
    streamBody: () => request as AsyncIterable<Buffer>,
    get signal() {
      return options.end.signal;
    },
    end: reason => options.end.end(reason),
    ...(clientCertificate && { clientCertificate }),
    ...(options.upgrade && { upgrade: options.upgrade }),
    remoteAddress: socket?.remoteAddress ?? '',
    localAddress: hostOf(request) ?? `${socket?.localAddress ?? ''}:${socket?.localPort ?? ''}`,
    info: readRequestInfo(method, url, query),
    warnings: [],
    auditAnnotations: new Map(),
  };
}

/** Writes an answer and resolves when it has been handed to the connection or the client has gone. */
export async function writeReply(
  response: HttpResponse,
  reply: Reply,
  { method, warnings }: Pick<Exchange, 'method' | 'warnings'>,
): Promise<void> {
  if ('taken' in reply) return;
  for (const [name, value] of Object.entries(withWarnings(reply.headers, warnings))) {
    response.setHeader(name, typeof value === 'string' ? value : [...value]);
  }
  const { body } = reply;
  response.statusCode = reply.status;
  if (body instanceof Uint8Array) {
    if (reply.status !== 204 && reply.status !== 304) response.setHeader('content-length', String(body.byteLength));
    endWith(response, method === 'HEAD' ? new Uint8Array() : body);
    return;
  }
  // Without this no header leaves before the first byte of the body, and clients of a quiet watch wait for it.
  flushHead(response);
  try {
    for await (const chunk of body) {
      if (response.writableEnded || response.destroyed) return;
      if (!writeChunk(response, chunk)) await drained(response);
    }
    response.end();
  } catch {
    // The status has gone out already: only a broken connection tells the client that the answer is not whole.
    giveUp(response);
  }
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

function flatHeaders(request: HttpRequest): Record<string, string> {
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
