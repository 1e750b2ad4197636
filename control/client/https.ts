/**
 * The transport over the network, for agents and the CLI: one keep-alive connection to the master in use, and another master
 * when that one fails. A request that certainly was not sent goes to another server; one whose fate is unknown is repeated
 * only if it is a GET.
 */
import type { ApiRequest, ApiResponse, ApiTransport } from './client.ts';
import { type Clock, sleep } from './clock.ts';
import { NotSentError, ServerConnection, type TlsCredentials } from './connection.ts';
import { SERVER_ROUND_DELAY_MS, SERVER_ROUNDS_MAX } from './limits.ts';
import { ServerList } from './server-list.ts';

export { ConnectionLostError } from './body.ts';
export { NotSentError, type TlsCredentials } from './connection.ts';

export interface HttpsTransportOptions {
  /** `https://host:port` of each master. */
  readonly servers: readonly string[];
  readonly clock: Clock;
  readonly random: () => number;
  /** A function is asked for each new connection, so that renewed certificates are used. */
  readonly tls: TlsCredentials | (() => TlsCredentials);
  /** A bearer token; a function is asked for each request. */
  readonly token?: string | (() => string | undefined);
  readonly connectTimeoutMs?: number;
  readonly responseTimeoutMs?: number;
}

export class HttpsTransport implements ApiTransport {
  readonly #options: HttpsTransportOptions;
  readonly #servers: ServerList;
  readonly #connections = new Map<string, ServerConnection>();
  #isClosed = false;

  constructor(options: HttpsTransportOptions) {
    this.#options = options;
    this.#servers = new ServerList(options.servers, options.random);
  }

  get servers(): readonly string[] {
    return this.#servers.urls;
  }

  /** Takes over a new list of masters; connections to those that left are closed. */
  setServers(urls: readonly string[]): void {
    this.#servers.replace(urls);
    for (const [url, connection] of this.#connections) {
      if (urls.includes(url)) continue;
      connection.close();
      this.#connections.delete(url);
    }
  }

  async request(request: ApiRequest): Promise<ApiResponse> {
    const authorised = this.#authorise(request);
    for (let round = 1; ; round++) {
      const answer = await this.#tryEach(authorised, round === SERVER_ROUNDS_MAX);
      if (answer) return answer;
      await sleep(this.#options.clock, SERVER_ROUND_DELAY_MS * round, request.signal);
      request.signal?.throwIfAborted();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  /** One round over the servers; undefined if none could be had and there is to be another round. */
  async #tryEach(request: ApiRequest, isLastRound: boolean): Promise<ApiResponse | undefined> {
    const { clock } = this.#options;
    const tried = new Set<string>();
    for (;;) {
      const url = this.#servers.pick(clock.now(), tried);
      if (url === undefined) return undefined;
      tried.add(url);
      const isLast = isLastRound && this.#servers.pick(clock.now(), tried) === undefined;
      try {
        const response = await this.#connection(url).request(request);
        if (response.status !== 503 || request.method !== 'GET' || isLast) {
          this.#servers.succeeded(url);
          return response;
        }
        // This master cannot serve now (starting, or cut off from its peers); another may.
        await drain(response);
        this.#servers.failed(url, clock.now());
      } catch (error) {
        if (request.signal?.aborted || this.#isClosed) throw error;
        this.#servers.failed(url, clock.now());
        if (isLast || !(error instanceof NotSentError || request.method === 'GET')) throw error;
      }
    }
  }

  #connection(url: string): ServerConnection {
    const known = this.#connections.get(url);
    if (known) return known;
    const { clock, tls, connectTimeoutMs, responseTimeoutMs } = this.#options;
    const connection = new ServerConnection({
      url,
      clock,
      credentials: () => (typeof tls === 'function' ? tls() : tls),
      ...(connectTimeoutMs !== undefined && { connectTimeoutMs }),
      ...(responseTimeoutMs !== undefined && { responseTimeoutMs }),
    });
    this.#connections.set(url, connection);
    return connection;
  }

  #authorise(request: ApiRequest): ApiRequest {
    const { token } = this.#options;
    const bearer = typeof token === 'function' ? token() : token;
    return bearer ? { ...request, headers: { ...request.headers, authorization: `Bearer ${bearer}` } } : request;
  }
}

async function drain(response: ApiResponse): Promise<void> {
  for await (const chunk of response.body) void chunk;
}
