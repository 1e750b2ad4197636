/**
 * Carries requests to endpoints and answers back, a chunk at a time in both directions. An endpoint that cannot be connected
 * to is passed over for the next one; a connection that ends before the answer is tried again only for requests that may be
 * repeated and have no body.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, pipeline, type Readable, Transform } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { http } from '../api.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import {
  ANSWERS,
  type Answer,
  type ClientRequest,
  type ClientResponse,
  redirectTo,
  sendAnswer,
  sendRawAnswer,
} from './answers.ts';
import type { Backend, Endpoint } from './backends.ts';
import { Chooser } from './chooser.ts';
import { type Answered, TryError, tryRequest, tryUpgrade, type Upgraded } from './exchange.ts';
import {
  type BodyLength,
  bodyLengthOf,
  type ClientFacts,
  grouped,
  requestHeaders,
  responseHeaders,
} from './headers.ts';
import {
  ATTEMPTS_MAX,
  ENDPOINT_IDLE_MS,
  IDLE_PER_ENDPOINT_MAX,
  REQUESTS_MAX,
  STREAM_IDLE_MS,
  TUNNEL_IDLE_MS,
} from './limits.ts';
import { type Target, targetOf } from './path.ts';
import { type BackendReference, includesHost, type Route } from './table.ts';

/** What the proxy asks of what knows the cluster. */
export interface Routing {
  /** False until the Ingresses have been read. */
  readonly isReady: boolean;
  route(target: Target): Route | undefined;
  backend(reference: BackendReference): Backend;
  /** Where clients are sent that should have come over HTTPS; undefined where this node has no such port. */
  readonly httpsPort: number | undefined;
}
export interface ProxyOptions {
  readonly routing: Routing;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Requests under way at once; {@link REQUESTS_MAX} unless given. */
  readonly requestsMax?: number;
}

/** May be repeated without harm (RFC 9110 9.2.2), as far as it has no body. */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
const HTTPS_PORT = 443;

/** A request with all that is known of it before an endpoint is chosen. */
interface Job {
  readonly route: Route;
  readonly reference: BackendReference;
  readonly backend: Extract<Backend, { type: 'endpoints' }>;
  readonly target: Target;
  readonly client: ClientFacts;
}

