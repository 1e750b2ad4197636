/** Mirrors Endpoints that somebody keeps by hand, for Services without selector, to EndpointSlices. */
import {
  endpoints as endpointsKind,
  services as servicesKind,
  endpointslices as slicesKind,
} from '../api/generated/kinds.ts';
import type { EndpointSlice, Endpoints, Service } from '../api/generated/types.ts';
import { keyOf } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isMirrored, MIRRORED_BY, planMirror } from './endpoint-slice-mirroring-plan.ts';
import { MANAGED_BY, SERVICE_NAME } from './endpoint-slices-plan.ts';
import { MIRRORED_ENDPOINTS_MAX } from './limits.ts';
import { SliceWriter } from './slice-writer.ts';

export function endpointSliceMirroringController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const recorder = context.recorder('endpoint-slice-mirroring-controller');
  const queue = newQueue(context);
  const services = informers.for<Service>(servicesKind);
  const objects = informers.for<Endpoints>(endpointsKind);
  const enqueue = (object: Service | Endpoints) => queue.add(keyOf(object));
  const enqueueMirrored = (object: Endpoints) => {
    if (isMirrored(object)) enqueue(object);
  };
  services.addHandler({ added: enqueue, updated: enqueue, deleted: enqueue });
  objects.addHandler({
    added: enqueueMirrored,
    // One that is mirrored no more has slices that have to go.
    updated: (object, old) => {
      if (isMirrored(object) || isMirrored(old)) enqueue(object);
    },
    deleted: enqueue,
  });
  const writer = new SliceWriter('mirrored endpoints', {
    client,
    clock,
    slices: informers.for<EndpointSlice>(slicesKind),
    ownerOf: serviceKey,
    onChange: key => queue.add(key),
  });

  const reconcile = async (key: string) => {
    const service = services.get(key);
    const object = objects.get(key);
    const slices = writer.slicesOf(key);
    if (!slices) return undefined;
    const isWanted =
      service !== undefined &&
      Object.keys(service.spec?.selector ?? {}).length === 0 &&
      object !== undefined &&
      !object.metadata?.deletionTimestamp &&
      isMirrored(object);
    if (!isWanted) {
      if (slices.length > 0) await writer.write(key, { create: [], update: [], remove: slices });
      return undefined;
    }
    const plan = planMirror(object, slices);
    const warn = (reason: string, message: string) => recorder.record(object, { type: 'Warning', reason, message });
    if (plan.invalid > 0) {
      warn('InvalidIPAddress', `Skipped ${plan.invalid} invalid IP addresses when mirroring to EndpointSlices`);
    }
    if (plan.skipped > 0) {
      warn(
        'TooManyAddressesToMirror',
        `A max of ${MIRRORED_ENDPOINTS_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset. ${plan.skipped} addresses were skipped`,
      );
    }
    await writer.write(key, plan);
    return undefined;
  };
  return queueController(context, { name: 'endpoint-slice-mirroring-controller', queue, reconcile });
}

/** The Service whose slice this is, if it is a mirror of ours. */
function serviceKey({ metadata }: EndpointSlice): string | undefined {
  const name = metadata?.labels?.[SERVICE_NAME];
  return name && metadata?.labels?.[MANAGED_BY] === MIRRORED_BY ? `${metadata.namespace}/${name}` : undefined;
}
