/** The agent's HTTPS server: what the API server asks of a node. Only the API server and cluster administrators get in. */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Pod } from './api.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import type { Runtime, SandboxStatus } from './runtime/runtime.ts';

export interface AgentTls {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string;
}
export interface PodHandle {
  readonly uid: string;
  readonly pod: Pod;
  readonly address: string | undefined;
}
export interface PodDirectory {
  find(namespace: string, name: string): PodHandle | undefined;
  list(): readonly PodHandle[];
  sandboxesOf(podUid: string): readonly SandboxStatus[];
}
export interface AgentServerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly runtime: Runtime;
  readonly tls: AgentTls;
  readonly nodeName: string;
  readonly pods: PodDirectory;
}

export class AgentServer {
  readonly #server: Server;

  constructor({ tls }: AgentServerOptions) {
    this.#server = createServer(
      { cert: tls.cert, key: tls.key, ca: tls.clientCa, requestCert: true },
      (_request, response) => {
        response.statusCode = 404;
        response.end();
      },
    );
  }
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }
  async listen({ host, port }: { host: string; port: number }): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
  }
  async close(): Promise<void> {
    await new Promise(resolve => this.#server.close(resolve));
  }
}
