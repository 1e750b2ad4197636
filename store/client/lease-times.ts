/** How long leases live, as clients are told. */
import type { Lease } from '../mvcc/command.ts';
import type { LeaseTimeToLive } from './client.ts';

/** What a client hears of a lease. One that is over but not ended yet has no time left. */
export function timeToLive(known: {
  readonly lease: Lease;
  readonly keys: readonly string[];
  readonly remainingMs: number;
}): LeaseTimeToLive {
  return {
    grantedSeconds: known.lease.ttlSeconds,
    remainingSeconds: Math.max(0, Math.ceil(known.remainingMs / 1000)),
    keys: known.keys,
  };
}

export function leaseIds(leases: readonly Lease[]): readonly number[] {
  return leases.map(({ id }) => id).sort((one, other) => one - other);
}
