/** EndpointSlices: what proxies and DNS read to find the pods of a Service. */
import { nodes as nodesKind, endpointslices as slicesKind } from '../api/generated/kinds.ts';
import type { EndpointSlice, Node } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { Expectations } from '../client/expectations.ts';
import { objectKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { MANAGED_BY, OUR_NAME, planSlices, SERVICE_NAME } from './endpoint-slices-plan.ts';
import { NAMESPACE_INDEX } from './owners.ts';
import { followServices, hasSelector } from './service-pods.ts';

const SERVICE_INDEX = 'service';

export function endpointSliceController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const expectations = new Expectations(context.clock);
  const { services, pods } = followServices(informers, queue);
  const nodes = informers.for<Node>(nodesKind);
  const slices = informers.for<EndpointSlice>(slicesKind);
  slices.addIndex(SERVICE_INDEX, slice => [serviceKey(slice) ?? ''].filter(Boolean));
  slices.addHandler({
    added: slice => {
      const key = serviceKey(slice);
      if (!key) return;
      expectations.creationObserved(key);
      queue.add(key);
    },
    updated: slice => {
      const key = serviceKey(slice);
      if (key) queue.add(key);
    },
    deleted: slice => {
      const key = serviceKey(slice);
      if (!key) return;
      expectations.deletionObserved(key, slice.metadata?.uid ?? '');
      queue.add(key);
    },
  });

  const reconcile = async (key: string) => {
    const service = services.get(key);
    // Slices of a Service that is gone go by garbage collection.
    if (!service || !hasSelector(service) || service.metadata?.deletionTimestamp) return undefined;
    // While our own writes have not come back, the slices that we see are not all there are.
    if (!expectations.areMet(key)) return undefined;
    const plan = planSlices({
      service,
      pods: pods.byIndex(NAMESPACE_INDEX, service.metadata?.namespace ?? ''),
      slices: slices.byIndex(SERVICE_INDEX, key).filter(({ metadata }) => !metadata?.deletionTimestamp),
      nodeOf: name => nodes.get(name),
    });
    expectations.expect(key, {
      creations: plan.create.length,
      deletions: plan.remove.map(({ metadata }) => metadata?.uid ?? ''),
    });
    for (const slice of plan.create) {
      await client.create(slicesKind, slice).catch(error => {
        expectations.creationObserved(key);
        throw error;
      });
    }
    for (const slice of plan.update) await client.update(slicesKind, slice);
    for (const slice of plan.remove) await remove(slice, key);
    return undefined;
  };

  const remove = async (slice: EndpointSlice, key: string) => {
    const uid = slice.metadata?.uid ?? '';
    try {
      await client.delete(slicesKind, objectKey(slice), { uid });
    } catch (error) {
      expectations.deletionObserved(key, uid);
      if (!hasReason(error, 'NotFound')) throw error;
    }
  };
  return queueController(context, { name: 'endpoint-slice-controller', queue, reconcile });
}

/** The Service whose slice this is, if it is one of ours. */
function serviceKey({ metadata }: EndpointSlice): string | undefined {
  const name = metadata?.labels?.[SERVICE_NAME];
  return name && metadata?.labels?.[MANAGED_BY] === OUR_NAME ? `${metadata.namespace}/${name}` : undefined;
}
