/** EndpointSlices: what proxies and DNS read to find the pods of a Service. */
import { nodes as nodesKind, endpointslices as slicesKind } from '../api/generated/kinds.ts';
import type { EndpointSlice, Node, Service } from '../api/generated/types.ts';
import { keyOf } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { planHints, usesTopology } from './endpoint-slices-hints.ts';
import { MANAGED_BY, OUR_NAME, planSlices, SERVICE_NAME, ZONE } from './endpoint-slices-plan.ts';
import { isNodeReady } from './node-plan.ts';
import { NAMESPACE_INDEX } from './owners.ts';
import { followServices, hasSelector } from './service-pods.ts';
import { SliceWriter } from './slice-writer.ts';

export function endpointSliceController(context: ControllerContext): Controller {
  const { client, clock, informers } = context;
  const recorder = context.recorder('endpoint-slice-controller');
  const queue = newQueue(context);
  const { services, pods } = followServices(informers, queue);
  const nodes = informers.for<Node>(nodesKind);
  const writer = new SliceWriter('pods', {
    client,
    clock,
    slices: informers.for<EndpointSlice>(slicesKind),
    ownerOf: serviceKey,
    onChange: key => queue.add(key),
  });
  /** Services whose endpoints are told by zones, as was said last. */
  const told = new Map<string, string>();
  services.addHandler({ deleted: service => told.delete(keyOf(service)) });
  const enqueueZoned = () => {
    for (const service of services.list()) if (usesTopology(service)) queue.add(keyOf(service));
  };
  const enqueueServing = ({ metadata }: Node) => {
    const keys = new Set<string>();
    for (const slice of informers.for<EndpointSlice>(slicesKind).list()) {
      const key = serviceKey(slice);
      if (key === undefined || keys.has(key)) continue;
      if ((slice.endpoints ?? []).some(({ nodeName }) => nodeName === metadata?.name)) keys.add(key);
    }
    for (const key of keys) queue.add(key);
  };
  nodes.addHandler({
    added: node => {
      enqueueServing(node);
      enqueueZoned();
    },
    updated: (node, old) => {
      if (zoneOf(node) !== zoneOf(old)) enqueueServing(node);
      if (zoneOf(node) !== zoneOf(old) || cpuOf(node) !== cpuOf(old) || isNodeReady(node) !== isNodeReady(old)) {
        enqueueZoned();
      }
    },
    deleted: enqueueZoned,
  });

  /** Says of a Service that its endpoints are spread by zones, or why not; once for each change. */
  const tell = (service: Service, word: string | undefined) => {
    const key = keyOf(service);
    const before = told.get(key);
    if (word === undefined) told.delete(key);
    else told.set(key, word);
    if (word === undefined ? before !== ENABLED : word === before) return;
    if (word === ENABLED) {
      recorder.record(service, { type: 'Normal', reason: 'TopologyAwareHintsEnabled', message: ENABLED });
      return;
    }
    const message = word ?? 'Topology Aware Hints has been disabled';
    recorder.record(service, { type: 'Warning', reason: 'TopologyAwareHintsDisabled', message });
  };

  const reconcile = async (key: string) => {
    const service = services.get(key);
    // Slices of a Service that is gone go by garbage collection.
    if (!service || !hasSelector(service) || service.metadata?.deletionTimestamp) return undefined;
    // While our own writes have not come back, the slices that we see are not all there are.
    const slices = writer.slicesOf(key);
    if (!slices) return undefined;
    const hints = planHints(service, nodes);
    const plan = planSlices({
      service,
      pods: pods.byIndex(NAMESPACE_INDEX, service.metadata?.namespace ?? ''),
      slices,
      nodeOf: name => nodes.get(name),
      hints: hints.assign,
    });
    tell(service, hints.word());
    await writer.write(key, plan);
    return undefined;
  };
  return queueController(context, { name: 'endpoint-slice-controller', queue, reconcile });
}

const ENABLED = 'Topology Aware Hints has been enabled, addressType: IPv4';
const zoneOf = ({ metadata }: Node) => metadata?.labels?.[ZONE];
const cpuOf = ({ status }: Node) => status?.allocatable?.cpu;

/** The Service whose slice this is, if it is one of ours. */
function serviceKey({ metadata }: EndpointSlice): string | undefined {
  const name = metadata?.labels?.[SERVICE_NAME];
  return name && metadata?.labels?.[MANAGED_BY] === OUR_NAME ? `${metadata.namespace}/${name}` : undefined;
}
