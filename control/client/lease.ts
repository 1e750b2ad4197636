/**
 * Holds a Lease object so that people and tools see who leads (`kubectl get leases -n kube-system`). It decides nothing:
 * leadership is Raft's, and the store refuses what a deposed leader writes.
 */
import { leases } from '../api/generated/kinds.ts';
import type { Lease } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from './client.ts';
import { type Clock, microTimestamp, sleep } from './clock.ts';
import type { Logger } from './logger.ts';

export interface LeaseHolderOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly name: string;
  readonly namespace?: string;
  /** Who holds it, such as `master-1_<random>`. */
  readonly identity: string;
  readonly durationSeconds?: number;
  readonly renewMs?: number;
}

/** Kubernetes' leader election: 15 s, renewed well before (PEERS.md timing defaults). */
const DURATION_SECONDS = 15;
const RENEW_MS = 5_000;
const RETRY_MS = 2_000;

/** Takes the lease and renews it until the signal aborts. Never rejects. */
export async function holdLease(options: LeaseHolderOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let delayMs = options.renewMs ?? RENEW_MS;
    try {
      await renew(options);
    } catch (error) {
      if (signal.aborted) return;
      options.logger.debug({ lease: options.name, err: error }, 'lease not renewed');
      delayMs = RETRY_MS;
    }
    await sleep(options.clock, delayMs, signal);
  }
}

async function renew(options: LeaseHolderOptions): Promise<void> {
  const { client, name, namespace = 'kube-system' } = options;
  try {
    const lease = await client.get(leases, { namespace, name });
    await client.update(leases, planLease(lease, options));
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error;
    await client.create(leases, planLease({ metadata: { name, namespace } }, options));
  }
}

/** The lease as its holder wants it: a change of holder counts as a transition. */
function planLease(lease: Lease, { clock, identity, durationSeconds }: LeaseHolderOptions): Lease {
  const now = microTimestamp(clock.now());
  const spec = lease.spec ?? {};
  const isNew = spec.holderIdentity === undefined;
  const isMine = spec.holderIdentity === identity;
  return {
    ...lease,
    spec: {
      ...spec,
      holderIdentity: identity,
      leaseDurationSeconds: durationSeconds ?? DURATION_SECONDS,
      acquireTime: isMine ? (spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (spec.leaseTransitions ?? 0) + (isNew || isMine ? 0 : 1),
    },
  };
}
