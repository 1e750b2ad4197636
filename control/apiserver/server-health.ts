/** When the server is alive and when it is ready. */
import type { Authorizer } from './auth/authorizer.ts';
import type { WatchCache } from './cache/watch-cache.ts';
import type { HealthCheck, HealthOptions } from './health.ts';
import type { ApiServerOptions } from './server-options.ts';
import type { Clock } from './types.ts';

/** The cache is ready if it reaches what is committed within this time. */
const FRESHEN_CHECK_MS = 2_000;

export function healthChecks({
  cache,
  authorizer,
  options,
  closing,
}: {
  readonly cache: WatchCache;
  readonly authorizer: Authorizer;
  readonly options: ApiServerOptions;
  readonly closing: AbortSignal;
}): HealthOptions {
  const { clock, liveness = [], readiness = [] } = options;
  const ping: HealthCheck = { name: 'ping', check: () => undefined };
  const informed: HealthCheck = {
    name: 'informer-sync',
    check() {
      if (!cache.isFilled) throw new Error('the state has not been read from the store yet');
    },
  };
  const store: HealthCheck = { name: 'store', check: () => within(clock, FRESHEN_CHECK_MS, cache.freshen()) };
  // A leader makes them at its start. Before, a client with every right would be refused for a moment.
  const roles: HealthCheck = {
    name: 'poststarthook/rbac/bootstrap-roles',
    check() {
      if (!authorizer.roles.isPopulated) throw new Error('the cluster has no roles yet');
    },
  };
  const shutdown: HealthCheck = {
    name: 'shutdown',
    check() {
      if (closing.aborted) throw new Error('the server is closing');
    },
  };
  return { live: [ping, ...liveness], ready: [ping, informed, ...readiness, store, roles, shutdown] };
}

/** @throws Error if `work` takes longer; else what it throws. */
async function within(clock: Clock, timeoutMs: number, work: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const cancel = clock.setTimeout(() => late.reject(new Error(`not up to date within ${timeoutMs} ms`)), timeoutMs);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    cancel();
  }
}
