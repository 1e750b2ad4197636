/** EndpointSlices: what proxies and DNS read to find the pods of a Service. */
import { nodes as nodesKind, endpointslices as slicesKind } from '../api/generated/kinds.ts';
import type { EndpointSlice, Node, Pod, Service } from '../api/generated/types.ts';
import { keyOf } from '../client/keys.ts';
import { matchesLabels } from '../client/labels.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { type HintWord, planHints, usesTopology } from './endpoint-slices-hints.ts';
import { MANAGED_BY, OUR_NAME, planSlices, SERVICE_NAME, ZONE } from './endpoint-slices-plan.ts';
import { byNodeName, NODE_INDEX } from './node-lifecycle.ts';
import { isNodeReady } from './node-plan.ts';
import { NAMESPACE_INDEX } from './owners.ts';
import { followServices, hasSelector } from './service-pods.ts';
import { SliceWriter } from './slice-writer.ts';
import { TriggerTimes, withTriggerTime } from './trigger-times.ts';

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
  /** How the spread of each family's endpoints over zones came out last, by Service. */
  const told = new Map<string, ReadonlyMap<string, string | undefined>>();
  const times = new TriggerTimes();
  services.addHandler({
    deleted: service => {
      told.delete(keyOf(service));
      times.forget(keyOf(service));
    },
  });
  const enqueueZoned = () => {
    for (const service of services.list()) if (usesTopology(service)) queue.add(keyOf(service));
  };
  const enqueueSelecting = ({ metadata }: Pod) => {
    for (const service of services.byIndex(NAMESPACE_INDEX, metadata?.namespace ?? '')) {
      if (hasSelector(service) && matchesLabels(service.spec?.selector ?? {}, metadata?.labels))
        queue.add(keyOf(service));
    }
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
  pods.addIndex(NODE_INDEX, byNodeName);
  nodes.addHandler({
    added: node => {
      enqueueServing(node);
      // Its pods may have been left out as those of a node that does not exist.
      for (const pod of pods.byIndex(NODE_INDEX, node.metadata?.name ?? '')) enqueueSelecting(pod);
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
  const tell = (service: Service, words: readonly HintWord[]) => {
    const key = keyOf(service);
    const before = told.get(key) ?? new Map<string, string | undefined>();
    const now = new Map(words.map(({ addressType, refusal }) => [addressType, refusal]));
    if (now.size > 0) told.set(key, now);
    else told.delete(key);
    const warn = (why: string, addressType: string) => {
      const message = `${why}, addressType: ${addressType}`;
      recorder.record(service, { type: 'Warning', reason: 'TopologyAwareHintsDisabled', message });
    };
    for (const [addressType, refusal] of now) {
      if (before.has(addressType) && before.get(addressType) === refusal) continue;
      if (refusal !== undefined) warn(refusal, addressType);
      else {
        const message = `Topology Aware Hints has been enabled, addressType: ${addressType}`;
        recorder.record(service, { type: 'Normal', reason: 'TopologyAwareHintsEnabled', message });
      }
    }
    for (const [addressType, refusal] of before) {
      if (!now.has(addressType) && refusal === undefined) warn('Topology Aware Hints has been disabled', addressType);
    }
  };

  const reconcile = async (key: string) => {
    const service = services.get(key);
    // Slices of a Service that is gone go by garbage collection.
    if (!service || !hasSelector(service) || service.metadata?.deletionTimestamp) return undefined;
    // While our own writes have not come back, the slices that we see are not all there are.
    const slices = writer.slicesOf(key);
    if (!slices) return undefined;
    const selector = service.spec?.selector ?? {};
    const selected = pods
      .byIndex(NAMESPACE_INDEX, service.metadata?.namespace ?? '')
      .filter(({ metadata }) => matchesLabels(selector, metadata?.labels));
    // Asked at each look, so that what is no change now is none at the next one.
    const time = times.next(service, selected);
    const hints = planHints(service, nodes);
    const { create, update, remove } = planSlices({
      service,
      pods: selected,
      slices,
      nodeOf: name => nodes.get(name),
      hints: hints.assign,
    });
    tell(service, hints.words());
    const timed = (slice: EndpointSlice) => withTriggerTime(slice, time);
    await writer.write(key, { create: create.map(timed), update: update.map(timed), remove });
    return undefined;
  };
  return queueController(context, { name: 'endpoint-slice-controller', queue, reconcile });
}

const zoneOf = ({ metadata }: Node) => metadata?.labels?.[ZONE];
const cpuOf = ({ status }: Node) => status?.allocatable?.cpu;

/** The Service whose slice this is, if it is one of ours. */
function serviceKey({ metadata }: EndpointSlice): string | undefined {
  const name = metadata?.labels?.[SERVICE_NAME];
  return name && metadata?.labels?.[MANAGED_BY] === OUR_NAME ? `${metadata.namespace}/${name}` : undefined;
}
