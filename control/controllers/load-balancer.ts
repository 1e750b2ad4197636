/** Tells Services of type LoadBalancer under which addresses of the nodes they are reached. */
import { nodes as nodesKind, services as servicesKind, endpointslices as slicesKind } from '../api/generated/kinds.ts';
import type { EndpointSlice, Node, Service } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { keyOf, parseKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { SERVICE_NAME } from './endpoint-slices-plan.ts';
import { isEqual } from './equal.ts';
import { isBalanced, planBalancer } from './load-balancer-plan.ts';
import { isNodeReady } from './node-plan.ts';

const SERVICE_INDEX = 'service name';

/** Undefined where somebody else balances. */
export function loadBalancerController(context: ControllerContext): Controller | undefined {
  const { client, informers, options } = context;
  if (options.balancesServices === false) return undefined;
  const reservedPorts = new Set(options.reservedPorts);
  const recorder = context.recorder('service-controller');
  const queue = newQueue(context);
  const services = informers.for<Service>(servicesKind);
  const nodes = informers.for<Node>(nodesKind);
  const slices = informers.for<EndpointSlice>(slicesKind);
  const serviceOf = ({ metadata }: EndpointSlice) => `${metadata?.namespace}/${metadata?.labels?.[SERVICE_NAME] ?? ''}`;
  slices.addIndex(SERVICE_INDEX, slice => [serviceOf(slice)]);
  const enqueueAll = () => {
    for (const service of services.list()) if (isBalanced(service)) queue.add(keyOf(service));
  };
  services.addHandler({
    added: service => {
      if (isBalanced(service)) queue.add(keyOf(service));
    },
    // A port that one lets go may be what another waits for.
    updated: (service, old) => {
      if (!isBalanced(service) && !isBalanced(old)) return;
      if (isEqual(service.spec, old.spec)) queue.add(keyOf(service));
      else enqueueAll();
    },
    deleted: service => {
      if (isBalanced(service)) enqueueAll();
    },
  });
  nodes.addHandler({
    added: enqueueAll,
    updated: (node, old) => {
      if (isNodeReady(node) !== isNodeReady(old) || visible(node) !== visible(old)) enqueueAll();
    },
    deleted: enqueueAll,
  });
  const enqueueLocal = (slice: EndpointSlice) => {
    const service = services.get(serviceOf(slice));
    if (service && isBalanced(service) && service.spec?.externalTrafficPolicy === 'Local') queue.add(keyOf(service));
  };
  slices.addHandler({ added: enqueueLocal, updated: enqueueLocal, deleted: enqueueLocal });

  const reconcile = async (key: string) => {
    const service = services.get(key);
    if (!service || !isBalanced(service)) return undefined;
    const state = {
      services: services.list(),
      nodes: nodes.list(),
      slices: slices.byIndex(SERVICE_INDEX, key),
      reservedPorts,
    };
    const plan = planBalancer(service, state);
    const tell = (type: 'Normal' | 'Warning', reason: string, message: string) =>
      recorder.record(service, { type, reason, message });
    if (plan.type === 'refused') {
      tell('Warning', 'SyncLoadBalancerFailed', `Error syncing load balancer: ${plan.why}`);
    }
    const wanted = plan.type === 'addresses' ? plan.ingress : [];
    if (isEqual(service.status?.loadBalancer?.ingress ?? [], wanted)) return undefined;
    if (plan.type === 'addresses') tell('Normal', 'EnsuringLoadBalancer', 'Ensuring load balancer');
    const body = { status: { loadBalancer: { ingress: wanted.length > 0 ? wanted : null } } };
    const patch = { type: 'application/merge-patch+json', body } as const;
    try {
      await client.patch(servicesKind, parseKey(key), patch, { subresource: 'status' });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
      return undefined;
    }
    if (plan.type === 'addresses') tell('Normal', 'EnsuredLoadBalancer', 'Ensured load balancer');
    return undefined;
  };
  return queueController(context, { name: 'service-lb-controller', queue, reconcile });
}

/** All of a node that its part in balancing depends on, besides its readiness. */
const visible = ({ metadata, status }: Node) => JSON.stringify([metadata?.labels, status?.addresses]);