export class IngressProxy {
  readonly #options: ProxyOptions;
  readonly #chooser: Chooser;
  readonly #agent = new http.Agent({
    keepAlive: true,
    maxFreeSockets: IDLE_PER_ENDPOINT_MAX,
    scheduling: 'lifo',
    timeout: ENDPOINT_IDLE_MS,
  });
  readonly #tunnels = new Set<Duplex>();
  #underWay = 0;
  #isClosing = false;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#chooser = new Chooser(options.clock);
  }

  /** Requests and tunnels at this moment. */
  get underWay(): number {
    return this.#underWay + this.#tunnels.size;
  }

  /** Forgets the turns of backends that are not among these. */
  keepBackends(keys: ReadonlySet<string>): void {
    this.#chooser.keep(keys);
  }

  /** Breaks off tunnels, and has clients' connections closed behind the answers that are under way. */
  windDown(): void {
    this.#isClosing = true;
    for (const socket of this.#tunnels) socket.destroy();
  }

  /** Breaks off everything. */
  close(): void {
    this.windDown();
    this.#agent.destroy();
  }

  /** Answers one request. Never rejects. */
  async serve(request: ClientRequest, response: ClientResponse): Promise<void> {
    const leaving = new AbortController();
    this.#underWay++;
    // With this event the answer is out, or nobody waits for it any more.
    response.once('close', () => {
      this.#underWay--;
      leaving.abort();
    });
    response.on('error', () => response.destroy());
    request.on('error', () => undefined);
    const body = bodyOf(request);
    try {
      const job = this.#prepare(request, body);
      const answered = await this.#exchange(request, { job, body, signal: leaving.signal });
      if (this.#isClosing && 'shouldKeepAlive' in response) response.shouldKeepAlive = false;
      passOn(answered, response);
    } catch (error) {
      if (!leaving.signal.aborted)
        sendAnswer({ request, response, hasBody: body !== 'none' }, this.#answerTo(error, request));
    }
  }

  /** Answers a request to upgrade its connection (WebSocket and the like). Never rejects. */
  async serveUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const leaving = new AbortController();
    this.#tunnels.add(socket);
    socket.once('close', () => {
      this.#tunnels.delete(socket);
      leaving.abort();
    });
    socket.on('error', () => socket.destroy());
    try {
      if (bodyLengthOf(request.headers) !== 'none') throw new AnswerError(ANSWERS.upgradeWithBody);
      const job = this.#prepare(request, 'none');
      const upgrade = request.headers.upgrade ?? '';
      const headers = requestHeaders(request.rawHeaders, job.client, {
        method: request.method ?? '',
        body: 'none',
        upgrade,
      });
      const result = await this.#attempt(job, { canRepeat: false, signal: leaving.signal }, endpoint =>
        tryUpgrade({ ...this.#tryOptions(request, job), endpoint, headers, signal: leaving.signal }),
      );
      join(result, socket, head);
    } catch (error) {
      if (!leaving.signal.aborted) sendRawAnswer(socket, this.#answerTo(error, request));
    }
  }

  /** Throws {@link AnswerError} for what goes to no endpoint. */
  #prepare(request: ClientRequest, body: BodyLength): Job {
    const { routing, requestsMax = REQUESTS_MAX } = this.#options;
    if (this.underWay > requestsMax) throw new AnswerError(ANSWERS.busy);
    if (!routing.isReady) throw new AnswerError(ANSWERS.notReady);
    const target = targetOf(request.url ?? '', hostOf(request));
    if (!target) throw new AnswerError(ANSWERS.badTarget);
    const route = routing.route(target);
    if (!route) throw new AnswerError(ANSWERS.noRoute);
    const client = clientOf(request, target.authority);
    const { httpsPort } = routing;
    if (
      client.proto === 'http' &&
      httpsPort !== undefined &&
      route.redirect &&
      includesHost(route.redirect, target.host)
    ) {
      const port = httpsPort === HTTPS_PORT ? '' : `:${httpsPort}`;
      throw new AnswerError(redirectTo(`https://${target.host}${port}${target.forwarded}`));
    }
    if (typeof body === 'number' && body > route.bodyBytesMax) throw new AnswerError(ANSWERS.tooLarge);
    const reference = route.backend;
    const backend = reference && routing.backend(reference);
    if (!reference || backend?.type !== 'endpoints') throw new AnswerError(ANSWERS.noBackend);
    return { route, reference, backend, target, client };
  }

  #exchange(
    request: ClientRequest,
    { job, body, signal }: { readonly job: Job; readonly body: BodyLength; readonly signal: AbortSignal },
  ): Promise<Answered> {
    const method = request.method ?? 'GET';
    const headers = requestHeaders(request.rawHeaders, job.client, { method, body });
    const openBody = body === 'none' ? undefined : () => limited(request, body, job.route.bodyBytesMax);
    const canRepeat = body === 'none' && REPEATABLE.has(method);
    return this.#attempt(job, { canRepeat, signal }, async endpoint => {
      const options = { ...this.#tryOptions(request, job), endpoint, headers, signal };
      return tryRequest(options, this.#agent, openBody);
    });
  }

  #tryOptions(request: ClientRequest, { target, route }: Job) {
    return { method: request.method ?? 'GET', path: target.forwarded, responseTimeoutMs: route.responseTimeoutMs };
  }

  /** Tries one endpoint after the other. Throws the last {@link TryError}, or {@link AnswerError} if there is none to try. */
  async #attempt<T>(
    { reference, backend, client }: Job,
    { canRepeat, signal }: { readonly canRepeat: boolean; readonly signal: AbortSignal },
    attempt: (endpoint: Endpoint) => Promise<T>,
  ): Promise<T> {
    const tried = new Set<string>();
    let last: unknown = new AnswerError(ANSWERS.noEndpoint);
    let current = backend;
    for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts++) {
      const endpoint = this.#chooser.choose({
        key: reference.key,
        backend: current,
        clientAddress: client.address,
        tried,
      });
      if (!endpoint) break;
      try {
        return await attempt(endpoint);
      } catch (error) {
        last = error;
        if (!(error instanceof TryError) || signal.aborted) throw error;
        const { kind } = error;
        if (kind === 'unconnected') this.#chooser.rest(endpoint);
        if (kind !== 'unconnected' && !(canRepeat && (kind === 'stale' || kind === 'broken'))) throw error;
        // The endpoint of an old connection may be well: a new one tells.
        if (kind !== 'stale') tried.add(endpoint.key);
      }
      // While one was tried others may have come, or this one gone.
      const now = this.#options.routing.backend(reference);
      if (now.type === 'endpoints') current = now;
    }
    throw last;
  }

  #answerTo(error: unknown, request: ClientRequest): Answer {
    if (error instanceof AnswerError) return error.answer;
    if (error instanceof TryError && error.cause instanceof AnswerError) return error.cause.answer;
    const { logger } = this.#options;
    const details = { host: hostOf(request), path: request.url, error };
    if (!(error instanceof TryError)) {
      logger.warn(details, 'an ingress request failed');
      return ANSWERS.unreadable;
    }
    logger.debug({ ...details, kind: error.kind }, 'an ingress request had no answer');
    if (error.kind === 'timeout') return ANSWERS.tooSlow;
    if (error.kind === 'unreadable') return ANSWERS.unreadable;
    return error.kind === 'unconnected' ? ANSWERS.unreachable : ANSWERS.broken;
  }
}

