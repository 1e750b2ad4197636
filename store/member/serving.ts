/** The doors of a member: for remote store clients, and for etcd's. */
import type { RaftDriver } from '../../raft/index.ts';
import type { LocalClient } from '../client/local.ts';
import { EtcdServer } from '../etcd/server.ts';
import { resolveLimits } from '../limits.ts';
import type { StoreMetrics } from '../metrics/store-metrics.ts';
import type { ApplyResult } from '../mvcc/command.ts';
import { StoreServer } from '../remote/server.ts';
import type { Replica } from '../replica.ts';
import { ListenError, type OpenStoreOptions } from './options.ts';

/** Serves remote store clients, if that is wanted. @throws {ListenError} */
export async function serve(options: OpenStoreOptions, client: LocalClient) {
  if (options.serve === undefined) return undefined;
  const { clock, logger, serve: asked } = options;
  const server = new StoreServer({
    client,
    clock,
    limits: resolveLimits(options.limits),
    ...asked,
    ...(logger === undefined ? {} : { logger }),
  });
  try {
    return { server, port: await server.start() };
  } catch (error) {
    throw startError(error, asked.listen);
  }
}

/** Serves etcd's API, if that is wanted. @throws {ListenError} */
export async function serveEtcd(
  options: OpenStoreOptions,
  parts: {
    readonly raft: RaftDriver<ApplyResult>;
    readonly replica: Replica;
    readonly client: LocalClient;
    readonly metrics: StoreMetrics | undefined;
  },
) {
  if (options.serveEtcd === undefined) return undefined;
  const { clock, random, logger, wallClock, serveEtcd: asked } = options;
  const { metrics, ...store } = parts;
  const server = new EtcdServer({
    ...store,
    ...asked,
    clock,
    random,
    limits: resolveLimits(options.limits),
    ...(logger !== undefined && { logger }),
    ...(wallClock !== undefined && { wallClock }),
    ...(metrics !== undefined && { tallies: metrics.rpcs }),
    ...(options.metrics !== undefined && { metricsText: options.metrics }),
  });
  try {
    return { server, port: await server.start() };
  } catch (error) {
    throw startError(error, asked.listen);
  }
}

/** Says what a failed start means to an operator, where that is more than the error itself says. */
export function startError(error: unknown, listen: { readonly host: string; readonly port: number }): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const place = `${listen.host}:${listen.port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new ListenError(`${place} is in use by another process: stop it, or choose another port`, {
        cause: error,
      });
    case 'EADDRNOTAVAIL':
      return new ListenError(`${listen.host} is not an address of this machine`, { cause: error });
    case 'EACCES':
      return new ListenError(`this process may not listen on ${place}: choose a port above 1023`, { cause: error });
    default:
      return error;
  }
}
