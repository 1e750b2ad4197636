/**
 * pods/proxy, services/proxy and nodes/proxy: a request is passed on to a port of a pod, of one of a service's pods, or of
 * a node, and the answer is passed back, both as they come. A connection that asks for an upgrade is joined with the one
 * behind it. What cannot be reached is told as 503 (apimachinery/pkg/util/proxy).
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { ApiError } from '../../api/status.ts';
import { whyFailed } from '../callout/errors.ts';
import type { Core, ResourceRequest } from '../core.ts';
import type { Exchange, Headers, Reply } from '../types.ts';
import { countStream, pipeBothWays } from './connections.ts';
import { locateTarget, type ProxyTarget, unavailable } from './proxy-target.ts';
import type { StreamOptions } from './streams.ts';
import type { SubresourceHandler } from './subresources.ts';

/** Of one connection only (RFC 9110 §7.6.1), in either direction. */
const HOP_BY_HOP = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Say who the client is to the API server; nobody else may learn them. */
const CREDENTIALS = /^(authorization|impersonate-.*)$/;
const BEARER_PROTOCOL = /^base64url\.bearer\.authorization\.k8s\.io\./;

export function proxy({ credentials }: StreamOptions): SubresourceHandler {
  return async (core, request) => {
    const { exchange } = request;
    const { prefix, rest, query } = splitUrl(request);
    const target = await locateTarget({ core, request, credentials });
    if (rest === '' && !exchange.upgrade && ['GET', 'HEAD'].includes(exchange.method)) return toFolder(exchange);
    const release = countStream(core);
    try {
      const socket = await openSocket(core, target);
      const path = `${rest || '/'}${query}`;
      const { method, signal, upgrade } = exchange;
      return await passOn(exchange, {
        begin: headers =>
          httpRequest({
            createConnection: () => socket,
            method,
            path,
            headers,
            setHost: false,
            signal: upgrade ? undefined : signal,
          }),
        drop: () => socket.destroy(),
        path,
        prefix,
        release,
        hasMovedLinks: request.kind.plural !== 'nodes',
      });
    } catch (error) {
      release();
      throw error;
    }
  };
}

interface SplitUrl {
  /** What stands in front of the proxied path. */
  readonly prefix: string;
  /** The proxied path, perhaps empty. */
  readonly rest: string;
  /** With its question mark, if there is one. */
  readonly query: string;
}

/** The parts of the URL as the client wrote them. */
function splitUrl({ exchange, info, kind }: ResourceRequest): SplitUrl {
  const question = exchange.url.indexOf('?');
  const path = question < 0 ? exchange.url : exchange.url.slice(0, question);
  const query = question < 0 ? '' : exchange.url.slice(question);
  // '', api, v1, [namespaces, NS,] RESOURCE, NAME, proxy
  const length = kind.namespaced && info.namespace ? 8 : 6;
  const prefix = path.split('/').slice(0, length).join('/');
  return { prefix, rest: path.slice(prefix.length), query };
}

/** Without the slash, relative links of the page would lead out of it (kubernetes/kubernetes#4958). */
function toFolder({ url }: Exchange): Reply {
  const [path = '', query] = url.split('?', 2);
  const location = `${path}/${query === undefined ? '' : `?${query}`}`;
  return { status: 301, headers: { location }, body: new Uint8Array() };
}

