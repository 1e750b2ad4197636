/** One address and port whose UDP packets are handed on to endpoints; each client has a socket of its own there. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Clock } from '../../runtime/clock.ts';
import type { Endpoint } from '../frontends.ts';
import type { Balancer } from './balancer.ts';
import { udpClientsMax, udpIdleMs } from './limits.ts';

interface Client {
  readonly socket: Socket;
  readonly address: string;
  readonly endpoint: Endpoint;
  cancelIdle: () => void;
}

export class UdpForwarder {
  readonly #server = createSocket({ type: 'udp4', reusePort: true });
  readonly #balancer: Balancer;
  readonly #clock: Clock;
  /** In the order of use: the first was silent longest. */
  readonly #clients = new Map<string, Client>();

  constructor(balancer: Balancer, clock: Clock) {
    this.#balancer = balancer;
    this.#clock = clock;
  }

  /** Rejects if the port is taken. */
  async listen(host: string, port: number): Promise<void> {
    this.#server.bind({ address: host, port, exclusive: true });
    await once(this.#server, 'listening');
    this.#server.on('error', () => undefined);
    this.#server.on('message', (data, from) => this.#receive(data, from));
  }

  /** Clients whose endpoints are gone, or no longer theirs, get another with their next packet. */
  retain(): void {
    for (const [key, { address, endpoint }] of this.#clients) {
      if (!this.#balancer.mayKeep(address, endpoint)) this.#forget(key);
    }
  }

  async close(): Promise<void> {
    for (const key of this.#clients.keys()) this.#forget(key);
    this.#server.close();
  }

  #receive(data: Buffer, from: { readonly address: string; readonly port: number }): void {
    const key = `${from.address}:${from.port}`;
    const client = this.#clients.get(key) ?? this.#open(from);
    if (client === undefined) return;
    this.#touch(key, client);
    client.socket.send(data, client.endpoint.port, client.endpoint.address, error => {
      // The endpoint refuses: the next packet of this client tries another.
      if (error !== null) this.#forget(key);
    });
  }

  #open(from: { readonly address: string; readonly port: number }): Client | undefined {
    const endpoint = this.#balancer.pick(from.address, new Set());
    if (endpoint === undefined) return undefined;
    this.#balancer.remember(from.address, endpoint);
    const socket = createSocket('udp4');
    const key = `${from.address}:${from.port}`;
    socket.on('error', () => this.#forget(key));
    socket.on('message', (data, sender) => {
      // Anybody can send to the socket; only the endpoint's answers count.
      if (sender.address !== endpoint.address || sender.port !== endpoint.port) return;
      const client = this.#clients.get(key);
      if (client !== undefined) this.#touch(key, client);
      this.#server.send(data, from.port, from.address, () => undefined);
    });
    return { socket, address: from.address, endpoint, cancelIdle: () => undefined };
  }

  #touch(key: string, client: Client): void {
    client.cancelIdle();
    this.#clients.delete(key);
    this.#clients.set(key, client);
    client.cancelIdle = this.#clock.setTimeout(() => this.#forget(key), udpIdleMs);
    const [oldest] = this.#clients.keys();
    if (this.#clients.size > udpClientsMax && oldest !== undefined) this.#forget(oldest);
  }

  #forget(key: string): void {
    const client = this.#clients.get(key);
    if (client === undefined) return;
    this.#clients.delete(key);
    client.cancelIdle();
    client.socket.close();
  }
}
