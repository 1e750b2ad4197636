/** Makes the IngressClass of the agents, and tells Ingresses of it under which addresses of the nodes they are reached. */
import {
  ingressclasses as classesKind,
  ingresses as ingressesKind,
  nodes as nodesKind,
} from '../api/generated/kinds.ts';
import type { Ingress, IngressClass, Node } from '../api/generated/types.ts';
import { INGRESS_CLASS, isIngressNode, OLD_INGRESS_CLASS, ownClasses } from '../api/ingress.ts';
import { hasReason } from '../api/status.ts';
import { keyOf, parseKey } from '../client/keys.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';
import { isEqual } from './equal.ts';
import { ownIngressClass, planIngressStatus, takesRequests } from './ingress-plan.ts';

/** How long an address that somebody else wrote stands. */
const FOREIGN_ADDRESS_MS = 30_000;
/** No Ingress has this key: a name is needed behind the slash. */
const CLASS = '/';

/** Undefined where agents route nothing. */
export function ingressController(context: ControllerContext): Controller | undefined {
  const { client, informers, options } = context;
  if (options.routesIngresses === false) return undefined;
  const queue = newQueue(context);
  const ingresses = informers.for<Ingress>(ingressesKind);
  const classes = informers.for<IngressClass>(classesKind);
  const nodes = informers.for<Node>(nodesKind);
  const enqueue = (ingress: Ingress) => queue.add(keyOf(ingress));
  const enqueueAll = () => {
    for (const ingress of ingresses.list()) enqueue(ingress);
  };
  ingresses.addHandler({
    added: enqueue,
    updated(ingress, old) {
      // Who writes an address of their own is not contradicted in the midst of their work.
      const isOfSameClass =
        ingress.metadata?.annotations?.[OLD_INGRESS_CLASS] === old.metadata?.annotations?.[OLD_INGRESS_CLASS];
      if (isOfSameClass && isEqual(ingress.spec, old.spec)) queue.addAfter(keyOf(ingress), FOREIGN_ADDRESS_MS);
      else enqueue(ingress);
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
  const tellAddresses = async (key: string) => {
    const ingress = ingresses.get(key);
    if (!ingress || ingress.metadata?.deletionTimestamp) return;
    const wanted = planIngressStatus(ingress, { nodes: nodes.list(), classes: ownClasses(classes.list()) });
    if (wanted === undefined || isEqual(ingress.status?.loadBalancer?.ingress ?? [], wanted)) return;
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
  };
  return queueController(context, {
    name: 'ingress-controller',
    queue,
    async reconcile(key) {
      if (key === CLASS) await makeClass();
      else await tellAddresses(key);
      return undefined;
    },
  });
}
