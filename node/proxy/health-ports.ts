/**
 * `healthCheckNodePort`: load balancers ask each node whether it has endpoints of a service with `externalTrafficPolicy:
 * Local`, and send nothing to nodes that have none. The answers are kube-proxy's.
 */
import type { Server } from 'node:http';
import { type EndpointSlice, http, type Service } from '../api.ts';
import type { Logger } from '../logger.ts';
import { isProxied } from './proxied.ts';

/** What one port says. */
export interface ServiceHealth {
  readonly port: number;
  readonly namespace: string;
  readonly name: string;
  /** Ready endpoints on this node. */
  readonly localEndpoints: number;
}

/** The ports that this node has to serve. Pure. */
export function planServiceHealth(
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  nodeName: string,
): ServiceHealth[] {
  return services.filter(isProxied).flatMap(({ metadata, spec }) => {
    const port = spec?.healthCheckNodePort ?? 0;
    if (port === 0 || spec?.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local') return [];
    const { namespace = '', name = '' } = metadata ?? {};
    const local = slices
      .filter(slice => slice.metadata?.namespace === namespace)
      .filter(slice => slice.metadata?.labels?.['kubernetes.io/service-name'] === name)
      .flatMap(({ addressType, endpoints }) => (endpoints ?? []).map(endpoint => ({ addressType, endpoint })))
      .filter(({ endpoint }) => endpoint.nodeName === nodeName && endpoint.conditions?.ready !== false);
    const counts = ['IPv4', 'IPv6'].map(
      family =>
        new Set(
          local
            .filter(one => one.addressType === family)
            .map(
              ({
                endpoint: {
                  addresses: [first],
                },
              }) => first,
            ),
        ).size,
    );
    // A pod with addresses of both families is one endpoint.
    return [{ port, namespace, name, localEndpoints: Math.max(...counts) }];
  });
}

/** Of one port: load balancers are few, and ask often. */
const CONNECTIONS_MAX = 256;
const REQUEST_TIMEOUT_MS = 10_000;

/** A proxy whose rules could not be made for so long is no longer said to be healthy (kube-proxy: two sync periods). */
const PROXY_FAILS_MS_MAX = 60_000;

/** Whether a node's rules follow its services, as load balancers ask. */
export class ProxyHealth {
  #failsSince: number | undefined;

  /** Rules were made, or could not be. */
  tell(isDone: boolean, nowMs: number): void {
    this.#failsSince = isDone ? undefined : (this.#failsSince ?? nowMs);
  }

  isHealthy(nowMs: number): boolean {
    return this.#failsSince === undefined || nowMs - this.#failsSince < PROXY_FAILS_MS_MAX;
  }
}

interface Port {
  readonly server: Server;
  says: ServiceHealth;
}

export class HealthPorts {
  readonly #logger: Logger;
  readonly #isProxyHealthy: () => boolean;
  readonly #ports = new Map<number, Port>();

  constructor(logger: Logger, isProxyHealthy: () => boolean = () => true) {
    this.#logger = logger;
    this.#isProxyHealthy = isProxyHealthy;
  }

  /** Listens on these ports and no others. One that is taken is told, and tried again with the next change. */
  async sync(wanted: readonly ServiceHealth[]): Promise<void> {
    const byPort = new Map(wanted.map(says => [says.port, says]));
    for (const port of [...this.#ports.keys()]) if (!byPort.has(port)) await this.#end(port);
    for (const [port, says] of byPort) {
      const open = this.#ports.get(port);
      if (open) open.says = says;
      else await this.#begin(says);
    }
  }

  async close(): Promise<void> {
    await this.sync([]);
  }

  async #begin(says: ServiceHealth): Promise<void> {
    const server = http.createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS });
    const port: Port = { server, says };
    server.maxConnections = CONNECTIONS_MAX;
    server.on('request', (_request, response) => {
      const { namespace, name, localEndpoints } = port.says;
      const serviceProxyHealthy = this.#isProxyHealthy();
      response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
        'x-load-balancing-endpoint-weight': String(localEndpoints),
      });
      const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy };
      response.end(JSON.stringify(body, undefined, '\t'));
    });
    try {
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(says.port, resolve));
    } catch (error) {
      const { namespace, name } = says;
      this.#logger.warn({ error, port: says.port, namespace, name }, 'a service’s healthCheckNodePort is taken here');
      return;
    }
    server.on('error', error => this.#logger.warn({ error, port: says.port }, 'a healthCheckNodePort failed'));
    this.#ports.set(says.port, port);
  }

  async #end(number: number): Promise<void> {
    const port = this.#ports.get(number);
    this.#ports.delete(number);
    if (!port) return;
    const closed = new Promise<void>(resolve => port.server.close(() => resolve()));
    port.server.closeAllConnections();
    await closed;
  }
}