/** A request that gets an answer of the proxy's own. */
class AnswerError extends Error {
  override readonly name = 'AnswerError';
  readonly code = 'INGRESS_ANSWER';
  readonly answer: Answer;
  constructor(answer: Answer) {
    super(answer.text);
    this.answer = answer;
  }
}

function hostOf(request: ClientRequest): string | undefined {
  const authority = request.headers[':authority'];
  return typeof authority === 'string' ? authority : request.headers.host;
}

function bodyOf(request: ClientRequest): BodyLength {
  if ('stream' in request && request.stream.endAfterHeaders) return 'none';
  const length = bodyLengthOf(request.headers);
  return 'stream' in request && length === 'none' && request.headers['content-length'] === undefined
    ? 'chunked'
    : length;
}

function clientOf({ socket }: ClientRequest, host: string): ClientFacts {
  return {
    address: (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, ''),
    proto: (socket as Partial<TLSSocket>).encrypted ? 'https' : 'http',
    host,
    port: socket.localPort ?? 0,
  };
}

/** The body as it comes; one of unknown length ends with an error where it grows too large. */
function limited(request: ClientRequest, body: BodyLength, bytesMax: number): Readable {
  if (body !== 'chunked' || bytesMax === Number.POSITIVE_INFINITY) return request;
  let bytes = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) done(new AnswerError(ANSWERS.tooLarge));
      else done(null, chunk);
    },
  });
  // No pipeline: that would close the client's connection before it has been told why.
  return request.pipe(counter);
}

/** The endpoint's answer to the client. Whichever side ends early ends the other. Throws for one that HTTP/2 cannot say. */
function passOn({ response: answer, socket }: Answered, response: ClientResponse): void {
  socket.setTimeout(STREAM_IDLE_MS);
  const headers = responseHeaders(answer.rawHeaders);
  const status = answer.statusCode ?? 502;
  try {
    if ('stream' in response) response.writeHead(status, grouped(headers));
    else response.writeHead(status, answer.statusMessage ?? '', headers);
  } catch (error) {
    answer.destroy();
    throw error;
  }
  // Headers at once: who waits for events wants to know that the stream stands.
  if ('flushHeaders' in response) response.flushHeaders();
  answer.once('end', () => {
    if (answer.rawTrailers.length > 0) response.addTrailers(answer.trailers);
  });
  pipeline(answer, response as NodeJS.WritableStream, error => {
    if (error) {
      answer.destroy();
      response.destroy();
    }
  });
}

/** An upgraded connection: bytes both ways, each direction ending by itself. */
function join(result: Answered | Upgraded, client: Duplex, clientHead: Buffer): void {
  const { response, socket } = result;
  const isUpgraded = result.type === 'upgraded';
  const own = isUpgraded
    ? ['Connection', 'Upgrade', 'Upgrade', response.headers.upgrade ?? '']
    : ['Connection', 'close'];
  const headers = [...responseHeaders(response.rawHeaders), ...own];
  let text = `HTTP/1.1 ${response.statusCode} ${response.statusMessage ?? ''}\r\n`;
  for (let index = 0; index < headers.length; index += 2) text += `${headers[index]}: ${headers[index + 1]}\r\n`;
  client.write(`${text}\r\n`, 'latin1');
  socket.on('error', () => socket.destroy());
  client.once('close', () => socket.destroySoon());
  if (!isUpgraded) {
    pipeline(response, client, () => undefined);
    return;
  }
  for (const side of [socket, client as Socket]) {
    side.setTimeout(TUNNEL_IDLE_MS);
    side.once('timeout', () => side.destroy());
  }
  socket.once('close', () => (client as Socket).destroySoon());
  if (result.head.byteLength > 0) client.write(result.head);
  if (clientHead.byteLength > 0) socket.write(clientHead);
  socket.pipe(client);
  client.pipe(socket);
}
