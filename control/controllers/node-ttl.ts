/**
 * Tells agents how long they may keep Secrets and ConfigMaps before they ask again, by the size of the cluster (k/k
 * pkg/controller/ttl): the annotation that kubelets read.
 */
import { nodes as nodesKind } from '../api/generated/kinds.ts';
import type { Node } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';

const TTL = 'node.alpha.kubernetes.io/ttl';

interface Step {
  /** At so many nodes or fewer the step before holds, above `max` the next one. They overlap, so that nothing flaps. */
  readonly min: number;
  readonly max: number;
  readonly seconds: number;
}
const STEPS: readonly Step[] = [
  { min: 0, max: 100, seconds: 0 },
  { min: 90, max: 500, seconds: 15 },
  { min: 450, max: 1_000, seconds: 30 },
  { min: 900, max: 2_000, seconds: 60 },
  { min: 1_800, max: 10_000, seconds: 300 },
  { min: 9_000, max: Number.POSITIVE_INFINITY, seconds: 600 },
];

/** The step for so many nodes, coming from another. Pure. */
export function planTtlStep(nodeCount: number, before: number): number {
  let step = Math.min(Math.max(before, 0), STEPS.length - 1);
  while (nodeCount > (STEPS[step]?.max ?? Number.POSITIVE_INFINITY)) step++;
  while (step > 0 && nodeCount < (STEPS[step]?.min ?? 0)) step--;
  return step;
}

export const ttlSeconds = (step: number): number => STEPS[step]?.seconds ?? 0;

export function nodeTtlController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const nodes = informers.for<Node>(nodesKind);
  let step = 0;
  const count = () => {
    const next = planTtlStep(nodes.size, step);
    if (next === step) return;
    step = next;
    for (const { metadata } of nodes.list()) queue.add(metadata?.name ?? '');
  };
  const changed = (node: Node) => {
    count();
    if (node.metadata?.annotations?.[TTL] !== String(ttlSeconds(step))) queue.add(node.metadata?.name ?? '');
  };
  nodes.addHandler({ added: changed, updated: changed, deleted: count });
  return queueController(context, {
    name: 'ttl-controller',
    queue,
    async reconcile(name) {
      const seconds = String(ttlSeconds(step));
      const node = nodes.get(name);
      if (!node || node.metadata?.annotations?.[TTL] === seconds) return undefined;
      const body = { metadata: { annotations: { [TTL]: seconds } } };
      try {
        await client.patch(nodesKind, { name }, { type: 'application/strategic-merge-patch+json', body });
      } catch (error) {
        if (!hasReason(error, 'NotFound')) throw error;
      }
      return undefined;
    },
  });
}
