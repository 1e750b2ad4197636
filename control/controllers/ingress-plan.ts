/**
 * Which addresses an Ingress has: those of the nodes that take requests for it. The class that is there by itself is the default
 * one unless the cluster has one already. Pure.
 */
import type { Ingress, IngressClass, IngressLoadBalancerIngress, Node } from '../api/generated/types.ts';
import {
  addressesOfNodes,
  DEFAULT_INGRESS_CLASS,
  defaultIngressClass,
  INGRESS_CLASS,
  INGRESS_CONTROLLER,
  isIngressNode,
  isRoutedIngress,
  type OwnClasses,
} from '../api/ingress.ts';
import { EXCLUDED } from './load-balancer-plan.ts';
import { isNodeReady } from './node-plan.ts';

/** True for nodes at which clients are sent to an Ingress. */
export const takesRequests = (node: Node): boolean =>
  isIngressNode(node) && isNodeReady(node) && !(EXCLUDED in (node.metadata?.labels ?? {}));

/** What is to stand in the status; undefined for an Ingress that is somebody else's. */
export function planIngressStatus(
  ingress: Ingress,
  { nodes, classes }: { readonly nodes: readonly Node[]; readonly classes: OwnClasses },
): readonly IngressLoadBalancerIngress[] | undefined {
  if (!isRoutedIngress(ingress, classes)) return undefined;
  return addressesOfNodes(nodes.filter(takesRequests)).map(ip => ({ ip }));
}

/** The class to make. */
export const ownIngressClass = (classes: readonly IngressClass[]): IngressClass => ({
  metadata: {
    name: INGRESS_CLASS,
    ...(!defaultIngressClass(classes) && { annotations: { [DEFAULT_INGRESS_CLASS]: 'true' } }),
  },
  spec: { controller: INGRESS_CONTROLLER },
});
