/**
 * The agent's HTTPS server: logs, exec, attach, port-forward, tunnels to pods' ports, the list of pods and what they use. It answers only to
 * clients that the cluster's CA vouches for and that are the API server or an administrator.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { http } from './api.ts';
import type { Clock } from './clock.ts';
import { findPod, loggedContainer, type PodDirectory } from './container-lookup.ts';
import { HttpError } from './http-error.ts';
import { HANDSHAKE_MS_MAX, STREAMS_MAX } from './limits.ts';
import type { Logger } from './logger.ts';
import { METRICS_CONTENT_TYPE } from './metrics/text.ts';
import { healthAnswer, loopTrouble } from './server-health.ts';
import { LogFolderPages } from './server-log-folder.ts';
import { parseLogQuery, sendLogs } from './server-logs.ts';
import { type AgentFacts, Figures } from './server-metrics.ts';
import { type StreamingRuntime, serveStreams } from './server-streams.ts';

export interface AgentTls {
  readonly cert: string;
  readonly key: string;
  /** Whose clients may ask anything at all. */
  readonly clientCa: string;
}
export interface AgentServerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly runtime: StreamingRuntime;
  readonly tls: AgentTls;
  readonly facts: AgentFacts;
  readonly pods: PodDirectory;
}

const API_SERVER_USER = 'kube-apiserver-kubelet-client';
const ADMIN_GROUP = 'system:masters';
const TEXT_HEADERS = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' };

export class AgentServer {
  readonly #options: AgentServerOptions;
  readonly #server: Server;
  readonly #figures: Figures;
  readonly #logFolder: LogFolderPages;
  readonly #streams = new Set<Duplex>();
  /** All connections, also those that are still in their handshake. */
  readonly #sockets = new Set<Duplex>();
  #port = 0;

  constructor(options: AgentServerOptions) {
    this.#options = options;
    const { cert, key, clientCa } = options.tls;
    const { clock, runtime, facts, pods } = options;
    this.#figures = new Figures({ clock, runtime, facts, pods: () => pods.list() });
    this.#logFolder = new LogFolderPages(runtime);
    // Certificates are judged below, so that a stranger gets an answer and not a broken connection.
    this.#server = createServer({
      ...{ cert, key, ca: clientCa, requestCert: true, rejectUnauthorized: false },
      handshakeTimeout: HANDSHAKE_MS_MAX,
    });
    this.#server.on('connection', socket => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('request', (request, response) => void this.#answer(request, response));
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
  }

  get port(): number {
    return this.#port;
  }

  /** Throws the system's error if it cannot listen. */
  async listen({ host, port }: { host: string; port: number }): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    const address = this.#server.address();
    this.#port = typeof address === 'object' && address ? address.port : 0;
  }

  /** New certificates for connections from now on. */
  setTls({ cert, key, clientCa }: AgentTls): void {
    this.#server.setSecureContext({ cert, key, ca: clientCa });
  }

  async close(): Promise<void> {
    for (const socket of this.#streams) socket.destroy();
    this.#server.closeAllConnections();
    // What is still in its handshake is none of those.
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise(resolve => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      authorize(request);
      await this.#route(request, response);
    } catch (error) {
      const { status, text } = this.#failure(error);
      if (response.headersSent) response.destroy();
      else response.writeHead(status, TEXT_HEADERS).end(text);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { path, query } = target(request);
    const { pods, runtime, clock } = this.#options;
    const json = (value: object) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const [first, namespace = '', name = '', container = ''] = path;
    if (request.method !== 'GET') throw new HttpError(405, 'method not allowed');
    switch (first) {
      case 'healthz':
        return this.#sendHealth(response, path.slice(1).join('/'), query);
      case 'pods':
        json({
          kind: 'PodList',
          apiVersion: 'v1',
          metadata: {},
          items: pods.list().map(({ pod, status }) => ({ ...pod, status })),
        });
        return;
      case 'stats':
        if (namespace !== 'summary') throw new HttpError(404, '404 page not found');
        json(await this.#figures.summary());
        return;
      case 'configz':
        json(this.#figures.configuration());
        return;
      case 'metrics':
        return this.#sendMetrics(response, path.slice(1).join('/'));
      case 'logs':
        return this.#logFolder.answer(response, path.slice(1));
      case 'containerLogs': {
        const log = parseLogQuery(query, clock);
        const containerId = loggedContainer(findPod(pods, { namespace, name }), container, log.previous);
        return sendLogs(response, { runtime, containerId, query: log });
      }
      default:
        throw new HttpError(404, '404 page not found');
    }
  }

  #sendHealth(response: ServerResponse, name: string, query: URLSearchParams): void {
    const { clock, facts } = this.#options;
    const checks = [
      { name: 'ping', trouble: undefined },
      { name: 'log', trouble: undefined },
      { name: 'syncloop', trouble: loopTrouble(facts.loopEnteredMs?.(), clock.now()) },
    ];
    const answer = healthAnswer(checks, name, query);
    if (!answer) throw new HttpError(404, '404 page not found');
    response.writeHead(answer.status, TEXT_HEADERS).end(answer.text);
  }

  async #sendMetrics(response: ServerResponse, name: string): Promise<void> {
    const text = await this.#figures.page(name);
    if (text === undefined) throw new HttpError(404, '404 page not found');
    response.writeHead(200, { 'content-type': METRICS_CONTENT_TYPE }).end(text);
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    try {
      authorize(request);
      if (this.#streams.size >= STREAMS_MAX) throw new HttpError(503, 'too many streams are open on this node');
      this.#streams.add(socket);
      socket.on('close', () => this.#streams.delete(socket));
      await serveStreams(this.#options, { request, socket, head, ...target(request) });
    } catch (error) {
      const { status, text } = this.#failure(error);
      // Refusals come before the upgrade is answered; whatever fails later can only hang up.
      if (error instanceof HttpError) socket.end(plainAnswer(status, text));
      else socket.destroy();
    }
  }

  #failure(error: unknown): { status: number; text: string } {
    if (error instanceof HttpError) return { status: error.status, text: error.message };
    this.#options.logger.warn({ error }, 'a request to the agent failed');
    return { status: 500, text: error instanceof Error ? error.message : String(error) };
  }
}

/** Throws {@link HttpError} 401 for a client without a good certificate, 403 for one that has no business here. */
function authorize({ socket }: IncomingMessage): void {
  if (!(socket instanceof TLSSocket) || !socket.authorized) throw new HttpError(401, 'Unauthorized');
  const { subject } = socket.getPeerCertificate();
  // Several organizations come as a list, whatever the type says.
  const groups: readonly string[] = [subject?.O ?? []].flat();
  if (subject?.CN === API_SERVER_USER || groups.includes(ADMIN_GROUP)) return;
  throw new HttpError(403, `Forbidden (user=${subject?.CN ?? ''})`);
}

function target({ url = '/' }: IncomingMessage): { path: string[]; query: URLSearchParams } {
  const { pathname, searchParams } = new URL(url, 'https://node');
  try {
    return { path: pathname.split('/').slice(1).map(decodeURIComponent), query: searchParams };
  } catch {
    throw new HttpError(400, 'the path is not encoded as it should be');
  }
}

function plainAnswer(status: number, text: string): string {
  const length = Buffer.byteLength(text);
  return `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${text}`;
}
