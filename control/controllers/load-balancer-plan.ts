/**
 * Addresses for Services of type LoadBalancer where no cloud gives any: those of the nodes, as k3s' service load balancer has
 * it. Each node's proxy takes traffic for its own address and the Service's port. A port of the nodes belongs to one Service at
 * a time, the oldest that wants it; and ports on which the cluster itself listens belong to nobody. Pure.
 */
import type { EndpointSlice, LoadBalancerIngress, Node, Service } from '../api/generated/types.ts';
import { addressesOfNodes } from '../api/ingress.ts';
import { isNodeReady } from './node-plan.ts';

/** On a node: it is no address of balancers and Ingresses. */
export const EXCLUDED = 'node.kubernetes.io/exclude-from-external-load-balancers';

/** True for Services that nobody else balances. */
export function isBalanced({ metadata, spec }: Service): boolean {
  return spec?.type === 'LoadBalancer' && spec.loadBalancerClass === undefined && !metadata?.deletionTimestamp;
}

export interface BalancerState {
  /** All Services of the cluster. */
  readonly services: readonly Service[];
  readonly nodes: readonly Node[];
  /** The slices of the Service in question. */
  readonly slices: readonly EndpointSlice[];
  /** TCP ports that no Service may take from the nodes. */
  readonly reservedPorts: ReadonlySet<number>;
}

export type BalancerPlan =
  | { readonly type: 'addresses'; readonly ingress: readonly LoadBalancerIngress[] }
  | { readonly type: 'refused'; readonly why: string };

export function planBalancer(service: Service, state: BalancerState): BalancerPlan {
  const taken = portTaken(service, state);
  if (taken !== undefined) return { type: 'refused', why: taken };
  const nodes = nodesFor(service, state);
  const families = service.spec?.ipFamilies ?? ['IPv4'];
  const addresses = families.flatMap(family => addressesOfNodes(nodes, family === 'IPv6' ? 'IPv6' : 'IPv4'));
  const ingress = addresses.map(ip => ({ ip, ipMode: 'VIP' }));
  return { type: 'addresses', ingress };
}

const portsOf = ({ spec }: Service) => (spec?.ports ?? []).map(({ port, protocol = 'TCP' }) => `${port}/${protocol}`);
const keyOf = ({ metadata }: Service) => `${metadata?.namespace}/${metadata?.name}`;

function portTaken(service: Service, { services, reservedPorts }: BalancerState): string | undefined {
  const reserved = (service.spec?.ports ?? []).find(
    ({ port, protocol = 'TCP' }) => protocol === 'TCP' && reservedPorts.has(port),
  );
  if (reserved) return `port ${reserved.port} is the cluster's own on its nodes`;
  const own = portsOf(service);
  const isBefore = (other: Service) => rankOf(other) < rankOf(service);
  for (const other of services) {
    if (keyOf(other) === keyOf(service) || !isBalanced(other) || !isBefore(other)) continue;
    const shared = portsOf(other).find(port => own.includes(port));
    if (shared !== undefined) return `port ${shared} of the nodes belongs to the Service ${keyOf(other)}`;
  }
  return undefined;
}

const rankOf = (service: Service) => `${service.metadata?.creationTimestamp ?? ''} ${keyOf(service)}`;

function nodesFor({ spec }: Service, { nodes, slices }: BalancerState): readonly Node[] {
  const usable = nodes.filter(node => isNodeReady(node) && !(EXCLUDED in (node.metadata?.labels ?? {})));
  if (spec?.externalTrafficPolicy !== 'Local') return usable;
  const serving = new Set(
    slices.flatMap(({ endpoints }) =>
      (endpoints ?? []).flatMap(({ nodeName, conditions }) => (nodeName && conditions?.ready ? [nodeName] : [])),
    ),
  );
  return usable.filter(({ metadata }) => serving.has(metadata?.name ?? ''));
}
