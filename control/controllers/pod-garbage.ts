/** Removes pods that nobody else will: those of nodes that are gone, those that leave without ever having had a node, and
 * the oldest finished ones when there are too many. */
import { nodes as nodesKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Node, Pod } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { sleep } from '../client/clock.ts';
import { objectKey } from '../client/keys.ts';
import type { Controller, ControllerContext } from './context.ts';
import { POD_GC_PERIOD_MS, POD_GC_QUARANTINE_MS, TERMINATED_PODS_MAX } from './limits.ts';
import { isPodFinished } from './pods.ts';

export interface PodGarbage {
  /** To be removed at once. */
  readonly remove: readonly Pod[];
  /** Nodes that pods name and that do not exist. */
  readonly missingNodes: ReadonlySet<string>;
}

/** `isGone` says of which nodes it is certain that they do not exist. Pure. */
export function planPodGarbage(
  pods: readonly Pod[],
  nodes: ReadonlySet<string>,
  { isGone, finishedMax }: { isGone(node: string): boolean; finishedMax: number },
): PodGarbage {
  const nodeOf = ({ spec }: Pod) => spec?.nodeName ?? '';
  const lost = pods.filter(pod => nodeOf(pod) && !nodes.has(nodeOf(pod)));
  const neverPlaced = pods.filter(pod => !nodeOf(pod) && pod.metadata?.deletionTimestamp);
  const finished = pods
    .filter(pod => isPodFinished(pod) && !pod.metadata?.deletionTimestamp)
    .toSorted((a, b) => ((a.metadata?.creationTimestamp ?? '') < (b.metadata?.creationTimestamp ?? '') ? -1 : 1));
  return {
    remove: [
      ...new Set([
        ...lost.filter(pod => isGone(nodeOf(pod))),
        ...neverPlaced,
        ...finished.slice(0, Math.max(0, finished.length - finishedMax)),
      ]),
    ],
    missingNodes: new Set(lost.map(nodeOf)),
  };
}

export function podGarbageController(context: ControllerContext): Controller {
  const { client, clock, informers, signal, logger } = context;
  const pods = informers.for<Pod>(podsKind);
  const nodes = informers.for<Node>(nodesKind);
  const finishedMax = context.options.terminatedPodsMax ?? TERMINATED_PODS_MAX;
  /** Since when a node that pods name has been missing. */
  const missingSinceMs = new Map<string, number>();

  const collect = async () => {
    const isGone = (node: string) => clock.now() - (missingSinceMs.get(node) ?? clock.now()) >= POD_GC_QUARANTINE_MS;
    const present = new Set(nodes.list().map(({ metadata }) => metadata?.name ?? ''));
    const { remove, missingNodes } = planPodGarbage(pods.list(), present, { isGone, finishedMax });
    for (const node of missingSinceMs.keys()) if (!missingNodes.has(node)) missingSinceMs.delete(node);
    for (const node of missingNodes) if (!missingSinceMs.has(node)) missingSinceMs.set(node, clock.now());
    for (const pod of remove) {
      if (signal.aborted) return;
      await removePod(pod);
    }
  };
  const removePod = async (pod: Pod) => {
    try {
      await client.delete(podsKind, objectKey(pod), { uid: pod.metadata?.uid ?? '', gracePeriodSeconds: 0 });
    } catch (error) {
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
    }
  };
  return {
    name: 'pod-garbage-collector-controller',
    run: async () => {
      while (!signal.aborted) {
        await collect().catch(error => {
          if (!signal.aborted) logger.warn({ err: error }, 'pod garbage not collected');
        });
        await sleep(clock, POD_GC_PERIOD_MS, signal);
      }
    },
  };
}
