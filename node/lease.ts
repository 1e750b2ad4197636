/** The node's heartbeat: a Lease in kube-node-lease that is renewed every few seconds. */
import { type Client, hasReason, type Lease, leases, type Node } from './api.ts';
import { type Clock, microTimeText, sleep } from './clock.ts';
import type { Logger } from './logger.ts';

export interface HeartbeatOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nodeName: string;
  /** The node's object: the lease belongs to it and goes with it. */
  readonly node: () => Node | undefined;
  readonly renewMs: number;
  readonly durationSeconds: number;
}

const NAMESPACE = 'kube-node-lease';

/** Renews until the signal aborts. Never rejects: a missed beat is tried again sooner. */
export async function beat(options: HeartbeatOptions, signal: AbortSignal): Promise<void> {
  const { clock, logger, renewMs } = options;
  let last: Lease | undefined;
  while (!signal.aborted) {
    try {
      last = await renew(options, last);
      await sleep(clock, renewMs, signal);
    } catch (error) {
      last = undefined;
      if (!signal.aborted) logger.debug({ error }, 'heartbeat failed');
      await sleep(clock, Math.min(renewMs, 1000), signal);
    }
  }
}

async function renew(options: HeartbeatOptions, last: Lease | undefined): Promise<Lease> {
  const { client, clock, nodeName } = options;
  const known = last ?? (await find(options));
  const lease = planHeartbeat(known, {
    nodeName,
    node: options.node(),
    now: clock.now(),
    durationSeconds: options.durationSeconds,
  });
  return known ? client.update(leases, lease) : client.create(leases, lease);
}

async function find({ client, nodeName }: HeartbeatOptions): Promise<Lease | undefined> {
  try {
    return await client.get(leases, { namespace: NAMESPACE, name: nodeName });
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined;
    throw error;
  }
}

/** The lease with one more beat. Pure. */
function planHeartbeat(
  known: Lease | undefined,
  {
    nodeName,
    node,
    now,
    durationSeconds,
  }: { nodeName: string; node: Node | undefined; now: number; durationSeconds: number },
): Lease {
  const owner = node?.metadata?.uid;
  const ownerReferences = owner ? [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: owner }] : undefined;
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { ...known?.metadata, name: nodeName, namespace: NAMESPACE, ...(ownerReferences && { ownerReferences }) },
    spec: {
      ...known?.spec,
      holderIdentity: nodeName,
      leaseDurationSeconds: durationSeconds,
      renewTime: microTimeText(now),
    },
  };
}
