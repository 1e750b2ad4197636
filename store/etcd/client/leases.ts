/** Renewing one lease once. etcd has only a stream for it. */
import type { ServiceError } from '@grpc/grpc-js';
import { LeaseNotFoundError } from '../../client/client.ts';
import type { Clock } from '../../clock.ts';
import type { LeaseKeepAliveResponse } from '../proto/lease.ts';
import type { Read } from '../proto/message.ts';
import { Lease } from '../proto/services.ts';
import type { Endpoint } from './endpoint.ts';
import { callError, unavailable } from './errors.ts';

/** Resolves with the lease's full life. @throws {LeaseNotFoundError} {UnavailableError} */
export function keepAlive(
  endpoint: Endpoint,
  id: number,
  { clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number },
): Promise<{ readonly ttlSeconds: number }> {
  const stream = endpoint.stream(Lease.leaseKeepAlive);
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly ttlSeconds: number }>();
  const cancel = clock.setTimeout(() => {
    reject(unavailable(`${endpoint.url} did not renew the lease within ${timeoutMs / 1000} s`));
    stream.cancel();
  }, timeoutMs);
  stream.on('data', ({ ttl }: Read<typeof LeaseKeepAliveResponse>) => {
    if (ttl > 0) resolve({ ttlSeconds: ttl });
    else reject(new LeaseNotFoundError(`there is no lease ${id}`));
    stream.cancel();
  });
  stream.on('error', (error: ServiceError) => reject(callError(error, 'read')));
  stream.on('end', () => reject(unavailable(`${endpoint.url} ended the stream of renewals`)));
  stream.write({ id });
  return promise.finally(cancel);
}
