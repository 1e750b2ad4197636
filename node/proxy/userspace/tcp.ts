/** One address and port whose TCP connections are handed on to endpoints. */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Endpoint } from '../frontends.ts';
import type { Balancer } from './balancer.ts';
import { attemptsMax, connectionsMax, connectTimeoutMs } from './limits.ts';

/** Connections of all forwarders of a node count together. */
export interface ConnectionCount {
  open: number;
}

export class TcpForwarder {
  readonly #server: Server;
  readonly #balancer: Balancer;
  readonly #count: ConnectionCount;
  readonly #clients = new Set<Socket>();

  constructor(balancer: Balancer, count: ConnectionCount) {
    this.#balancer = balancer;
    this.#count = count;
    // Each side may end its own direction first; nothing is read before there is somebody to hand it to.
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, socket => {
      // It cannot reject: what fails closes the client.
      void this.#serve(socket);
    });
  }

  /** Rejects if the port is taken. */
  async listen(host: string, port: number): Promise<void> {
    this.#server.listen({ host, port, reusePort: true });
    await once(this.#server, 'listening');
    // Later errors concern single connections that could not be accepted.
    this.#server.on('error', () => undefined);
  }

  /** Connections that are open go on, unless `now`. */
  async close(options: { readonly now: boolean }): Promise<void> {
    this.#server.close();
    if (options.now) for (const client of this.#clients) client.destroy();
  }

  async #serve(client: Socket): Promise<void> {
    client.on('error', () => client.destroy());
    if (this.#count.open >= connectionsMax) {
      client.destroy();
      return;
    }
    this.#count.open += 1;
    this.#clients.add(client);
    client.once('close', () => {
      this.#count.open -= 1;
      this.#clients.delete(client);
    });
    const address = client.remoteAddress ?? '';
    const tried = new Set<Endpoint>();
    while (tried.size < attemptsMax && !client.destroyed) {
      const endpoint = this.#balancer.pick(address, tried);
      if (endpoint === undefined) break;
      tried.add(endpoint);
      const upstream = await connectTo(endpoint);
      if (upstream === undefined) continue;
      this.#balancer.remember(address, endpoint);
      join(client, upstream);
      return;
    }
    // A reset, as if nobody listened.
    client.resetAndDestroy();
  }
}

/** Undefined if nobody answers there. */
function connectTo(endpoint: Endpoint): Promise<Socket | undefined> {
  return new Promise(resolve => {
    const socket = connect({ host: endpoint.address, port: endpoint.port, allowHalfOpen: true, noDelay: true });
    const fail = () => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(connectTimeoutMs, fail);
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

function join(client: Socket, upstream: Socket): void {
  upstream.on('error', () => upstream.destroy());
  client.once('close', () => upstream.destroy());
  upstream.once('close', () => client.destroySoon());
  if (client.destroyed) {
    upstream.destroy();
    return;
  }
  client.pipe(upstream);
  upstream.pipe(client);
}
