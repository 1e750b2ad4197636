/**
 * The two ports: HTTP/1.1 in clear, and HTTP/2 and HTTP/1.1 under TLS. A port that is taken fails nobody: it is told, and tried
 * again from time to time.
 */
import type { IncomingMessage, Server } from 'node:http';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { http } from '../api.ts';
import { type Clock, sleep } from '../clock.ts';
import type { ClientRequest, ClientResponse } from './answers.ts';
import type { CertificatePair, CertificateStore } from './certificates.ts';
import {
  CLIENT_IDLE_MS,
  CLOSE_GRACE_MS,
  CONNECTIONS_MAX,
  HEADER_BYTES_MAX,
  HEADER_LINES_MAX,
  HEADERS_TIMEOUT_MS,
  LISTEN_RETRY_MS,
  STREAMS_PER_CONNECTION_MAX,
} from './limits.ts';

export interface IngressPorts {
  /** 0 takes any free one; undefined for none. */
  readonly http: number | undefined;
  readonly https: number | undefined;
  /** All interfaces unless given. */
  readonly host?: string;
  /** Several agents of one machine listen on the same ports, and the kernel deals out connections (Linux). */
  readonly shared?: boolean;
}
export interface ListenersOptions {
  readonly ports: IngressPorts;
  readonly certificates: CertificateStore;
  readonly clock: Clock;
  readonly serve: (request: ClientRequest, response: ClientResponse) => void;
  readonly serveUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** A port could not be had; it is tried again. Told once for each reason. */
  readonly failed: (protocol: Protocol, port: number, error: NodeJS.ErrnoException) => void;
  /** The ports that are open have changed. */
  readonly changed: () => void;
}
export type Protocol = 'http' | 'https';

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #servers = new Map<Protocol, Server | Http2SecureServer>();
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #closing = new AbortController();
  readonly #retries: Promise<void>[] = [];
  /** What clients that name no host are shown. */
  #shown: CertificatePair | undefined;

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** Where it listens; undefined where it does not. */
  port(protocol: Protocol): number | undefined {
    const address = this.#servers.get(protocol)?.address() as AddressInfo | null | undefined;
    return address?.port;
  }

  /** Opens the ports. Resolves after the first try of each. */
  async open(): Promise<void> {
    const { http, https } = this.#options.ports;
    await Promise.all([this.#keepTrying('http', http), this.#keepTrying('https', https)]);
  }

  /** The certificate for clients that name no host may have changed. */
  refresh(): void {
    const server = this.#servers.get('https');
    const { certificates } = this.#options;
    if (!server || !('setSecureContext' in server) || this.#shown === certificates.nameless) return;
    this.#shown = certificates.nameless;
    server.setSecureContext(secureOptions(certificates));
  }

  /** Takes no new connections, lets requests under way end for a while, then breaks them off. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#retries);
    const closed = [...this.#servers.values()].map(
      server => new Promise<void>(resolve => server.close(() => resolve())),
    );
    for (const server of this.#servers.values()) if ('closeIdleConnections' in server) server.closeIdleConnections();
    for (const session of this.#sessions) session.close();
    const cancel = this.#options.clock.setTimeout(() => this.breakOff(), CLOSE_GRACE_MS);
    await Promise.all(closed);
    cancel();
  }

  breakOff(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #keepTrying(protocol: Protocol, port: number | undefined): Promise<void> {
    if (port === undefined) return;
    const first = await this.#listen(protocol, port);
    if (first === undefined) return;
    this.#options.failed(protocol, port, first);
    this.#retries.push(this.#retry(protocol, port, first.code));
  }

  async #retry(protocol: Protocol, port: number, told: string | undefined): Promise<void> {
    const { signal } = this.#closing;
    let last = told;
    while (!signal.aborted) {
      await sleep(this.#options.clock, LISTEN_RETRY_MS, signal);
      if (signal.aborted) return;
      const error = await this.#listen(protocol, port);
      if (error === undefined) return;
      if (error.code !== last) this.#options.failed(protocol, port, error);
      last = error.code;
    }
  }

  /** Undefined if it listens now; else why it does not. */
  async #listen(protocol: Protocol, port: number): Promise<NodeJS.ErrnoException | undefined> {
    const { host, shared = false } = this.#options.ports;
    const error = await this.#tryToListen(protocol, { port, host, reusePort: shared });
    // Not every system can share a port; the first to come has it there.
    return error?.code === 'ENOTSUP' ? this.#tryToListen(protocol, { port, host, reusePort: false }) : error;
  }

  async #tryToListen(
    protocol: Protocol,
    where: { readonly port: number; readonly host: string | undefined; readonly reusePort: boolean },
  ): Promise<NodeJS.ErrnoException | undefined> {
    const server = protocol === 'http' ? this.#makeClear() : this.#makeSecure();
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(where, () => {
          server.off('error', reject);
          resolve();
        });
      });
    } catch (error) {
      return error as NodeJS.ErrnoException;
    }
    this.#servers.set(protocol, server);
    this.#options.changed();
    return undefined;
  }

  #makeClear(): Server {
    const server = http.createServer(http1Options());
    this.#equip(server);
    return server;
  }

  #makeSecure(): Http2SecureServer {
    const { certificates } = this.#options;
    const server = createSecureServer({
      ...secureOptions(certificates),
      SNICallback: (host, done) => done(null, certificates.contextFor(host)),
      allowHTTP1: true,
      handshakeTimeout: HEADERS_TIMEOUT_MS,
      ...http1Options(),
      maxHeaderListPairs: HEADER_LINES_MAX,
      settings: { maxConcurrentStreams: STREAMS_PER_CONNECTION_MAX, maxHeaderListSize: HEADER_BYTES_MAX },
    });
    this.#equip(server);
    server.on('secureConnection', socket => this.#keep(socket));
    server.on('session', session => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.on('error', () => session.destroy());
      session.setTimeout(CLIENT_IDLE_MS, () => session.close());
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  }

  #equip(server: Server | Http2SecureServer): void {
    const { serve, serveUpgrade } = this.#options;
    server.maxConnections = CONNECTIONS_MAX;
    // The HTTP/1.1 half of a server of both has these too, which its type does not show.
    Object.assign(server, {
      keepAliveTimeout: CLIENT_IDLE_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      // How long a body or an answer may pause is counted at the endpoint's side, where it is known what is waited for.
      requestTimeout: 0,
      timeout: 0,
      maxHeadersCount: HEADER_LINES_MAX,
    });
    // Both kinds of server say these with the same arguments.
    const either = server as Server;
    either.on('connection', socket => this.#keep(socket));
    either.on('request', (request, response) => serve(request, response));
    either.on('upgrade', (request, socket, head) => serveUpgrade(request, socket, head));
  }

  #keep(socket: Socket): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // A broken connection is no failure of the node.
    socket.on('error', () => socket.destroy());
  }
}

function secureOptions(certificates: CertificateStore) {
  return { ...certificates.nameless, minVersion: 'TLSv1.2' } as const;
}

/** `Upgrade: h2c` is an offer that may be left unanswered, and is: all else goes to the endpoint. */
function http1Options() {
  return {
    maxHeaderSize: HEADER_BYTES_MAX,
    connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 3,
    shouldUpgradeCallback: ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() !== 'h2c',
  };
}
