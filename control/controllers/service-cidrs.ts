/**
 * ServiceCIDRs: a range is ready for Services as soon as it is held by its finalizer, and goes only when no address that was
 * given out of it would be left without a range (KEP-1880, k/k pkg/controller/servicecidrs).
 */
import { ipaddresses as addressesKind, servicecidrs as rangesKind } from '../api/generated/kinds.ts';
import type { Condition, IPAddress, ServiceCIDR } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { parseTime, timestamp } from '../client/clock.ts';
import { rangeCovers, rangeGives } from './cidr.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { SERVICE_RANGE_DELETION_MS } from './limits.ts';
import { isOurRecord } from './service-addresses.ts';

export const RANGE_FINALIZER = 'networking.k8s.io/service-cidr-finalizer';
const READY: Condition = {
  type: 'Ready',
  status: 'True',
  reason: '',
  message: 'Kubernetes Service CIDR is ready',
  lastTransitionTime: '',
};
const HELD: Condition = {
  type: 'Ready',
  status: 'False',
  reason: 'Terminating',
  message: 'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
  lastTransitionTime: '',
};

/** What a range needs next. */
export type RangeStep =
  | { readonly type: 'none' }
  | { readonly type: 'hold' }
  | { readonly type: 'tell'; readonly condition: Condition }
  | { readonly type: 'wait'; readonly forMs: number }
  | { readonly type: 'release' };

/** Pure. `ranges` are all ServiceCIDRs, `addresses` all IPAddresses that Services hold. */
export function planRange(
  range: ServiceCIDR,
  ranges: readonly ServiceCIDR[],
  addresses: readonly string[],
  nowMs: number,
): RangeStep {
  const { deletionTimestamp, finalizers = [] } = range.metadata ?? {};
  const isHeld = finalizers.includes(RANGE_FINALIZER);
  if (deletionTimestamp === undefined) return isHeld ? tell(range, READY) : { type: 'hold' };
  if (!isHeld) return { type: 'none' };
  if (isNeeded(range, ranges, addresses)) return tell(range, HELD);
  // Another master may give addresses away for as long as it has not heard of the deletion.
  const leftMs = (parseTime(deletionTimestamp) ?? 0) + SERVICE_RANGE_DELETION_MS - nowMs;
  return leftMs > 0 ? { type: 'wait', forMs: leftMs } : { type: 'release' };
}

function tell({ status }: ServiceCIDR, condition: Condition): RangeStep {
  const present = (status?.conditions ?? []).find(({ type }) => type === condition.type);
  const isSame = present?.status === condition.status && (present.reason ?? '') === condition.reason;
  return isSame ? { type: 'none' } : { type: 'tell', condition };
}

function isNeeded(range: ServiceCIDR, ranges: readonly ServiceCIDR[], addresses: readonly string[]): boolean {
  const cidrsOf = ({ spec }: ServiceCIDR) => spec?.cidrs ?? [];
  const others = ranges
    .filter(({ metadata }) => metadata?.name !== range.metadata?.name && metadata?.deletionTimestamp === undefined)
    .flatMap(cidrsOf);
  if (cidrsOf(range).every(cidr => others.some(other => rangeCovers(other, cidr)))) return false;
  return addresses.some(
    address =>
      cidrsOf(range).some(cidr => rangeGives(cidr, address)) && !others.some(other => rangeGives(other, address)),
  );
}

export function serviceRangeController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const queue = newQueue(context);
  const ranges = informers.for<ServiceCIDR>(rangesKind);
  const addresses = informers.for<IPAddress>(addressesKind);
  const enqueueLeaving = () => {
    for (const { metadata } of ranges.list()) if (metadata?.deletionTimestamp) queue.add(metadata.name ?? '');
  };
  const enqueue = ({ metadata }: ServiceCIDR) => {
    queue.add(metadata?.name ?? '');
    // What comes or goes may be what another one waits for.
    enqueueLeaving();
  };
  ranges.addHandler({ added: enqueue, updated: enqueue, deleted: enqueueLeaving });
  addresses.addHandler({ deleted: enqueueLeaving });

  const perform = async (range: ServiceCIDR, step: RangeStep) => {
    const name = range.metadata?.name ?? '';
    const finalizers = range.metadata?.finalizers ?? [];
    const change = (next: readonly string[]) =>
      client.update(rangesKind, { ...range, metadata: { ...range.metadata, finalizers: [...next] } });
    switch (step.type) {
      case 'hold':
        await change([...finalizers, RANGE_FINALIZER]);
        return undefined;
      case 'release':
        await change(finalizers.filter(finalizer => finalizer !== RANGE_FINALIZER));
        return undefined;
      case 'tell': {
        const condition = { ...step.condition, lastTransitionTime: timestamp(clock.now()) };
        const body = { status: { conditions: [condition] } };
        const patch = { type: 'application/strategic-merge-patch+json', body } as const;
        await client.patch(rangesKind, { name }, patch, { subresource: 'status' });
        return undefined;
      }
      case 'wait':
        return { afterMs: step.forMs };
      case 'none':
        return undefined;
    }
  };

  return queueController(context, {
    name: 'service-cidr-controller',
    queue,
    workers: 1,
    async reconcile(name) {
      const range = ranges.get(name);
      if (!range) return undefined;
      // What somebody else recorded there is nothing that a Service would lose.
      const held = addresses.list().flatMap(record => (isOurRecord(record) ? [record.metadata?.name ?? ''] : []));
      try {
        return await perform(range, planRange(range, ranges.list(), held, clock.now()));
      } catch (error) {
        if (hasReason(error, 'NotFound')) return undefined;
        throw error;
      }
    },
  });
}