async function openSocket(core: Core, target: ProxyTarget): Promise<Duplex> {
  try {
    const socket = await target.open();
    return target.scheme === 'http' || target.isSecured ? socket : await secure(core, socket);
  } catch (error) {
    if (error instanceof ApiError && error.code === 501) throw error;
    throw unavailable(`error trying to reach service: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Pods have certificates of their own making: as in Kubernetes, they are not judged. */
function secure(core: Core, socket: Duplex): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const secured = connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
    const fail = (error: Error) => {
      cancel();
      secured.destroy();
      socket.destroy();
      reject(error);
    };
    const cancel = core.clock.setTimeout(
      () => fail(new Error('net/http: TLS handshake timeout')),
      core.limits.agentAnswerMsMax,
    );
    secured.once('error', fail);
    secured.once('secureConnect', () => {
      cancel();
      secured.off('error', fail);
      resolve(secured);
    });
  });
}

export interface Passing {
  /** Begins the request to the one behind; its head, its bodies and its events are dealt with here. */
  begin(headers: OutgoingHttpHeaders): ClientRequest;
  /** Closes the connection to the one behind. */
  drop(): void;
  /** Path and query for the one behind. */
  readonly path: string;
  /** What of the URL stands before that path. */
  readonly prefix: string;
  /** To be called when nothing goes over the connection any more. */
  readonly release: () => void;
  /** Links in pages lead back through the proxy, too. */
  readonly hasMovedLinks?: boolean;
  /** Headers besides the client's; they take the place of equal ones. */
  readonly more?: OutgoingHttpHeaders;
  /** Headers of the client that are not passed on besides its credentials. */
  readonly hidden?: RegExp;
}

/** Passes a request on and its answer back; a wished upgrade joins the two connections. Rejects with 503. */
export async function passOn(exchange: Exchange, passing: Passing): Promise<Reply> {
  const { release, drop, more } = passing;
  const body = exchange.upgrade ? undefined : await peek(exchange.streamBody());
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      release();
      drop();
      reject(unavailable(`error trying to reach service: ${whyFailed(error)}`));
    };
    const headers = requestHeaders(exchange, { ...passing, hasBody: body !== undefined });
    const outgoing = passing.begin({ ...headers, ...more });
    outgoing.once('error', fail);
    // A tunnel's socket stands still until somebody listens.
    outgoing.once('socket', socket => socket.resume());
    outgoing.once('response', answer => {
      outgoing.off('error', fail);
      // From here on a failure shows as the end of the answer's body.
      outgoing.on('error', drop);
      answer.once('close', () => {
        release();
        drop();
      });
      void answered(answer, exchange, passing).then(resolve);
    });
    outgoing.once('upgrade', (answer: IncomingMessage, upgraded: Duplex, head: Buffer) => {
      outgoing.off('error', fail);
      resolve(join(exchange, { answer, upgraded, head, release }));
    });
    if (!body) return void outgoing.end();
    body.once('error', () => outgoing.destroy());
    body.pipe(outgoing);
  });
}

/** The body if there is any: its first byte is awaited, because HTTP/2 does not announce one. */
async function peek(chunks: AsyncIterable<Uint8Array>): Promise<Readable | undefined> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) return undefined;
  return Readable.from(
    (async function* () {
      yield first.value;
      yield* { [Symbol.asyncIterator]: () => iterator };
    })(),
    { objectMode: false },
  );
}

function requestHeaders(
  exchange: Exchange,
  { path, prefix, hidden, hasBody }: Pick<Passing, 'path' | 'prefix' | 'hidden'> & { readonly hasBody: boolean },
): Record<string, string> {
  const { headers, upgrade, remoteAddress, localAddress, method } = exchange;
  const kept: Record<string, string> = {};
  const named = namedByConnection(headers.connection);
  for (const [name, value] of Object.entries(headers)) {
    if (HOP_BY_HOP.has(name) || named.has(name) || CREDENTIALS.test(name) || hidden?.test(name)) continue;
    if (name !== 'expect' && name !== 'content-length') kept[name] = value;
  }
  const length = headers['content-length'];
  if (length !== undefined && !upgrade) kept['content-length'] = length;
  else if (hasBody) kept['transfer-encoding'] = 'chunked';
  else if (!upgrade && ['POST', 'PUT', 'PATCH'].includes(method)) kept['content-length'] = '0';
  if (upgrade) {
    kept.connection = 'Upgrade';
    kept.upgrade = headers.upgrade ?? '';
    const protocols = headers['sec-websocket-protocol']
      ?.split(',')
      .map(protocol => protocol.trim())
      .filter(protocol => !BEARER_PROTOCOL.test(protocol));
    if (protocols) kept['sec-websocket-protocol'] = protocols.join(', ');
  } else kept.connection = 'close';
  const forwarded = headers['x-forwarded-for'];
  return {
    ...kept,
    host: localAddress || 'localhost',
    'x-forwarded-for': forwarded ? `${forwarded}, ${remoteAddress}` : remoteAddress,
    'x-forwarded-host': localAddress,
    'x-forwarded-proto': 'https',
    'x-forwarded-uri': `${prefix}${path.split('?')[0]}`,
  };
}

function namedByConnection(header: string | undefined): Set<string> {
  return new Set((header ?? '').split(',').map(name => name.trim().toLowerCase()));
}

/** The answer for the client; links and redirections to the same host stay behind the proxy. */
async function answered(answer: IncomingMessage, exchange: Exchange, passing: Passing): Promise<Reply> {
  const status = answer.statusCode ?? 502;
  const headers = answerHeaders(answer, exchange, passing);
  const isPage = /^text\/html\b/i.test(answer.headers['content-type'] ?? '');
  if (!isPage || !passing.hasMovedLinks || exchange.method === 'HEAD') return { status, headers, body: answer };
  // Few clients of a cluster read pages: what it takes to read them is loaded for the first.
  const { withLinksMoved } = await import('./html-links.ts');
  const at = { prefix: passing.prefix, host: exchange.localAddress };
  const body = withLinksMoved(answer, link => relocate(link, at));
  if (!body) return { status, headers, body: answer };
  const { 'content-length': _, ...others } = headers;
  return { status, headers: others, body };
}

function answerHeaders(answer: IncomingMessage, { localAddress, upgrade }: Exchange, { prefix }: Passing): Headers {
  const kept: Record<string, string | readonly string[]> = {};
  const named = namedByConnection(answer.headers.connection);
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined && !HOP_BY_HOP.has(name) && !named.has(name)) kept[name] = value;
  }
  // A refused upgrade is answered by hand, with a length of its own.
  if (upgrade) delete kept['content-length'];
  const { location } = answer.headers;
  if (location !== undefined) kept.location = relocate(location, { prefix, host: localAddress });
  return kept;
}

/** A redirection to the same host stays behind the proxy; one to another host or a relative one is as it was. */
export function relocate(
  location: string,
  { prefix, host }: { readonly prefix: string; readonly host: string },
): string {
  const [, origin = '', authority = '', path = ''] = /^((?:https?:)?\/\/([^/?#]*))?(.*)$/i.exec(location) ?? [];
  const isElsewhere = origin !== '' && authority !== host;
  const isRelative = !path.startsWith('/');
  if (isElsewhere || isRelative || path.startsWith(`${prefix}/`)) return location;
  return `${origin === '' ? '' : `https://${host}`}${prefix}${path}`;
}

interface Joining {
  readonly answer: IncomingMessage;
  readonly upgraded: Duplex;
  readonly head: Buffer;
  readonly release: () => void;
}

function join({ upgrade }: Exchange, { answer, upgraded, head, release }: Joining): Reply {
  if (!upgrade) throw new Error('an answer upgrades a connection that was not to be upgraded');
  const { socket } = upgrade;
  const lines = [`HTTP/1.1 101 ${answer.statusMessage || 'Switching Protocols'}`];
  for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2)
    lines.push(`${answer.rawHeaders[index]}: ${answer.rawHeaders[index + 1]}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  if (head.length > 0) socket.write(head);
  if (upgrade.head.byteLength > 0) upgraded.write(upgrade.head);
  upgraded.allowHalfOpen = true;
  pipeBothWays(socket, upgraded, release);
  return { status: 101, taken: true };
}
