/**
 * The stable address: takes connections and hands each to a master that is ready. It passes bytes, TLS and all, so it
 * holds no key; a master that dies costs only its own connections, and clients come back to another one.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Where a master listens. */
export interface Backend {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}
export interface BalancerOptions {
  readonly host: string;
  readonly port: number;
  readonly backends: readonly Backend[];
  /** Whether a backend can serve now; must resolve, not reject. */
  readonly isReady: (backend: Backend) => Promise<boolean>;
  readonly every: (intervalMs: number, callback: () => void) => { [Symbol.dispose](): void };
  /** 0 ≤ x < 1. */
  readonly random: () => number;
}

const CHECK_INTERVAL_MS = 500;
const CONNECT_TIMEOUT_MS = 2_000;
/** Beyond this, new connections wait in the kernel's queue and are then refused. */
const CONNECTIONS_MAX = 10_000;

/** Orders backends for one connection: ready ones first, each group in random order. Pure. */
export function orderBackends(
  backends: readonly Backend[],
  ready: ReadonlySet<string>,
  random: () => number,
): readonly Backend[] {
  const weighed = backends.map(backend => ({ backend, weight: (ready.has(backend.name) ? 0 : 1) + random() }));
  return weighed.sort((a, b) => a.weight - b.weight).map(({ backend }) => backend);
}

export class Balancer {
  readonly #options: BalancerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #ready = new Set<string>();
  #checks: { [Symbol.dispose](): void } | undefined;

  constructor(options: BalancerOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, client => this.#accept(client));
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** Resolves once the port is open; rejects with EADDRINUSE and the like. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#options.port, this.#options.host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#checks = this.#options.every(CHECK_INTERVAL_MS, () => this.#check());
    this.#check();
  }

  async close(): Promise<void> {
    this.#checks?.[Symbol.dispose]();
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #check(): void {
    for (const backend of this.#options.backends) {
      void this.#options.isReady(backend).then(ready => {
        if (ready) this.#ready.add(backend.name);
        else this.#ready.delete(backend.name);
      });
    }
  }

  #accept(client: Socket): void {
    this.#track(client);
    client.pause();
    this.#tryNext(client, orderBackends(this.#options.backends, this.#ready, this.#options.random));
  }

  #tryNext(client: Socket, [backend, ...others]: readonly Backend[]): void {
    if (!backend || client.destroyed) {
      client.destroy();
      return;
    }
    const upstream = connect({ host: backend.host, port: backend.port, noDelay: true, allowHalfOpen: true });
    this.#track(upstream);
    upstream.setTimeout(CONNECT_TIMEOUT_MS, () => upstream.destroy());
    let connected = false;
    upstream.once('connect', () => {
      connected = true;
      upstream.setTimeout(0);
      client.pipe(upstream);
      upstream.pipe(client);
    });
    upstream.once('close', () => {
      if (connected) client.destroy();
      else {
        this.#ready.delete(backend.name);
        this.#tryNext(client, others);
      }
    });
    client.once('close', () => upstream.destroy());
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
