/** Makes the IngressClass of the agents, and tells Ingresses of it under which addresses of the nodes they are reached. */
import {
  ingressclasses as classesKind,
  ingresses as ingressesKind,
  nodes as nodesKind,
} from '../api/generated/kinds.ts';
import type { Ingress, IngressClass, IngressLoadBalancerIngress, Node } from '../api/generated/types.ts';
import { INGRESS_CLASS, isIngressNode, ownClasses } from '../api/ingress.ts';
import { hasReason } from '../api/status.ts';
import type { ReconcileResult } from '../client/controller.ts';
import { keyOf, parseKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isEqual } from './equal.ts';
import { ownIngressClass, planIngressStatus, takesRequests } from './ingress-plan.ts';

/** How long an address that somebody else wrote stands, from the first that differs from ours. */
const FOREIGN_ADDRESS_MS = 30_000;
/** No Ingress has this key: a name is needed behind the slash. */
const CLASS = '/';

/** Undefined where agents route nothing. */
export function ingressController(context: ControllerContext): Controller | undefined {
  const { client, clock, informers, options } = context;
  if (options.routesIngresses === false) return undefined;
  const queue = newQueue(context);
  const ingresses = informers.for<Ingress>(ingressesKind);
  const classes = informers.for<IngressClass>(classesKind);
  const nodes = informers.for<Node>(nodesKind);
  const enqueue = (ingress: Ingress) => queue.add(keyOf(ingress));
  const enqueueAll = () => {
    for (const ingress of ingresses.list()) enqueue(ingress);
  };
  /** What we wrote last, and until when what somebody else wrote stands: an entry an Ingress at most, gone with it. */
  const written = new Map<string, readonly IngressLoadBalancerIngress[]>();
  const standsUntilMs = new Map<string, number>();
  ingresses.addHandler({
    added: enqueue,
    updated(ingress, old) {
      const key = keyOf(ingress);
      // Who writes an address of their own is not contradicted in the midst of their work, whatever else happens.
      if (isEqual(addressesOf(ingress), written.get(key) ?? [])) standsUntilMs.delete(key);
      else if (!isEqual(addressesOf(ingress), addressesOf(old)) && !standsUntilMs.has(key)) {
        standsUntilMs.set(key, clock.now() + FOREIGN_ADDRESS_MS);
      }
      queue.add(key);
    },
    deleted(ingress) {
      written.delete(keyOf(ingress));
      standsUntilMs.delete(keyOf(ingress));
    },
  });
  classes.addHandler({ added: enqueueAll, updated: enqueueAll, deleted: enqueueAll });
  nodes.addHandler({
    added: node => {
      if (isIngressNode(node)) queue.add(CLASS);
      enqueueAll();
    },
    updated: (node, old) => {
      if (isIngressNode(node)) queue.add(CLASS);
      if (takesRequests(node) !== takesRequests(old) || !isEqual(node.status?.addresses, old.status?.addresses))
        enqueueAll();
    },
    deleted: enqueueAll,
  });

  /** Whoever removes the class is not given it again before another master leads. */
  let isClassMade = false;
  const makeClass = async () => {
    if (isClassMade) return;
    if (!classes.get(INGRESS_CLASS)) {
      try {
        await client.create(classesKind, ownIngressClass(classes.list()));
      } catch (error) {
        if (!hasReason(error, 'AlreadyExists')) throw error;
      }
    }
    isClassMade = true;
  };
  const tellAddresses = async (key: string): Promise<ReconcileResult | undefined> => {
    const ingress = ingresses.get(key);
    if (!ingress || ingress.metadata?.deletionTimestamp) return undefined;
    const wanted = planIngressStatus(ingress, { nodes: nodes.list(), classes: ownClasses(classes.list()) });
    if (wanted === undefined || isEqual(addressesOf(ingress), wanted)) return undefined;
    const leftMs = (standsUntilMs.get(key) ?? 0) - clock.now();
    if (leftMs > 0) return { afterMs: leftMs };
    standsUntilMs.delete(key);
    written.set(key, wanted);
    const body = { status: { loadBalancer: { ingress: wanted.length > 0 ? wanted : null } } };
    try {
      await client.patch(
        ingressesKind,
        parseKey(key),
        { type: 'application/merge-patch+json', body },
        { subresource: 'status' },
      );
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
    }
    return undefined;
  };
  return queueController(context, {
    name: 'ingress-controller',
    queue,
    async reconcile(key) {
      if (key !== CLASS) return tellAddresses(key);
      await makeClass();
      return undefined;
    },
  });
}

const addressesOf = ({ status }: Ingress) => status?.loadBalancer?.ingress ?? [];
