/** etcd's Lease service. Renewals of one stream are carried out side by side, so that many leases can share it. */
import { LeaseNotFoundError } from '../client/client.ts';
import { keyBytes } from '../mvcc/keys.ts';
import { LEASE_TTL_SECONDS_MAX, LEASE_TTL_SECONDS_MIN } from '../mvcc/limits.ts';
import { readOf } from './access.ts';
import { type EtcdContext, leaseId } from './context.ts';
import { etcdError } from './errors.ts';
import type { CallContext } from './grpc/call.ts';
import { type Route, streaming, unary } from './grpc/routes.ts';
import { GrpcError, STATUS } from './grpc/status.ts';
import { STREAM_RENEWALS_MAX } from './limits.ts';
import { Lease } from './proto/services.ts';

export function leaseRoutes(context: EtcdContext): Route[] {
  const { access, client } = context;
  return [
    unary(Lease.leaseGrant, async (request, call) => {
      context.requireLeader(call);
      if (request.ttl > LEASE_TTL_SECONDS_MAX) throw etcdError('leaseTtlTooLarge');
      if (!Number.isSafeInteger(request.id) || request.id < 0) {
        throw new GrpcError(STATUS.invalidArgument, 'raftsman: a lease id must lie between 1 and 2^53 - 1');
      }
      const ttlSeconds = Math.max(LEASE_TTL_SECONDS_MIN, request.ttl);
      const lease = await access.perform(
        call,
        () => 'nothing',
        one => one.grantLease(ttlSeconds, request.id === 0 ? {} : { id: request.id }),
      );
      return { header: context.header(), id: lease.id, ttl: lease.ttlSeconds };
    }),
    unary(Lease.leaseRevoke, async (request, call) => {
      context.requireLeader(call);
      const id = leaseId(request.id);
      if (id === 0) throw etcdError('leaseNotFound');
      // Whether the caller may write the keys on it is found out where it is applied.
      await access.perform(
        call,
        () => 'nothing',
        one => one.revokeLease(id),
      );
      return { header: context.header() };
    }),
    streaming(Lease.leaseKeepAlive, async call => {
      context.requireLeader(call);
      const { promise: failure, reject: fail } = Promise.withResolvers<never>();
      failure.catch(() => {});
      const underWay = new Set<Promise<void>>();
      const renew = async (id: number) => {
        const ttl = await renewed(context, id);
        await call.send({ header: context.header(), id, ttl });
      };
      const serve = async () => {
        for await (const { id } of call.requests) {
          const done: Promise<void> = renew(id)
            .catch(fail)
            .finally(() => underWay.delete(done));
          underWay.add(done);
          if (underWay.size >= STREAM_RENEWALS_MAX) await Promise.race(underWay);
        }
        await Promise.all(underWay);
      };
      await Promise.race([serve(), failure]);
    }),
    unary(Lease.leaseTimeToLive, async (request, call) => {
      context.requireLeader(call);
      const time = isPossible(request.id) ? await client.leaseTimeToLive(request.id) : undefined;
      if (request.keys) checkLeaseKeys(context, call, time?.keys ?? []);
      if (time === undefined) return { header: context.header(), id: request.id, ttl: -1 };
      return {
        header: context.header(),
        id: request.id,
        ttl: time.remainingSeconds,
        grantedTtl: time.grantedSeconds,
        keys: request.keys ? time.keys.map(keyBytes) : [],
      };
    }),
    unary(Lease.leaseLeases, async (_request, call) => {
      context.requireLeader(call);
      const ids = await client.leases();
      return { header: context.header(), leases: ids.map(id => ({ id })) };
    }),
  ];
}

/** The keys on a lease are told to who may read them. @throws {GrpcError} */
function checkLeaseKeys({ access }: EtcdContext, call: CallContext, keys: readonly string[]): void {
  if (!access.head.isEnabled) return;
  const { user } = access.check(
    call,
    keys.map(key => readOf({ key })),
  );
  if (user === '') throw etcdError('userEmpty');
}

/** The lease's new life; 0 if it is gone. */
async function renewed({ client }: EtcdContext, id: number): Promise<number> {
  if (!isPossible(id)) return 0;
  try {
    return (await client.keepLeaseAlive(id)).ttlSeconds;
  } catch (error) {
    if (error instanceof LeaseNotFoundError) return 0;
    throw error;
  }
}

function isPossible(id: number): boolean {
  return Number.isSafeInteger(id) && id > 0;
}
