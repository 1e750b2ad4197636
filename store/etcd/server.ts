/**
 * etcd's v3 API on this member's store. Any member answers everything: writes and linearizable reads are forwarded to the
 * leader by the store itself.
 */
import type { Logger } from '../logger.ts';
import type { RpcTallies } from '../metrics/rpcs.ts';
import type { TlsMaterial } from '../remote/server.ts';
import { authRoutes } from './auth.ts';
import { clusterRoutes } from './cluster.ts';
import { concurrencyRoutes } from './concurrency.ts';
import { EtcdContext, type EtcdContextOptions } from './context.ts';
import { toStatus } from './errors.ts';
import { GrpcServer } from './grpc-server.ts';
import { kvRoutes } from './kv.ts';
import { leaseRoutes } from './leases.ts';
import { healthRoutes, maintenanceRoutes } from './maintenance.ts';
import { etcdPages, type MetricsText } from './pages.ts';
import { watchRoutes } from './watches.ts';

export interface EtcdServerOptions extends EtcdContextOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Clients must show a certificate of `ca`. Without it the server speaks plain text: for loopback only. */
  readonly tls?: TlsMaterial;
  /** Clients' certificates must bear this organization too. */
  readonly organization?: string;
  readonly logger?: Logger;
  /** What `/metrics` answers. */
  readonly metricsText?: MetricsText;
  /** Counts the calls. */
  readonly tallies?: RpcTallies;
}

export class EtcdServer {
  readonly #context: EtcdContext;
  readonly #server: GrpcServer;

  constructor(options: EtcdServerOptions) {
    const { listen, tls, organization, logger, clock, tallies, metricsText } = options;
    const context = new EtcdContext(options);
    this.#context = context;
    this.#server = new GrpcServer({
      listen,
      clock,
      ...(tls !== undefined && { tls }),
      ...(organization !== undefined && { organization }),
      ...(logger !== undefined && { logger }),
      ...(tallies !== undefined && { tallies }),
      pages: etcdPages(context, metricsText),
      toStatus: error => toStatus(error, () => context.hasLeader),
      routes: [
        ...kvRoutes(context),
        ...watchRoutes(context),
        ...leaseRoutes(context),
        ...clusterRoutes(context),
        ...maintenanceRoutes(context),
        ...authRoutes(context),
        ...concurrencyRoutes(context),
        ...healthRoutes(context),
      ],
    });
  }

  /** Listens. Resolves with the port, which is chosen by the system if 0 was asked for. */
  start(): Promise<number> {
    return this.#server.start();
  }

  async close(): Promise<void> {
    await this.#server.close();
    this.#context.close();
  }
}
