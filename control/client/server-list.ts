/**
 * Which of several masters to ask. Pure but for the numbers it keeps: time comes with each call. The list stays with the
 * server that works (connections are worth keeping) and leaves a failed one alone for a growing while.
 */
import { SERVER_BACKOFF_MS_MAX, SERVER_BACKOFF_MS_MIN } from './limits.ts';

interface ServerState {
  readonly url: string;
  failures: number;
  /** Not asked again before this time, unless all others failed too. */
  retryAtMs: number;
}

export class ServerList {
  #servers: ServerState[] = [];
  /** Index of the server that answered last. */
  #current = 0;

  /** `random` in [0, 1) picks the first to ask, so that many clients spread over the masters. */
  constructor(urls: readonly string[], random: () => number) {
    this.replace(urls);
    this.#current = Math.floor(random() * this.#servers.length);
  }

  get urls(): readonly string[] {
    return this.#servers.map(({ url }) => url);
  }

  /** Takes over a new list, keeping what is known of servers that stay. */
  replace(urls: readonly string[]): void {
    if (urls.length === 0) throw new RangeError('a client needs at least one server');
    const currentUrl = this.#servers[this.#current]?.url;
    const known = new Map(this.#servers.map(server => [server.url, server]));
    this.#servers = [...new Set(urls)].map(url => known.get(url) ?? { url, failures: 0, retryAtMs: 0 });
    this.#current = Math.max(
      0,
      this.#servers.findIndex(({ url }) => url === currentUrl),
    );
  }

  /** The best server that is not among the `tried`; undefined when all were. */
  pick(nowMs: number, tried: ReadonlySet<string>): string | undefined {
    const order = this.#servers.map((_, index) => this.#servers[(this.#current + index) % this.#servers.length]);
    const candidates = order.filter(server => server !== undefined && !tried.has(server.url)) as ServerState[];
    const healthy = candidates.find(({ retryAtMs }) => retryAtMs <= nowMs);
    if (healthy) return healthy.url;
    return candidates.toSorted((a, b) => a.retryAtMs - b.retryAtMs)[0]?.url;
  }

  succeeded(url: string): void {
    const index = this.#servers.findIndex(server => server.url === url);
    const server = this.#servers[index];
    if (!server) return;
    server.failures = 0;
    server.retryAtMs = 0;
    this.#current = index;
  }

  failed(url: string, nowMs: number): void {
    const server = this.#servers.find(candidate => candidate.url === url);
    if (!server) return;
    const delayMs = Math.min(SERVER_BACKOFF_MS_MIN * 2 ** Math.min(server.failures, 20), SERVER_BACKOFF_MS_MAX);
    server.failures++;
    server.retryAtMs = nowMs + delayMs;
  }
}
