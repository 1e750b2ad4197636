/** Removes pods that nobody else will: those of nodes that are gone, those that leave without ever having had a node,
 * those that leave a node which is out of service, and the oldest finished ones when there are too many. */
import { nodes as nodesKind, pods as podsKind } from '../api/generated/kinds.ts';
import type { Node, Pod, PodStatus } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import { sleep, timestamp } from '../client/clock.ts';
import { objectKey } from '../client/keys.ts';
import type { Controller, ControllerContext } from './context.ts';
import { POD_GC_PERIOD_MS, POD_GC_QUARANTINE_MS, TERMINATED_PODS_MAX } from './limits.ts';
import { isNodeReady } from './node-plan.ts';
import { isPodFinished } from './pods.ts';

/** An administrator's word that the node is switched off and holds no pod any more (KEP-2268). */
export const TAINT_OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service';

/** Why a pod is removed: its node is gone, it never had one, nobody is there to end it, or there are too many like it. */
export type GarbageReason = 'orphaned' | 'unplaced' | 'out-of-service' | 'finished';

export interface PodGarbage {
  /** To be removed at once. */
  readonly remove: readonly { readonly pod: Pod; readonly why: GarbageReason }[];
  /** Nodes that pods name and that do not exist. */
  readonly missingNodes: ReadonlySet<string>;
}

/** `isGone` says of which nodes it is certain that they do not exist; `finishedMax` is 0 where there is no bound. Pure. */
export function planPodGarbage(
  pods: readonly Pod[],
  nodes: readonly Node[],
  { isGone, finishedMax }: { isGone(node: string): boolean; finishedMax: number },
): PodGarbage {
  const byName = new Map(nodes.map(node => [node.metadata?.name ?? '', node]));
  const nodeOf = ({ spec }: Pod) => spec?.nodeName ?? '';
  const lost = pods.filter(pod => nodeOf(pod) && !byName.has(nodeOf(pod)));
  const leaving = pods.filter(pod => pod.metadata?.deletionTimestamp);
  const finished = pods.filter(pod => isPodFinished(pod) && !pod.metadata?.deletionTimestamp).toSorted(byWorth);
  const reasons = new Map<Pod, GarbageReason>();
  const note = (list: readonly Pod[], why: GarbageReason) => {
    for (const pod of list) if (!reasons.has(pod)) reasons.set(pod, why);
  };
  note(
    lost.filter(pod => isGone(nodeOf(pod))),
    'orphaned',
  );
  note(
    leaving.filter(pod => !nodeOf(pod)),
    'unplaced',
  );
  note(
    leaving.filter(pod => isOutOfService(byName.get(nodeOf(pod)))),
    'out-of-service',
  );
  if (finishedMax > 0) note(finished.slice(0, Math.max(0, finished.length - finishedMax)), 'finished');
  return {
    remove: [...reasons].map(([pod, why]) => ({ pod, why })),
    missingNodes: new Set(lost.map(nodeOf)),
  };
}

/** What a node evicted comes first, for it is nobody's result; then the oldest. */
function byWorth(a: Pod, b: Pod): number {
  const rank = ({ metadata, status }: Pod) =>
    `${Number(status?.reason !== 'Evicted' || status.phase !== 'Failed')} ${metadata?.creationTimestamp ?? ''} ${metadata?.name ?? ''}`;
  return rank(a) < rank(b) ? -1 : 1;
}

/** The word of an administrator counts only where the node itself says nothing else. */
function isOutOfService(node: Node | undefined): boolean {
  return (
    node !== undefined &&
    !isNodeReady(node) &&
    (node.spec?.taints ?? []).some(({ key }) => key === TAINT_OUT_OF_SERVICE)
  );
}

/** What the status of such a pod has to say before it goes; undefined if it says enough. Pure. */
export function planEndedStatus({ status }: Pod, why: GarbageReason, nowMs: number): PodStatus | undefined {
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined;
  if (why !== 'orphaned') return { phase: 'Failed' };
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByPodGC',
    message: 'PodGC: node no longer exists',
    lastTransitionTime: timestamp(nowMs),
  };
  const others = (status?.conditions ?? []).filter(({ type }) => type !== condition.type);
  return { phase: 'Failed', conditions: [...others, condition] };
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
    const { remove, missingNodes } = planPodGarbage(pods.list(), nodes.list(), { isGone, finishedMax });
    for (const node of missingSinceMs.keys()) if (!missingNodes.has(node)) missingSinceMs.delete(node);
    for (const node of missingNodes) if (!missingSinceMs.has(node)) missingSinceMs.set(node, clock.now());
    const exists = new Map<string, boolean>();
    for (const { pod, why } of remove) {
      if (signal.aborted) return;
      const nodeName = pod.spec?.nodeName ?? '';
      if (why === 'orphaned' && !exists.has(nodeName)) exists.set(nodeName, await isThere(nodeName));
      if (why === 'orphaned' && exists.get(nodeName)) continue;
      await removePod(pod, why);
    }
  };
  /** A cache that lags must not cost a node its pods: the API itself has the last word. */
  const isThere = async (name: string): Promise<boolean> => {
    try {
      await client.get(nodesKind, { name });
      return true;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return false;
      throw error;
    }
  };
  const removePod = async (pod: Pod, why: GarbageReason) => {
    const status = planEndedStatus(pod, why, clock.now());
    try {
      if (status) {
        const type = 'application/strategic-merge-patch+json';
        const body = { metadata: { uid: pod.metadata?.uid }, status };
        await client.patch(podsKind, objectKey(pod), { type, body }, { subresource: 'status' });
      }
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
